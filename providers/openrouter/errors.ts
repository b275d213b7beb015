// OpenRouter's errors: https://openrouter.ai/docs/api-reference/errors. `code` is the HTTP status, a number; once a
// provider works, the answer is a 200 and the status stands in the body or the event alone.

import type { ErrorRule } from '#core/provider.ts'

export const ERRORS: readonly ErrorRule[] = [
  // Said before the status: 402 is money, also where its words are of tokens ("Prompt tokens limit exceeded: N > M").
  { code: '402', kind: 'quota' },
  // 403 is moderation, a guardrail, a spent key, or a want of rights.
  { message: /input was flagged|requires moderation|guardrail/i, kind: 'moderation' },
  { message: /key limit exceeded|insufficient credits/i, kind: 'quota' },
  // "Rate limit exceeded: free-models-per-day": back tomorrow, or with credits.
  { code: '429', message: /per-day/, kind: 'quota' },
  // 400 "x is not a valid model ID"; 404 "No endpoints found …", "No allowed providers are available …"
  { message: /is not a valid model id|no endpoints found|no allowed providers/i, kind: 'model_unavailable' },
  // Under an error status the words of context length and content filter are the shared reading's.
  { status: 200, message: /maximum context length|prompt is too long/i, kind: 'context_length' },
  { status: 200, code: /^(400|413|422)$/, kind: 'invalid_request' },
  { status: 200, code: /^(401|403)$/, kind: 'auth' },
  { status: 200, code: '404', kind: 'model_unavailable' },
  { status: 200, code: /^(408|504|524)$/, kind: 'timeout' },
  { status: 200, code: '429', kind: 'rate_limit' },
  { status: 200, code: /^(503|529)$/, kind: 'overloaded' },
]
