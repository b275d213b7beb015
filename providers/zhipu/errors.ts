// Zhipu's business codes: https://docs.bigmodel.cn/cn/api/api-code, https://docs.z.ai/api-reference/api-code. `code`
// is a number as text and decides alone: 429 is concurrency, overload, an empty account and a locked one alike.

import type { ErrorRule } from '#core/provider.ts'

export const ERRORS: readonly ErrorRule[] = [
  // The token has run out before its time (a clock that is off): sign another one.
  { code: '1003', kind: 'auth', renew: true },
  { code: /^100[0-5]$/, kind: 'auth' },
  // The account is inactive, missing or locked.
  { code: /^11(1[0-2]|21)$/, kind: 'auth' },
  { code: '1113', kind: 'quota' },
  // The account cannot be read just now, the call failed inside, the network.
  { code: /^(500|1100|1120|1200|1230|1234)$/, kind: 'server' },
  { code: /^12(11|20|21|22)$/, kind: 'model_unavailable' },
  { code: '1261', kind: 'context_length' },
  { code: '1301', kind: 'moderation' },
  { code: /^130[23]$/, kind: 'rate_limit' },
  // The day's calls, and the windows and spending limits of a coding plan: back at a time that the text names.
  { code: /^13(04|08|09|10|1[6-9]|2[01])$/, kind: 'quota' },
  // Fair use: lifted on request only.
  { code: '1313', kind: 'quota' },
  // The model, not the account, has too many callers.
  { code: /^13(05|12)$/, kind: 'overloaded' },
  // Not in this plan.
  { code: '1311', kind: 'model_unavailable' },
  // No permission for a closed beta.
  { status: 434, kind: 'model_unavailable' },
  // 1210 and 1212 to 1215 (parameters), 1231 and 1300 fall to their status, 400.
]
