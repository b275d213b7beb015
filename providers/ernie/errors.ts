// Qianfan's two error tables. V2: https://cloud.baidu.com/doc/qianfan-api/s/rmwbl43x7 (words as codes). V1:
// https://ai.baidu.com/ai-doc/WENXINWORKSHOP/tlmyncueh (numbers, under HTTP 200).

import type { ErrorRule } from '#core/provider.ts'

const V2: readonly ErrorRule[] = [
  { type: 'unsafe_request', kind: 'moderation' },
  { code: /^(system|user_setting|functions|image_url)_unsafe$/, kind: 'moderation' },
  { code: /^(tokens|characters)_too_long$/, kind: 'context_length' },
  { code: 'account_overdue', kind: 'quota' },
  // A wrong model name is a 401 and says nothing against the key; an empty one is a 400.
  { code: 'invalid_model', status: 400, kind: 'invalid_request' },
  { code: /^(invalid_model|model_offline)$/, kind: 'model_unavailable' },
  { code: 'no_parameter_permission', kind: 'invalid_request' },
  { code: /^(invalid_appid|invalid_iam_token)$/, kind: 'auth' },
  // Older answers carry these under HTTP 200 as {code, msg}.
  { code: /rate_limit_exceeded$|^Offline_batch_reasoning_refused$/i, kind: 'rate_limit' },
  { type: 'rate_limit_exceeded', kind: 'rate_limit' },
  { code: /^(dispatch_)?internal_error$/i, kind: 'server' },
  // What is left falls to its status; inside a stream there is none to fall to.
  { status: 200, code: /^(malformed_json|invalid_\w+)$/, kind: 'invalid_request' },
]

const V1: readonly ErrorRule[] = [
  // The token went stale: fetched anew, once.
  { code: /^11[01]$/, kind: 'auth', renew: true },
  { code: /^(6|13|14|15|100|336004)$/, kind: 'auth' },
  { code: /^(2|336100)$/, kind: 'overloaded' },
  // 17 also means that the paid service is not opened, or arrears; 19 the total is used up.
  { code: /^(17|19)$/, kind: 'quota' },
  { code: /^(4|18|33650[1-7])$/, kind: 'rate_limit' },
  { code: /^(3|336005)$/, kind: 'model_unavailable' },
  { code: /^(336007|336103)$/, kind: 'context_length' },
  { code: /^33610[45]$/, kind: 'moderation' },
  { code: /^(336001|336002|336003|336006|336101)$/, kind: 'invalid_request' },
  { code: /^(1|336000|500000)$/, kind: 'server' },
]

export const ERRORS: readonly ErrorRule[] = [...V2, ...V1]
