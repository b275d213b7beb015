// Doubao on Volcano Ark (火山方舟): OpenAI chat with a few departures. Data only.

import type { Capability, Provider } from '#core/provider.ts'
import { bill } from './bill.ts'
import { ERRORS } from './errors.ts'

const MEDIA: readonly Capability[] = ['vision', 'video_input', 'audio_input']

export const provider = {
  id: 'doubao',
  title: 'Doubao (Volcano Ark)',
  source: 'https://www.volcengine.com/docs/82379/1494384',
  // volcengine-python-sdk@b5be43b volcenginesdkarkruntime/_constants.py: `/api/v3`, without `/v1`.
  baseUrl: 'https://ark.cn-beijing.volces.com/api/v3',
  // BytePlus ModelArk speaks the same dialect at https://ark.ap-southeast.bytepluses.com/api/v3.
  regions: [
    { region: 'intl', host: 'bytepluses.com' },
    { region: 'cn', host: 'volces.com' },
  ],
  region: 'cn',
  bill,
  credential: { kind: 'bearer' },
  keyRequired: true,
  // Parts are text, image_url, video_url and input_audio (volcengine-python-sdk content_part_*); files are for Responses.
  cannot: ['file_input'],
  quirks: {
    // Chunks say `usage: null` unless stream_options.include_usage is sent (SDK chat_completion_stream_options_param.py).
    streamUsage: 'option',
    // max_tokens bounds the answer, max_completion_tokens the answer and its thinking; both together are a 400.
    maxTokens: 'both',
    // A `developer` message was a 400 InvalidArgumentError.UnknownRole until 2026-09.
    developerToSystem: true,
    // Models without vision refuse lists (Roo-Code#504, cline#1426), and a text means the same to the others.
    flattenText: true,
    // An assistant turn with tool calls was a 400 MissingParameter with null (AstrBot#6852) and with "" (opencodex#795).
    emptyAssistantContent: ' ',
    // SDK enum of reasoning_effort; `minimal` means no thinking. `budget_tokens` is not in the official SDK.
    thinking: { style: 'thinking', auto: true, efforts: ['minimal', 'low', 'medium', 'high'] },
  },
  models: [
    // 推理接入点 ids name any model: nothing is known of them, so they count as able.
    { match: /^ep-/ },
    // Role-play models: plain chat, no tools and no thinking (docs/82379 model list).
    {
      match: /character/i,
      cannot: ['tools', 'tool_choice', 'parallel_tool_calls', ...MEDIA],
      quirks: { thinking: { style: 'none' } },
    },
    // From Seed 1.8 on the penalties are refused; deep-thinking models know neither stop nor logprobs.
    {
      match: /(^|-)seed-(1-8|2-|code|evolving)/i,
      cannot: ['stop', 'logprobs'],
      quirks: { drops: ['frequency_penalty', 'presence_penalty', 'logit_bias'] },
      thinksByDefault: true,
    },
    {
      match: /(^|-)seed-/i,
      cannot: ['stop', 'logprobs'],
      quirks: { drops: ['logit_bias'] },
      thinksByDefault: true,
    },
    // tool_choice beyond none and auto, and parallel_tool_calls, came with Seed 1.6.
    {
      match: /^doubao-1[-.]5-thinking-(vision|pro-m)/i,
      cannot: ['stop', 'logprobs', 'tool_choice', 'parallel_tool_calls'],
      quirks: { thinking: { style: 'thinking', auto: true }, drops: ['logit_bias'] },
      thinksByDefault: true,
    },
    // The first thinking models cannot be told not to think.
    {
      match: /^(doubao-1[-.]5-thinking|deepseek-r1|kimi-k2-thinking)/i,
      cannot: ['stop', 'logprobs', 'tool_choice', 'parallel_tool_calls', ...MEDIA],
      quirks: { thinking: { style: 'none' }, drops: ['logit_bias'] },
      thinksByDefault: true,
    },
    {
      match: /^doubao-.*(vision|ui-tars)/i,
      cannot: ['tool_choice', 'parallel_tool_calls'],
      quirks: { thinking: { style: 'none' } },
    },
    // Text models of before Seed.
    {
      match: /^(doubao|skylark)/i,
      cannot: ['tool_choice', 'parallel_tool_calls', ...MEDIA],
      quirks: { thinking: { style: 'none' } },
    },
    // Third-party text models on Ark; those of DeepSeek from V3.1 on take the `thinking` switch.
    {
      match: /^(deepseek-v3(-\d{6})?$|kimi-)/i,
      cannot: ['tool_choice', 'parallel_tool_calls', ...MEDIA],
      quirks: { thinking: { style: 'none' } },
    },
    {
      match: /^(deepseek|glm)-/i,
      cannot: ['tool_choice', 'parallel_tool_calls', ...MEDIA],
    },
  ],
  errors: ERRORS,
} satisfies Provider
