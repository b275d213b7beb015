// A cache of prompt prefixes, in blocks: a request finds as many tokens cached as whole leading blocks were seen.

import { hashText } from './random.ts'
import { DEFAULT_PREFIX_CACHE, type PrefixCacheConfig } from './settings.ts'
import type { Prompt } from './tokens.ts'

const BLOCKS_MAX = 50_000

export class PrefixCache {
  readonly #minTokens: number
  readonly #blockTokens: number
  readonly #ttlMs: number
  /** Hash of a prefix → when it is forgotten. The oldest use stands first. */
  readonly #blocks = new Map<string, number>()
  readonly #explicit = new Map<string, number>()

  constructor(config: PrefixCacheConfig) {
    this.#minTokens = config.minTokens ?? DEFAULT_PREFIX_CACHE.minTokens
    this.#blockTokens = config.blockTokens ?? DEFAULT_PREFIX_CACHE.blockTokens
    this.#ttlMs = config.ttlMs ?? DEFAULT_PREFIX_CACHE.ttlMs
  }

  /** How many leading tokens are cached: whole blocks, and never all, since the last token must be computed. */
  cachedTokens(tokens: readonly string[], nowMs: number): number {
    let cached = 0
    for (const [index, hash] of this.#hashes(tokens).entries()) {
      if ((this.#blocks.get(hash) ?? 0) <= nowMs) break
      cached = (index + 1) * this.#blockTokens
    }
    return cached < this.#minTokens ? 0 : cached
  }

  /** An explicit cache: the longest marked prefix that was written before, and what this request writes. */
  explicit(prompt: Prompt, nowMs: number): { readonly cached: number; readonly written: number } {
    const marks = prompt.marks.filter((mark) => mark >= this.#minTokens)
    const isKnown = (mark: number): boolean => (this.#explicit.get(hashOf(prompt.tokens, mark)) ?? 0) > nowMs
    const cached = marks.findLast(isKnown) ?? 0
    for (const mark of marks) remember(this.#explicit, hashOf(prompt.tokens, mark), nowMs + this.#ttlMs)
    return { cached, written: (marks.at(-1) ?? cached) - cached }
  }

  store(tokens: readonly string[], nowMs: number): void {
    for (const hash of this.#hashes(tokens)) {
      remember(this.#blocks, hash, nowMs + this.#ttlMs)
    }
  }

  #hashes(tokens: readonly string[]): readonly string[] {
    const size = this.#blockTokens
    const count = Math.min(Math.floor((tokens.length - 1) / size), BLOCKS_MAX)
    const hashes: string[] = []
    let low = hashText('')
    let high = hashText('prefix')
    for (let block = 0; block < count; block++) {
      const text = tokens.slice(block * size, (block + 1) * size).join('\u0000')
      low = hashText(text, low)
      high = hashText(text, high)
      hashes.push(`${low.toString(36)}.${high.toString(36)}`)
    }
    return hashes
  }
}

function remember(entries: Map<string, number>, hash: string, untilMs: number): void {
  entries.delete(hash)
  entries.set(hash, untilMs)
  for (const oldest of entries.keys()) {
    if (entries.size <= BLOCKS_MAX) break
    entries.delete(oldest)
  }
}

function hashOf(tokens: readonly string[], length: number): string {
  const text = tokens.slice(0, length).join('\u0000')
  return `${hashText(text).toString(36)}.${hashText(text, hashText('prefix')).toString(36)}`
}
