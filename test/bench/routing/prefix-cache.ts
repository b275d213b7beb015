// Which prefixes a target's cache holds, and what a request costs there.

import type { PriceTier, SimulatedTarget } from './targets.ts'
import { BLOCK_TOKENS } from './traces.ts'

/** One target's cache: blocks live for the target's TTL after their last use. */
export class PrefixCache {
  readonly #expiresAt: Float64Array
  readonly #ttlMs: number

  constructor(blockCount: number, ttlMs: number) {
    this.#expiresAt = new Float64Array(ttlMs > 0 ? blockCount : 0)
    this.#ttlMs = ttlMs
  }

  /** Tokens of the longest prefix that is held, at most `inputTokens`. A block is held only with those before it. */
  heldTokens(prefix: Int32Array, inputTokens: number, at: number): number {
    let blocks = 0
    while (blocks < prefix.length && (this.#expiresAt[prefix[blocks] ?? 0] ?? 0) > at) blocks += 1
    return Math.min(blocks * BLOCK_TOKENS, inputTokens)
  }

  store(prefix: Int32Array, at: number): void {
    if (this.#ttlMs === 0) return
    for (let index = 0; index < prefix.length; index += 1)
      this.#expiresAt[prefix[index] ?? 0] = at + this.#ttlMs
  }
}

/** The tier whose bound holds the input prices all of it, past the last bound the last. */
function tierFor(target: SimulatedTarget, inputTokens: number): PriceTier {
  const tiers = target.tiers
  let index = 0
  while (index < tiers.length - 1 && inputTokens > (tiers[index]?.tokensUpTo ?? 0)) index += 1
  return tiers[index] as PriceTier
}

/** CNY, before any time band. */
export function listCost(
  target: SimulatedTarget,
  inputTokens: number,
  cachedTokens: number,
  outputTokens: number,
): number {
  const tier = tierFor(target, inputTokens)
  const input = (inputTokens - cachedTokens) * tier.input + cachedTokens * tier.cached
  return (input + outputTokens * tier.output) / 1_000_000
}
