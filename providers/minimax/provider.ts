// MiniMax's OpenAI-shaped endpoint. Data only.

import type { Provider } from '#core/provider.ts'
import { ERRORS } from './errors.ts'

export const provider = {
  id: 'minimax',
  title: 'MiniMax',
  source: 'https://platform.minimax.io/docs/api-reference/text-chat-openai',
  // The other site is https://api.minimax.io/v1; a key of one is a 401 at the other.
  baseUrl: 'https://api.minimaxi.com/v1',
  regions: [
    { region: 'intl', host: 'minimax.io' },
    { region: 'cn', host: 'minimaxi.com' },
  ],
  region: 'cn',
  credential: { kind: 'bearer' },
  keyRequired: true,
  // Absent from ChatCompletionReq of the page above: they would be ignored in silence. `n` may only be 1; audio
  // is refused with "history message not support audio (2013)".
  cannot: [
    'n',
    'logprobs',
    'stop',
    'tool_choice',
    'parallel_tool_calls',
    'json_object',
    'json_schema',
    'audio_input',
  ],
  quirks: {
    // "Only returned in the last chunk", on request.
    streamUsage: 'option',
    // OpenRouter lists it among those that do not (https://openrouter.ai/docs/api-reference/streaming, 2026-11-25).
    cancelStopsBilling: 'no',
    maxTokens: 'both',
    // Roles are system, user, assistant and tool.
    developerToSystem: true,
    // The penalties and logit_bias "are ignored"; `user` is an unknown field. None is an error.
    drops: ['presence_penalty', 'frequency_penalty', 'logit_bias', 'user'],
    // Models of before M3 always think. The thoughts stand as `<think>` in the content unless the client sends
    // `reasoning_split`.
    thinking: { style: 'none' },
    // Streamed calls may come without an index (lobe-chat model-runtime/src/providers/minimax@f32a576).
    looseToolCalls: true,
    // `role: ""` on later chunks (MiniMax-M2.5#2), which the AI SDK refuses.
    emptyWords: true,
  },
  models: [
    // Role play: plain chat (platform.minimax.io/docs/api-reference/text-chat).
    { match: /(^|-)m2-her$/i, cannot: ['tools', 'vision', 'video_input'] },
    // `enabled` is a 400 (cherry-studio#16431).
    {
      match: /^minimax-m3/i,
      quirks: { thinking: { style: 'thinking', on: 'adaptive' } },
      thinksByDefault: true,
    },
    // "Image and video understanding" came with M3.
    { match: /^minimax-m[12]/i, cannot: ['vision', 'video_input'], thinksByDefault: true },
  ],
  errors: ERRORS,
} satisfies Provider
