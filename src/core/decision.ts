// A decision as text, for logs.

import type { Decision } from './ledger.ts'

/** JSON; `null` for none. Not remembered: a table of texts by object costs the collector more than making one twice. */
export function decisionText(decision: Decision | null): string {
  return JSON.stringify(decision)
}
