// Answers that use all that a request lets them use.

import type { SeenRequest } from './raw-upstream.ts'

/** An answer that is as long as its request lets it be, and counts its input as one token for four bytes. */
export function fullLength(request: SeenRequest, usualTokens = 100) {
  const bound = request.json['max_tokens'] ?? request.json['max_completion_tokens']
  const output = typeof bound === 'number' ? Math.min(bound, usualTokens) : usualTokens
  const input = Math.ceil(request.body.length / 4)
  const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }
  return {
    headers: { 'content-type': 'application/json' },
    framing: 'length' as const,
    steps: [
      JSON.stringify({
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1,
        model: 'x',
        choices: [{ index: 0, message: { role: 'assistant', content: 'full' }, finish_reason: 'length' }],
        usage,
      }),
    ],
  }
}
