// What is known of Qwen models by id.

import type { Capability, ModelRule, Quirks } from '#core/provider.ts'

/**
 * Qwen-Audio is served by the native protocol alone: "Qwen-Audio不支持OpenAI兼容协议，仅支持DashScope协议"
 * (https://help.aliyun.com/zh/model-studio/qwen-api-reference). The reference of 通义法睿 names only the native
 * call (…/tongyi-farui-api). In the compatible mode such a model is a 404 `model_not_supported`.
 */
export function isNativeOnly(model: string): boolean {
  return /^qwen2?-audio(-|$)|^farui-/.test(model)
}

/** Models that refuse `enable_thinking`, or refuse to be told not to think. */
export function hasThinkingSwitch(model: string): boolean {
  return !isNativeOnly(model) && !/^(qwq|qvq)-|-thinking(-|$)|^deepseek-r1/.test(model)
}

/** The open Qwen3 hybrids think unless told otherwise, and unstreamed they may not (else 400). */
const OPEN_HYBRID = /^qwen3-(0\.6b|1\.7b|4b|8b|14b|32b|30b-a3b|235b-a22b)$/

/** Models that are called with content parts at `multimodal-generation`. */
export function isMultimodal(model: string): boolean {
  return /(^|-)(vl|omni|ocr|audio|asr)(-|$)|^qvq-|^qwen3\.[5-9]/.test(model)
}

/**
 * "思考模式的模型暂不支持结构化输出功能" (https://help.aliyun.com/zh/model-studio/json-mode); a 400 otherwise: "Json mode
 * response is not supported when enable_thinking is true". The page tells hybrids to switch thinking off for it.
 */
export const UNTHOUGHT: readonly Capability[] = ['json_object', 'json_schema']

const ALWAYS_THINKS: Partial<Quirks> = { thinking: { style: 'none' } }

export const MODELS: readonly ModelRule[] = [
  // Nothing but streams; thinking cannot be switched off, and forced tools are refused while thinking.
  {
    match: /^(qwq|qvq)-/,
    cannot: ['unstreamed', 'tool_choice', 'json_object', 'json_schema', 'n', 'logprobs'],
    quirks: ALWAYS_THINKS,
    thinksByDefault: true,
  },
  { match: /-omni-|-omni$/, cannot: ['unstreamed', 'tool_choice', 'n', 'logprobs'] },
  // "The value of the enable_thinking parameter is restricted to True"; JSON mode is refused while thinking.
  {
    match: /-thinking(-|$)/,
    cannot: ['unstreamed', 'tool_choice', 'json_object', 'json_schema', 'n', 'logprobs'],
    quirks: ALWAYS_THINKS,
    thinksByDefault: true,
  },
  { match: /^deepseek-r1/, cannot: ['tool_choice'], quirks: ALWAYS_THINKS, thinksByDefault: true },
  {
    match: OPEN_HYBRID,
    cannot: ['tool_choice'],
    thinksByDefault: true,
    // "parameter.enable_thinking must be set to false for non-streaming calls"
    cannotWhileThinking: ['unstreamed'],
    thinksNotFor: ['unstreamed', ...UNTHOUGHT],
  },
  { match: /^qwen3\.[5-9]/, cannot: ['tool_choice'], thinksByDefault: true, thinksNotFor: UNTHOUGHT },
  {
    match: /^qwen2?-audio(-|$)/,
    cannot: ['tools', 'tool_choice', 'parallel_tool_calls', 'json_object', 'json_schema', 'vision', 'n'],
    quirks: ALWAYS_THINKS,
  },
  {
    match: /^farui-/,
    cannot: ['tools', 'tool_choice', 'parallel_tool_calls', 'vision', 'audio_input', 'video_input'],
    quirks: ALWAYS_THINKS,
  },
  { match: /(^|-)(vl|ocr)(-|$)/, cannot: ['tool_choice', 'audio_input'] },
  // "input content must be a string.": text models of the older generations refuse content arrays.
  {
    match: /^(qwen1\.5|qwen2|qwen2\.5)-|^qwen-(math|mt|long|7b|14b|72b|1\.8b)/,
    cannot: ['tool_choice', 'vision', 'audio_input', 'video_input'],
    quirks: { flattenText: true },
  },
]
