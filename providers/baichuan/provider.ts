// Baichuan's API: OpenAI chat for general text models and the medical M series. Data only.

import { MEDIA_INPUTS, type Provider } from '#core/provider.ts'

export const provider = {
  id: 'baichuan',
  title: 'Baichuan',
  source: 'https://platform.baichuan-ai.com/docs',
  baseUrl: 'https://api.baichuan-ai.com/v1',
  region: 'cn',
  credential: { kind: 'bearer' },
  keyRequired: true,
  // Text. The M-Plus models take files by id, in a part of their own and not in OpenAI's.
  cannot: ['json_schema', ...MEDIA_INPUTS],
  quirks: {
    // It comes unasked in the last chunk, which still carries text, and there is no `[DONE]` behind it.
    streamUsage: 'always',
    maxTokens: 'max_tokens',
    developerToSystem: true,
    // `content` is a string; parts came with the files of the M-Plus models.
    flattenText: true,
    // "frequency_penalty must be between 1 and 2": another scale than OpenAI's, whose default 0 is refused.
    drops: ['frequency_penalty'],
    // The old switch; the new one is a tool.
    searchFields: ['with_search_enhance'],
    thinking: { style: 'none' },
    // Vendor's own word of the M-Plus models (baichuan-inc/baichuan-mcp-servers, types.ts).
    finishReasons: { refuse_answer: 'content_filter' },
  },
  models: [
    // Medical reasoning models (lobe@f32a576 providers/baichuan).
    {
      match: /^baichuan-m/i,
      quirks: {
        thinking: { style: 'thinking', budget: true },
        drops: ['frequency_penalty', 'presence_penalty'],
      },
      thinksByDefault: true,
    },
  ],
  errors: [
    // `type` decides (dify models/baichuan baichuan_turbo.py).
    { type: /^(invalid_api_key|api_key_empty|invalid_authentication)$/, kind: 'auth' },
    { type: 'insufficient_quota', kind: 'quota' },
    // A 429 as well.
    { message: /insufficient account balance/i, kind: 'quota' },
    { type: /(^|_)rate/, kind: 'rate_limit' },
    { type: /internal/, kind: 'server' },
  ],
} satisfies Provider
