// How a target's time to first token comes about: the world that the planner's model fits, and one it does not.

import { normalQuantile, normalShare } from './random.ts'
import type { SimulatedTarget } from './targets.ts'

export interface Physics {
  readonly name: 'fitting' | 'misspecified'
  /** Of a token bucket: what may come at once, as seconds of its rate. */
  readonly burstSeconds: number
  idleMs(target: SimulatedTarget, uncachedTokens: number): number
  /** By requests in flight ÷ knee. */
  loadFactor(fullness: number): number
  /** A factor around 1 from two numbers in (0, 1). */
  noise(target: SimulatedTarget, chance: number, mode: number): number
  /** The share of factors, without the tail, that are at most `factor`. */
  noiseShare(target: SimulatedTarget, factor: number): number
}

/** Linear prefill, quadratic load, log-normal noise. */
export const FITTING: Physics = {
  name: 'fitting',
  burstSeconds: 10,
  idleMs: (target, uncachedTokens) => target.baseMs + target.msPerInputToken * uncachedTokens,
  loadFactor: (fullness) => 1 + fullness * fullness,
  noise: (target, chance) => Math.exp(target.deviation * normalQuantile(chance)),
  noiseShare: (target, factor) => (factor <= 0 ? 0 : normalShare(Math.log(factor) / target.deviation)),
}

/** Where both powers of the prompt cost the same. */
const PREFILL_PIVOT_TOKENS = 8000
const SLOW_MODE = { share: 0.15, factor: 1.9 }
const QUICK_MODE = { factor: 0.88 }
const MODE_DEVIATION_SHARE = 0.5

/** Prefill by n^1.3, load that is free to 60 % of the knee and then steep, two modes of noise, a third of the burst. */
export const MISSPECIFIED: Physics = {
  name: 'misspecified',
  burstSeconds: 10 / 3,
  idleMs: (target, uncachedTokens) =>
    target.baseMs +
    target.msPerInputToken * PREFILL_PIVOT_TOKENS * (uncachedTokens / PREFILL_PIVOT_TOKENS) ** 1.3,
  loadFactor: (fullness) => 1 + 4 * Math.max(0, fullness - 0.6),
  noise: (target, chance, mode) =>
    (mode < SLOW_MODE.share ? SLOW_MODE.factor : QUICK_MODE.factor) *
    Math.exp(MODE_DEVIATION_SHARE * target.deviation * normalQuantile(chance)),
  noiseShare: (target, factor) => {
    if (factor <= 0) return 0
    const deviation = MODE_DEVIATION_SHARE * target.deviation
    return (
      SLOW_MODE.share * normalShare(Math.log(factor / SLOW_MODE.factor) / deviation) +
      (1 - SLOW_MODE.share) * normalShare(Math.log(factor / QUICK_MODE.factor) / deviation)
    )
  },
}

const TAIL_MIN = 3
const TAIL_MAX = 8
const TAIL_STEPS = 8

export function tailFactor(chance: number): number {
  return TAIL_MIN + (TAIL_MAX - TAIL_MIN) * chance
}

/** The share of factors, tail included, that are at most `factor`. */
export function factorShare(physics: Physics, target: SimulatedTarget, factor: number): number {
  const body = physics.noiseShare(target, factor)
  if (target.tailShare === 0 || factor <= 0) return body
  let tail = 0
  for (let step = 0; step < TAIL_STEPS; step += 1)
    tail += physics.noiseShare(target, factor / tailFactor((step + 0.5) / TAIL_STEPS))
  return (1 - target.tailShare) * body + (target.tailShare * tail) / TAIL_STEPS
}

/** Standard deviation of the logarithm of the time per output token. */
const SPEED_DEVIATION = 0.12

export function msPerOutputToken(target: SimulatedTarget, chance: number): number {
  return (1000 / target.tokensPerSecond) * Math.exp(SPEED_DEVIATION * normalQuantile(chance))
}

export function speedShare(target: SimulatedTarget, msPerToken: number): number {
  return normalShare(Math.log((msPerToken * target.tokensPerSecond) / 1000) / SPEED_DEVIATION)
}
