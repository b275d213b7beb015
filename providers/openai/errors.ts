// OpenAI's errors: https://platform.openai.com/docs/guides/error-codes. The codes of context length, quota,
// rate, model and key are those that the shared reading knows; here stands what it cannot.

import type { ErrorRule } from '#core/provider.ts'

export const ERRORS: readonly ErrorRule[] = [
  // Said of every string; only of the prompt it is a matter of length.
  { code: 'string_above_max_length', message: /messages|input/, kind: 'context_length' },
  // "Request too large for gpt-4o … on tokens per min (TPM): Limit 30000, Requested 250011. The input or output tokens
  // must be reduced": no wait makes it fit.
  { message: /^request too large/i, kind: 'context_length' },
  // "Invalid prompt: your prompt was flagged as potentially violating our usage policy."
  { code: 'invalid_prompt', kind: 'moderation' },
  { message: /result of our safety system/i, kind: 'moderation' },
  // 503, and 429 "That model is currently overloaded with other requests."
  { message: /currently overloaded/i, kind: 'overloaded' },
  // "Your organization must be verified to stream this model." is a 400 `unsupported_value`.
  { message: /must be verified to/i, kind: 'model_unavailable' },
]
