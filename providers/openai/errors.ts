// OpenAI's errors: https://platform.openai.com/docs/guides/error-codes. The code decides; 429 is rate and money.

import type { ErrorRule } from '#core/provider.ts'

export const ERRORS: readonly ErrorRule[] = [
  { code: 'context_length_exceeded', kind: 'context_length' },
  { code: 'string_above_max_length', kind: 'context_length' },
  // "Request too large for gpt-4o … on tokens per min (TPM): Limit 30000, Requested 250011. The input or output tokens
  // must be reduced": no wait makes it fit.
  { message: /^request too large/i, kind: 'context_length' },
  { code: /^content_(filter|policy_violation)$/, kind: 'moderation' },
  // "Invalid prompt: your prompt was flagged as potentially violating our usage policy."
  { code: 'invalid_prompt', kind: 'moderation' },
  { message: /rejected as a result of our safety system|violating our usage policy/i, kind: 'moderation' },
  { code: /^(insufficient_quota|billing_\w+|access_terminated|account_deactivated)$/, kind: 'quota' },
  { type: 'insufficient_quota', kind: 'quota' },
  // 503 "Slow Down", and "The model is currently overloaded with other requests" or "The engine is …".
  { code: /^(slow_down|server_is_overloaded)$/, kind: 'overloaded' },
  { message: /overloaded|slow down/i, kind: 'overloaded' },
  { code: 'rate_limit_exceeded', kind: 'rate_limit' },
  { code: /^model_not_(found|available)$|^model_decommissioned$/, kind: 'model_unavailable' },
  // "Your organization must be verified to stream this model."
  { message: /must be verified to/i, kind: 'model_unavailable' },
  { code: /^(invalid_api_key|invalid_organization|mismatched_organization|ip_not_authorized)$/, kind: 'auth' },
  { code: 'unsupported_country_region_territory', kind: 'auth' },
  { type: 'invalid_request_error', status: 400, kind: 'invalid_request' },
  // An error event in a stream has type and message alone.
  { type: /^(server_error|internal_error)$/, kind: 'server' },
]
