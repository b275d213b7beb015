// SiliconFlow (硅基流动): open models of many makers behind OpenAI chat. Data only.

import type { Provider, ThinkingSwitch } from '#core/provider.ts'
import { ERRORS } from './errors.ts'

const SWITCH = { style: 'enable_thinking', budgetField: 'thinking_budget' } as const

/** Where the field is a 400: "Value error, current model does not support parameter `enable_thinking`." */
const NO_SWITCH: ThinkingSwitch = { style: 'none' }

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
    // "该字段适用于大多数推理模型", both fields; an effort is said as a budget.
    thinking: SWITCH,
    // Google's table (https://ai.google.dev/gemini-api/docs/openai) within SiliconFlow's bounds, 128 to 32768.
    effortBudgets: { minimal: 1024, low: 1024, medium: 8192, high: 24576, xhigh: 32768, max: 32768 },
    // Later fragments of a tool call carry `"id":null,"type":null`.
    looseToolCalls: true,
  },
  models: [
    // reasoning_effort is for these: "low 和 medium 会映射为 high，xhigh 会映射为 max".
    {
      match: /deepseek-v4|glm-5\.2/i,
      quirks: {
        thinking: { ...SWITCH, efforts: ['low', 'medium', 'high', 'xhigh', 'max'] },
        effortBudgets: {},
      },
      thinksByDefault: true,
    },
    // Hybrids, whatever the end of their name says.
    { match: /seed-oss|hunyuan-a13b/i, quirks: { thinking: SWITCH }, thinksByDefault: true },
    // They do nothing but think (cherry-studio#6642 for the distilled R1).
    {
      match: /(^|[/-])(deepseek-r1|qwq|qvq|qwenlong|glm-z1|minimax-m\d|step-?3|ring)|-thinking(-|$)/i,
      quirks: { thinking: NO_SWITCH },
      thinksByDefault: true,
    },
    // Translators and readers of pages (immersive-translate#3806 for the switch).
    {
      match: /hunyuan-mt|paddleocr|deepseek-ocr/i,
      cannot: ['tools', 'tool_choice', 'parallel_tool_calls'],
      quirks: { thinking: NO_SWITCH },
    },
    // They never think.
    {
      match:
        /-instruct(-|$)|deepseek-(v2|v3(-\d+)?$|vl)|qwen2|glm-4-|internlm|(^|[/-])(ernie-4\.5|ling|kat-dev)/i,
      quirks: { thinking: NO_SWITCH },
    },
    { match: /qwen3(\.\d)?-|glm-4\.[5-9]|glm-5|kimi-k2\.\d/i, thinksByDefault: true },
  ],
  errors: ERRORS,
} satisfies Provider
