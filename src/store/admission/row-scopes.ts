// Whom a row counts for, and where that one's purse lies.

import type { Scope } from '#core/admission.ts'
import type { AttemptRow } from '#core/ledger.ts'
import { tagOf } from './lease-words.ts'
import { periodText } from './periods.ts'

/** As the ledger groups them: key, team and organisation by its tags, target and its provider. */
export function scopeIdsOf(row: AttemptRow): readonly string[] {
  const { team, organisation } = row.tags
  return [
    `key:${row.key}`,
    ...(team === undefined ? [] : [`team:${team}`]),
    ...(organisation === undefined ? [] : [`organisation:${organisation}`]),
    `provider:${row.target.slice(0, Math.max(0, row.target.indexOf('/')))}`,
    `target:${row.target}`,
  ]
}

/** Where its purse lies, and of which periods it is. */
export function purseOf(scope: Scope): string {
  return `${tagOf(scope)} ${scope.budget === null ? '' : periodText(scope.budget.period)}`
}
