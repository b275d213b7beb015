// Spark's error codes: https://www.xfyun.cn/doc/spark/接口说明.html. The HTTP status says little (rate limits come
// as 500), the number in `code` everything. What is not here is the server's own fault.

import type { ErrorRule } from '#core/provider.ts'

export const ERRORS: readonly ErrorRule[] = [
  // `invalid param model:gpt-4x (sid: …)` has the number of any wrong parameter.
  { code: '10005', message: /invalid param model/i, kind: 'model_unavailable' },
  // Of the input, of the output in mid-stream, and of the conversation as a whole.
  { code: /^(10013|10014|10019|10021)$/, kind: 'moderation' },
  { code: '10907', kind: 'context_length' },
  // One question of a user at a time, an app's requests a second, an app's requests at once.
  { code: /^(10006|10007|11202|11203)$/, kind: 'rate_limit' },
  // Out of capacity, and busy.
  { code: /^(10008|10110)$/, kind: 'overloaded' },
  // Licence or tokens used up, and the day's volume.
  { code: /^(10016|11201)$/, kind: 'quota' },
  // AppIdNoAuthError: the app has no licence for this model. 10404: address and model do not belong together.
  { code: /^(11200|10404)$/, kind: 'model_unavailable' },
  // On the black list.
  { code: '10015', kind: 'auth' },
  { message: /invalid user|HMAC signature/i, kind: 'auth' },
  { code: /^(10003|10004|10005|10163)$/, kind: 'invalid_request' },
]
