// SiliconFlow (硅基流动): open models of many makers behind OpenAI chat. Data only.

import type { Capability, Provider } from '#core/provider.ts'
import { ERRORS } from './errors.ts'

/** Says nothing of thinking where the field is refused: "does not support parameter enable_thinking" is a 400. */
const NO_SWITCH = { thinking: { style: 'none' } } as const

const TOOLS: readonly Capability[] = ['tools', 'tool_choice', 'parallel_tool_calls']

export const provider = {
  id: 'siliconflow',
  title: 'SiliconFlow',
  source: 'https://docs.siliconflow.cn/docs/api/chat-completions-post',
  baseUrl: 'https://api.siliconflow.cn/v1',
  // api.siliconflow.com and api.ap.siliconflow.com are the platform abroad, with accounts and prices of its own.
  regions: [
    { region: 'intl', host: 'siliconflow.com' },
    { region: 'cn', host: 'siliconflow.cn' },
  ],
  region: 'cn',
  credential: { kind: 'bearer' },
  keyRequired: true,
  quirks: {
    // Every chunk carries the usage so far, asked or not.
    streamUsage: 'option',
    // The reference knows max_tokens alone; it bounds the answer, without its thinking.
    maxTokens: 'max_tokens',
    developerToSystem: true,
    // "该字段适用于大多数推理模型", both fields. The words of reasoning_effort (`high`, `max`) are for three models
    // alone and know no `none`, so that an effort is said as a budget, which all of them take.
    thinking: { style: 'enable_thinking', budgetField: 'thinking_budget' },
    // Google's table (https://ai.google.dev/gemini-api/docs/openai) within SiliconFlow's bounds, 128 to 32768.
    effortBudgets: { minimal: 1024, low: 1024, medium: 8192, high: 24576, xhigh: 32768, max: 32768 },
    // Later fragments of a tool call carry `"id":null,"type":null`.
    looseToolCalls: true,
  },
  models: [
    // Nothing but thinks: there is no switch. The hybrids' dated siblings among them (Qwen3-…-Thinking-2507).
    {
      match: /(^|[/-])(deepseek-r1|qwq|qvq|step-?3|minimax-m\d)|-thinking(-|$)/i,
      quirks: NO_SWITCH,
      thinksByDefault: true,
    },
    // Never thinks: instruct releases and what came before the hybrids.
    {
      match: /-instruct(-|$)|deepseek-v(2|3($|-))|qwen2|glm-4-|glm-4v|internlm|llama|gemma|hunyuan-mt|kimi-k2-/i,
      quirks: NO_SWITCH,
    },
    // Readers of pages and translators: no tools.
    { match: /(^|[/-])(paddleocr|deepseek-ocr|hunyuan-mt|seed-x)/i, cannot: TOOLS },
    // The open hybrids and their successors think unless told otherwise.
    { match: /qwen3(\.\d)?-|glm-4\.[5-9]|glm-5|deepseek-v4|seed-oss|hunyuan-a13b/i, thinksByDefault: true },
  ],
  errors: ERRORS,
} satisfies Provider
