// A price list as plain data over a span of time: what tokens would have cost at one target. Stores value rows by it.

import { convertNano, type Micro, NANO_ZERO, type Nano, type Pico, roundToNano } from './money.ts'

/** Ends of a span where nothing is said, and a bound that is none: numbers that JSON has too. */
export const EVER_MS = 8_640_000_000_000_000
export const NO_BOUND = Number.MAX_SAFE_INTEGER

/** Native micro per million tokens. */
export interface TariffTier {
  /** Whole-request bounds, inclusive; `NO_BOUND`: none. */
  readonly inputTokensMax: number
  readonly outputTokensMax: number
  readonly input: bigint
  readonly cachedInput: bigint
  readonly output: bigint
  /** Of answers that were thought about. */
  readonly thinkingOutput: bigint
}

/** Half-open, epoch ms; from `-EVER_MS`, to `EVER_MS` where nothing is said. */
export interface TariffSpan {
  readonly fromMs: number
  readonly toMs: number
  /** Book units per unit of its currency; null: it is the books'. */
  readonly rate: Micro | null
  /** In order; the first that fits prices the whole request, past the last limit the last one does. */
  readonly tiers: readonly TariffTier[]
}

/** In order of time, without overlaps; what lies between has no price. */
export type Tariff = readonly TariffSpan[]

/** By what usage is valued: one target's prices for all of it, and each target's own. */
export interface Valuation {
  /** null: nothing is compared with. */
  readonly baseline: Tariff | null
  /** What hits of a cache saved, by target; null: not asked for. */
  readonly own: Readonly<Record<string, Tariff>> | null
}

/** Book currency. */
export interface Values {
  /** What the tokens would have cost at the baseline. */
  readonly baselineNano: Nano
  /** What they did cost with its corrections, but for those left out. */
  readonly comparedNano: Nano
  /** Attempts that the baseline cannot price, or of which only sums are known where their lengths matter. */
  readonly baselineLeftOut: number
  /** What cached input would have cost more without a cache. */
  readonly cacheSavingNano: Nano
  readonly cacheLeftOut: number
}

export interface ValuedTokens {
  readonly attempts: number
  readonly inputTokens: number
  readonly cachedInputTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly costNano: Nano
  readonly adjustmentNano: Nano
}

export const NO_VALUES: Values = Object.freeze({
  baselineNano: NANO_ZERO,
  comparedNano: NANO_ZERO,
  baselineLeftOut: 0,
  cacheSavingNano: NANO_ZERO,
  cacheLeftOut: 0,
})

export function addValues(left: Values, right: Values): Values {
  return {
    baselineNano: (left.baselineNano + right.baselineNano) as Nano,
    comparedNano: (left.comparedNano + right.comparedNano) as Nano,
    baselineLeftOut: left.baselineLeftOut + right.baselineLeftOut,
    cacheSavingNano: (left.cacheSavingNano + right.cacheSavingNano) as Nano,
    cacheLeftOut: left.cacheLeftOut + right.cacheLeftOut,
  }
}

/** Whether sums are enough: no price depends on the length, the hour or the day of a request. */
export function isByRowsOnly({ baseline, own }: Valuation): boolean {
  return [...(baseline === null ? [] : [baseline]), ...Object.values(own ?? {})].some(
    (tariff) => !isFlat(tariff),
  )
}

/** Of one attempt, or of a sum of several. */
export function valuesOf(
  { baseline, own }: Valuation,
  target: string,
  atMs: number,
  tokens: ValuedTokens,
): Values {
  // A correction by itself has no tokens.
  const isCorrection = tokens.attempts === 0
  const compared = baseline === null ? null : isCorrection ? NANO_ZERO : costAt(baseline, atMs, tokens)
  const isLeftOut = baseline !== null && compared === null
  const tariff = own === null || !Object.hasOwn(own, target) ? undefined : own[target]
  const saved = tariff === undefined ? null : savedAt(tariff, atMs, tokens)
  const isUnknown = own !== null && tokens.cachedInputTokens > 0 && saved === null
  return {
    baselineNano: compared ?? NANO_ZERO,
    comparedNano:
      baseline === null || isLeftOut ? NANO_ZERO : ((tokens.costNano + tokens.adjustmentNano) as Nano),
    baselineLeftOut: isLeftOut ? tokens.attempts : 0,
    cacheSavingNano: saved ?? NANO_ZERO,
    cacheLeftOut: isUnknown ? tokens.attempts : 0,
  }
}

function costAt(tariff: Tariff, atMs: number, tokens: ValuedTokens): Nano | null {
  return priced(tariff, atMs, tokens, (tier) => {
    const cached = Math.min(tokens.cachedInputTokens, tokens.inputTokens)
    const output = tokens.reasoningTokens > 0 ? tier.thinkingOutput : tier.output
    return (
      BigInt(tokens.inputTokens - cached) * tier.input +
      BigInt(cached) * tier.cachedInput +
      BigInt(tokens.outputTokens) * output
    )
  })
}

function savedAt(tariff: Tariff, atMs: number, tokens: ValuedTokens): Nano | null {
  return priced(tariff, atMs, tokens, (tier) => {
    const cached = Math.min(tokens.cachedInputTokens, tokens.inputTokens)
    return BigInt(cached) * (tier.input - tier.cachedInput)
  })
}

/** Micro per million tokens × tokens = pico; rounded once, as a bill is. */
function priced(
  tariff: Tariff,
  atMs: number,
  { attempts, inputTokens, outputTokens }: ValuedTokens,
  pico: (tier: TariffTier) => bigint,
): Nano | null {
  if (attempts !== 1 && !isFlat(tariff)) return null
  const span = spanAt(tariff, atMs)
  const tier =
    span?.tiers.find((row) => inputTokens <= row.inputTokensMax && outputTokens <= row.outputTokensMax) ??
    span?.tiers.at(-1)
  if (span === undefined || tier === undefined) return null
  const native = roundToNano(pico(tier) as Pico)
  return span.rate === null ? native : convertNano(native, span.rate)
}

function spanAt(tariff: Tariff, atMs: number): TariffSpan | undefined {
  let low = 0
  let high = tariff.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((tariff[middle]?.toMs ?? 0) <= atMs) low = middle + 1
    else high = middle
  }
  const span = tariff[low]
  return span !== undefined && span.fromMs <= atMs ? span : undefined
}

function isFlat(tariff: Tariff): boolean {
  const [span] = tariff
  const [tier] = span?.tiers ?? []
  if (span === undefined || tier === undefined) return true
  const isForEver = tariff.length === 1 && span.fromMs === -EVER_MS && span.toMs === EVER_MS
  // Past the last limit the last row holds, so one row is for all requests whatever its limits.
  const isForAll = span.tiers.length === 1 || !hasBounds(tier)
  return isForEver && isForAll && tier.output === tier.thinkingOutput
}

function hasBounds({ inputTokensMax, outputTokensMax }: TariffTier): boolean {
  return inputTokensMax !== NO_BOUND || outputTokensMax !== NO_BOUND
}
