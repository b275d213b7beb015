// Settings that are known and not in force yet. They are refused by name: ignoring them would change what a
// request may cost.

import type { Path } from './problems.ts'

/** By the place they stand in; `*` is any name or index. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  ledger: ['redis_rows', 'archive'],
}

const NAMED = new Set(['providers', 'prices', 'models', 'policies'])

/** `path` is the mapping that holds the key. */
export function isLaterKey(path: Path, key: string): boolean {
  return KEYS[placeOf(path)]?.includes(key) === true
}

function placeOf(path: Path): string {
  const [room] = path
  return path
    .map((part, index) => (typeof part === 'number' || (index === 1 && NAMED.has(String(room))) ? '*' : part))
    .join('.')
}
