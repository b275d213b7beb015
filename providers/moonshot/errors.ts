// Moonshot's error table: https://platform.kimi.com/docs/api/errors, and that of Kimi Code
// (https://www.kimi.com/code/docs/en/kimi-code/error-reference.html), whose host speaks the same dialect. `type`
// decides, there is no `code`; overload, rate limit and an empty account are all 429.

import type { ErrorRule } from '#core/provider.ts'

export const ERRORS: readonly ErrorRule[] = [
  { type: 'content_filter', kind: 'moderation' },
  { type: /^(invalid_authentication|incorrect_api_key)_error$/, kind: 'auth' },
  { type: 'exceeded_current_quota_error', kind: 'quota' },
  { type: 'engine_overloaded_error', kind: 'overloaded' },
  // Kimi Code: the allowance of a plan under 403 and 429; a moment's waiting does not bring it back.
  { message: /reached your usage limit|insufficient balance/i, kind: 'quota' },
  { type: 'rate_limit_reached_error', kind: 'rate_limit' },
  // "Not found the model X or Permission denied"
  { type: 'resource_not_found_error', kind: 'model_unavailable' },
  // "total message size N exceeds limit 2097152" counts bytes; a larger window may take it all the same.
  {
    type: 'invalid_request_error',
    message: /token length too long|exceeded model token limit|message size \d+ exceeds/i,
    kind: 'context_length',
  },
  { type: 'invalid_request_error', kind: 'invalid_request' },
]
