// Tencent's Hunyuan (腾讯混元) and the models beside it on TokenHub. Data only.

import type { Capability, Provider } from '#core/provider.ts'

/**
 * A stop sequence ends the answer behind itself and not before, and tool_choice forces with `custom` ("与 OpenAI
 * 的差异" of 1729/111007): neither keeps OpenAI's promise. response_format is not in the table.
 */
const UNKEPT: readonly Capability[] = ['stop', 'tool_choice', 'json_object', 'json_schema']

export const provider = {
  id: 'hunyuan',
  title: 'Hunyuan (Tencent TokenHub)',
  source: 'https://cloud.tencent.com/document/product/1823/132252',
  // Hunyuan's console has moved here. Keys of the older service work at https://api.hunyuan.cloud.tencent.com/v1
  // (cloud.tencent.com/document/product/1729/111007), those of the international one at
  // https://tokenhub-intl.tencentcloudmaas.com/v1.
  baseUrl: 'https://tokenhub.tencentmaas.com/v1',
  regions: [
    { region: 'intl', host: 'tencentcloudmaas.com' },
    { region: 'cn', host: 'tencentmaas.com' },
    { region: 'cn', host: 'cloud.tencent.com' },
  ],
  region: 'cn',
  credential: { kind: 'bearer' },
  keyRequired: true,
  // Not in the parameter table of 1729/111007.
  cannot: ['n', 'logprobs', 'parallel_tool_calls'],
  quirks: {
    // "With stream_options.include_usage=true the last chunk carries usage."
    streamUsage: 'option',
    // The table has no max_completion_tokens.
    maxTokens: 'max_tokens',
    // Roles are system, user, assistant and tool.
    developerToSystem: true,
    // Not in the table either (lobe-chat model-runtime/src/providers/hunyuan@f32a576 takes them out too).
    drops: ['frequency_penalty', 'presence_penalty'],
    // cloud.tencent.cn/document/product/1823/131208, which has the defaults of each model too.
    thinking: { style: 'thinking', efforts: ['low', 'medium', 'high'] },
    // Switches of the older service's search (lobe-chat, as above).
    searchFields: ['enable_enhancement', 'force_search_enhancement', 'enable_speed_search'],
    // A refusal in the native API and in the Anthropic twin.
    finishReasons: { sensitive: 'content_filter' },
  },
  models: [
    // History turns with tool calls need `reasoning_content`, at least "" (lobe-chat, as above).
    { match: /^hy3-preview/i, quirks: { reasoningRequired: true } },
    // Every effort but `none` counts as high (openclaw#99076).
    {
      match: /^hy[34]/i,
      quirks: { thinking: { style: 'thinking', efforts: ['high'] }, reasoningRequired: true },
    },
    // "The `reasoning_content` in the thinking mode must be passed back" is DeepSeek's own rule.
    { match: /^deepseek-v4/i, quirks: { reasoningRequired: true }, thinksByDefault: true },
    { match: /^deepseek-v3\.2/i, quirks: { reasoningRequired: true } },
    // "Enabled" by default; a switch without efforts.
    { match: /^(glm|kimi)-/i, quirks: { thinking: { style: 'thinking' } }, thinksByDefault: true },
    // "Cannot be switched off."
    {
      match: /^(deepseek-r1|minimax-)/i,
      quirks: { thinking: { style: 'none' } },
      thinksByDefault: true,
    },
    {
      match: /^hunyuan-(2\.0-thinking|t1)/i,
      cannot: UNKEPT,
      quirks: { thinking: { style: 'none' } },
      thinksByDefault: true,
    },
    { match: /^hunyuan-/i, cannot: UNKEPT, quirks: { thinking: { style: 'none' } } },
  ],
  errors: [
    // https://cloud.tencent.com/document/product/1823/131595: the status says the most, and `code` repeats it with
    // three digits more. This one: the key's plan or scope does not hold the model (models.dev#5872).
    { code: '403002', kind: 'model_unavailable' },
  ],
} satisfies Provider
