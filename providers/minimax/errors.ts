// MiniMax's error table: https://platform.minimax.io/docs/api-reference/errorcode. A number says what happened:
// it stands in `base_resp.status_code` behind a 200, at the end of the message under other statuses.

import type { FailureKind } from '#core/errors.ts'
import type { ErrorRule } from '#core/provider.ts'

/** The rest are the server's own faults: 1000, 1013, 1024, 1033. */
const KINDS: readonly (readonly [kind: FailureKind, numbers: string])[] = [
  ['auth', '1004|2049'],
  // 2056: the hours or the week of a token plan are used up. 1028, 1030: MiniMax-AI/cli src/errors/api.ts.
  ['quota', '1008|1028|1030|2056'],
  // Requests, tokens, connections, and growth too fast.
  ['rate_limit', '1002|1039|1041|2045'],
  // "The server cluster is currently under high load", status 529.
  ['overloaded', '2064'],
  // Of the input and of the output.
  ['moderation', '1026|1027'],
  // No permission for the interface; "your current token plan not support model".
  ['model_unavailable', '2044|2061'],
  ['timeout', '1001'],
  // 1042: too many invisible characters.
  ['invalid_request', '1042|2013|20132'],
]

export const ERRORS: readonly ErrorRule[] = [
  // Both are a 2013 that only its words tell apart.
  { message: /context window exceeds limit/i, kind: 'context_length' },
  { message: /unknown model/i, kind: 'model_unavailable' },
  ...KINDS.flatMap(([kind, numbers]): ErrorRule[] => [
    { code: new RegExp(`^(${numbers})$`), kind },
    { message: new RegExp(`\\((${numbers})\\)`), kind },
  ]),
]
