// Kimi on Moonshot's open platform: OpenAI chat; what differs is by model generation. Data only.

import type { Provider } from '#core/provider.ts'
import { ERRORS } from './errors.ts'

/** The platform sets these for models that think: any other value is a 400 (invalid temperature: only 1 is allowed). */
const FIXED_SAMPLING = ['temperature', 'top_p', 'frequency_penalty', 'presence_penalty'] as const

/** Unknown fields are ignored in silence; these two are known not to exist (@ai-sdk/moonshotai). */
const UNKNOWN = ['seed', 'top_k'] as const

export const provider = {
  id: 'moonshot',
  title: 'Kimi (Moonshot AI)',
  source: 'https://platform.kimi.com/docs/api/chat',
  // Two platforms with the same dialect; a key of one is a 401 at the other.
  baseUrl: 'https://api.moonshot.cn/v1',
  regions: [
    { region: 'intl', host: 'moonshot.ai' },
    { region: 'cn', host: 'moonshot.cn' },
  ],
  region: 'cn',
  credential: { kind: 'bearer' },
  keyRequired: true,
  cannot: ['audio_input'],
  quirks: {
    // In the finish chunk's choice unasked, in a chunk of its own when asked.
    streamUsage: 'option',
    // max_tokens is deprecated (@ai-sdk/moonshotai 2.0.51).
    maxTokens: 'max_completion_tokens',
    developerToSystem: true,
    // "the message at position N with role 'assistant' must not be empty" (lobe@f32a576 sends a space).
    emptyAssistantContent: ' ',
    drops: [...UNKNOWN],
    // The moonshot-v1 and kimi-k2 previews do not think.
    thinking: { style: 'none' },
    // Streamed calls without an index (@ai-sdk/moonshotai 2.0.51).
    looseToolCalls: true,
  },
  models: [
    // Always think: low, high or max, which is the default; other words are ignored in silence
    // (platform.kimi.ai/docs/guide/use-thinking-effort).
    {
      match: /^kimi-k([3-9]|\d\d)/,
      cannot: ['n'],
      quirks: {
        thinking: { style: 'reasoning_effort', efforts: ['low', 'high', 'max'], off: null },
        reasoningRequired: true,
        drops: [...UNKNOWN, ...FIXED_SAMPLING],
      },
      thinksByDefault: true,
    },
    // Always think, without degrees: `disabled` is an error. A forced tool is refused while a model thinks.
    {
      match: /^kimi-k2\.7/,
      cannot: ['n', 'tool_choice'],
      quirks: {
        thinking: { style: 'none' },
        reasoningRequired: true,
        drops: [...UNKNOWN, ...FIXED_SAMPLING],
      },
      thinksByDefault: true,
    },
    // Think unless told not to. "tool_choice 'required' is incompatible with thinking enabled": the request decides.
    {
      match: /^kimi-k2\.\d/,
      cannot: ['n'],
      cannotWhileThinking: ['tool_choice'],
      quirks: {
        thinking: { style: 'thinking' },
        // "thinking is enabled but reasoning_content is missing in assistant tool call message"; "" will do.
        reasoningRequired: true,
        drops: [...UNKNOWN, ...FIXED_SAMPLING],
      },
      thinksByDefault: true,
    },
    {
      match: /^kimi-(k2-)?thinking/,
      cannot: ['tool_choice'],
      quirks: { reasoningRequired: true },
      thinksByDefault: true,
    },
  ],
  errors: ERRORS,
  telemetryName: 'moonshot_ai',
} satisfies Provider
