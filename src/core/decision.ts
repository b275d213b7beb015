// A decision as text. It is written when its request opens, when it ends and to the log, and never changes: made once.

import type { Decision } from './ledger.ts'

const texts = new WeakMap<Decision, string>()

/** JSON; `null` for none. */
export function decisionText(decision: Decision | null): string {
  if (decision === null) return 'null'
  let text = texts.get(decision)
  if (text === undefined) {
    text = JSON.stringify(decision)
    texts.set(decision, text)
  }
  return text
}
