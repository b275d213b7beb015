// SiliconFlow's error table (docs.siliconflow.cn/cn/faqs/error-code and the code list of its former edition). The
// shape follows the status: 400 and 503 are `{code, message, data}`, 429 the same without a code, 401, 403, 404 and
// 504 a bare JSON string; a code is a number.

import type { ErrorRule } from '#core/provider.ts'

export const ERRORS: readonly ErrorRule[] = [
  // 20015 is any wrong parameter; "length of prompt_tokens (N) must be less than max_seq_len (M)" is this one.
  { message: /max_seq_len/i, kind: 'context_length' },
  // "System is really busy, please try again later" comes under 20015 and as `detail` without a code.
  { message: /system is really busy/i, kind: 'overloaded' },
  { code: /^(50505|50508|50603)$/, kind: 'overloaded' },
  // NSFWCode, HTTP 451.
  { code: '20021', kind: 'moderation' },
  // Money: the balance, and models for accounts that have paid something.
  { code: /^(30001|30011)$/, kind: 'quota' },
  // A day's allowance does not come back in a moment.
  { code: /^(50605|50606|50608)$/, kind: 'quota' },
  { status: 429, message: /\b[RTI]PD limit reached/, kind: 'quota' },
  { code: /^5060[1247]$/, kind: 'rate_limit' },
  // Unknown, withdrawn, or not for this account: real-name verification, a tier, an owner.
  { code: /^(20012|300(03|04|05|06|07|10))$/, kind: 'model_unavailable' },
  { code: /^30\d{3}$/, kind: 'auth' },
  { code: /^505(01|04|06|09)$/, kind: 'timeout' },
  // What is left falls to its status; behind a 200 there is none to fall to.
  { status: 200, code: /^20\d{3}$/, kind: 'invalid_request' },
]
