// Repeatable chance: the same seed and the same prompts give the same answers, ids and delays.

export interface Random {
  /** In [0, 1). */
  unit(): number
  /** An integer in [0, bound). */
  below(bound: number): number
  pick<Item>(items: readonly [Item, ...Item[]]): Item
  hex(length: number): string
  uuid(): string
}

/** FNV-1a over UTF-16 units, 32 bits; `from` chains hashes. */
export function hashText(text: string, from = 0x811c9dc5): number {
  let hash = from
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash >>> 0
}

/** mulberry32: small, quick, good enough for jitter and prose. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const unit = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (bound: number): number => Math.floor(unit() * bound)
  const hex = (length: number): string => Array.from({ length }, () => below(16).toString(16)).join('')
  return {
    unit,
    below,
    hex,
    pick: (items) => items[below(items.length)] ?? items[0],
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-9${hex(3)}-${hex(12)}`,
  }
}
