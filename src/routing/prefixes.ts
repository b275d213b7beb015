// Which prompt prefixes an upstream has seen, and how often its cache then had them.

import { Recent } from './recent.ts'

/** Of the prompt, that each prefix is longer than the one before. */
const PREFIX_TOKENS = 512
/** Each names a whole prefix; the oldest are forgotten. */
const PREFIXES_KEPT = 20_000
/** Ages of the last use, each with a hit rate of its own: caches forget. */
const AGES_MS = [60_000, 180_000, 600_000, 1_800_000, Number.POSITIVE_INFINITY]
const PRIOR_RATE = 0.5
const PRIOR_WEIGHT = 4
const KEPT = 0.99

export interface Expected {
  /** Tokens that are cached if the cache still has them; 0: never seen. */
  readonly tokens: number
  readonly ageMs: number
}

/** Nothing of the prompt has been there. */
export const UNSEEN: Expected = { tokens: 0, ageMs: 0 }

export class PrefixLog {
  readonly #seenAtMs = new Recent<string | number, number>(PREFIXES_KEPT)
  /** Where prompts name no prefixes: the length of a session's last one. */
  readonly #sessions = new Recent<string, { readonly tokens: number; readonly atMs: number }>(PREFIXES_KEPT)
  readonly #hits = new Float64Array(AGES_MS.length)
  readonly #asked = new Float64Array(AGES_MS.length)

  /** The longest prefix of the prompt that has been sent there. */
  expect(prefixes: readonly (string | number)[], inputTokens: number, nowMs: number): Expected {
    // A prefix that was seen has all shorter ones seen with it: the boundary is found by halving.
    let low = 0
    let high = prefixes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#seenAtMs.has(prefixes[middle] ?? '')) low = middle + 1
      else high = middle
    }
    if (low === 0) return UNSEEN
    const seenAtMs = this.#seenAtMs.get(prefixes[low - 1] ?? '') ?? nowMs
    return { tokens: Math.min(low * PREFIX_TOKENS, inputTokens), ageMs: nowMs - seenAtMs }
  }

  /** A session's prompts continue one another. */
  expectSession(session: string, inputTokens: number, nowMs: number): Expected {
    const last = this.#sessions.get(session)
    if (last === undefined) return UNSEEN
    return { tokens: Math.min(last.tokens, inputTokens), ageMs: nowMs - last.atMs }
  }

  /** When its last request was sent there; -Infinity: none has been. */
  sessionAtMs(session: string): number {
    return this.#sessions.get(session)?.atMs ?? Number.NEGATIVE_INFINITY
  }

  sentSession(session: string, inputTokens: number, nowMs: number): void {
    this.#sessions.set(session, { tokens: inputTokens, atMs: nowMs })
  }

  hitRate(ageMs: number): number {
    const bin = binOf(ageMs)
    return ((this.#hits[bin] ?? 0) + PRIOR_RATE * PRIOR_WEIGHT) / ((this.#asked[bin] ?? 0) + PRIOR_WEIGHT)
  }

  sent(prefixes: readonly (string | number)[], nowMs: number): void {
    for (const prefix of prefixes) this.#seenAtMs.set(prefix, nowMs)
  }

  learn(expected: Expected, cachedTokens: number): void {
    if (expected.tokens === 0) return
    const bin = binOf(expected.ageMs)
    this.#hits[bin] = (this.#hits[bin] ?? 0) * KEPT + Math.min(1, cachedTokens / expected.tokens)
    this.#asked[bin] = (this.#asked[bin] ?? 0) * KEPT + 1
  }
}

function binOf(ageMs: number): number {
  let bin = 0
  while (ageMs > (AGES_MS[bin] ?? Number.POSITIVE_INFINITY)) bin++
  return bin
}
