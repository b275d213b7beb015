// Closed months ↔ fields of their hash.

import type { ClosedMonth } from '#core/month-close.ts'

export const monthField = (month: string): string => `m ${month}`
export const totalField = (month: string): string => `t ${month}`

export function monthText({ total: _, ...month }: ClosedMonth): string {
  return JSON.stringify(month)
}

/** Oldest first. */
export function parseMonths(fields: Readonly<Record<string, string>>): readonly ClosedMonth[] {
  return Object.entries(fields)
    .filter(([field]) => field.startsWith('m '))
    .map(([, text]) => JSON.parse(text) as Omit<ClosedMonth, 'total'>)
    .map((month) => ({ ...month, total: fields[totalField(month.month)] ?? null }))
    .sort((left, right) => (left.month < right.month ? -1 : 1))
}
