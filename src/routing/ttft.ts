// Time to first token of one target: (a + b · uncached prompt tokens) × load × how slow it is now × noise.

import { wasSetBack } from './clock.ts'
import { asUsual, chanceBelow, hangShare, LevelFilter, massAbove, meanLevel, weighSilence } from './level.ts'
import { Noise } from './noise.ts'

/** What a catalogue or experience says of a target before it has answered. */
export interface LatencyPrior {
  readonly ttftMs: number
  readonly msPer1kInput: number
  readonly tokensPerSecond: number
}

/** Medians over hosted models (ROUTING.md 2c, 3). */
export const DEFAULT_PRIOR: LatencyPrior = { ttftMs: 800, msPer1kInput: 100, tokensPerSecond: 40 }

/** Requests that are waited for, beyond which more are no further evidence. */
const SILENT_MAX = 16
/** Answers are forgotten by count: the shape of a target changes far slower than its level. */
const KEPT = 0.995
const LENGTH_BINS = 11
const LOAD_BINS = 9
const LOAD_UNIT = 10

export class TtftModel {
  readonly level = new LevelFilter()
  readonly noise = new Noise()
  samples = 0
  readonly #waiting: Waiting[] = []
  /** When the youngest request that has answered was sent. */
  #answeredSentAtMs = Number.NEGATIVE_INFINITY
  #aMs: number
  #bMs: number
  // Sums of the weighted least squares for a and b; tokens are counted in thousands.
  #s11 = 0
  #s12 = 0
  #s22 = 0
  #r1 = 0
  #r2 = 0
  #loadFactor = 0.15
  readonly #lengthOffsets = new Offsets(LENGTH_BINS)
  readonly #loadOffsets = new Offsets(LOAD_BINS)
  readonly #scratch: Float64Array
  #scratchAtMs = Number.NaN

  constructor(prior: LatencyPrior) {
    this.#aMs = prior.ttftMs
    this.#bMs = prior.msPer1kInput
    this.#scratch = new Float64Array(this.level.weights.length)
    for (const thousands of [0, 4])
      this.#fit(thousands, Math.log(prior.ttftMs + prior.msPer1kInput * thousands), 0.5)
  }

  /** It is its own answers that the estimates come from, not what is typical of others. */
  get isKnown(): boolean {
    return this.samples > WARM_UP
  }

  /** Logarithm of the usual time in ms for so many uncached tokens beside so many running requests. */
  logUsual(uncachedTokens: number, inFlight: number): number {
    const load = inFlight / LOAD_UNIT
    return (
      Math.log((this.#aMs + (this.#bMs * uncachedTokens) / 1000) * (1 + this.#loadFactor * load * load)) +
      this.#lengthOffsets.at(lengthPlace(uncachedTokens)) +
      this.#loadOffsets.at(loadPlace(inFlight))
    )
  }

  /** The level's distribution, with the silence of those that wait as evidence; valid until the next call. */
  levelNow(nowMs: number): Float64Array {
    if (nowMs === this.#scratchAtMs) return this.#scratch
    this.#weighWaiting(nowMs, null)
    this.#scratchAtMs = nowMs
    return this.#scratch
  }

  /** The same without the silence of one of them: for whom that is weighed apart. */
  levelBeside(request: Waiting, nowMs: number): Float64Array {
    this.#weighWaiting(nowMs, request)
    this.#scratchAtMs = Number.NaN
    return this.#scratch
  }

  #weighWaiting(nowMs: number, except: Waiting | null): void {
    this.level.advance(nowMs)
    const { weights } = this.level
    this.#scratch.set(weights)
    if (this.#waiting.length === 0) return
    const late = meanLevel(weights) - this.noise.sigma
    let silent = 0
    for (const request of this.#waiting) {
      const { sentAtMs, logUsualMiss, hasBytes } = request
      // A younger request has answered: the older one is stuck by itself.
      if (hasBytes || sentAtMs < this.#answeredSentAtMs || request === except) continue
      const logRatio = Math.log(Math.max(nowMs - sentAtMs, 1)) - logUsualMiss
      if (logRatio < late) continue
      weighSilence(this.#scratch, logRatio, this.noise)
      if (++silent === SILENT_MAX) break
    }
  }

  sent(request: Waiting): void {
    if (wasSetBack(this.#answeredSentAtMs, request.sentAtMs))
      this.#answeredSentAtMs = Number.NEGATIVE_INFINITY
    this.#waiting.push(request)
    this.#scratchAtMs = Number.NaN
  }

  /** It has answered, failed or been given up. */
  noLongerWaits(request: Waiting): void {
    const index = this.#waiting.indexOf(request)
    if (index !== -1) this.#waiting.splice(index, 1)
    this.#scratchAtMs = Number.NaN
  }

  chance(level: Float64Array, logUsual: number, barMs: number): number {
    if (barMs === Number.POSITIVE_INFINITY) return 1 - hangShare(level)
    return barMs <= 0 ? 0 : chanceBelow(level, Math.log(barMs) - logUsual, this.noise)
  }

  /** P(no answer until it is given up). */
  hangChance(level: Float64Array, logUsual: number, timeoutMs: number): number {
    const x = Math.log(timeoutMs) - logUsual
    return x < NEAR_TIMEOUT ? 1 - chanceBelow(level, x, this.noise) : massAbove(level, x)
  }

  /** P(first token within `barMs`) if it were as quick as usual. */
  usualChance(logUsual: number, barMs: number): number {
    return barMs <= 0 ? 0 : this.noise.cdf(Math.log(barMs) - logUsual)
  }

  /** It was given up without an answer: its silence until then stays evidence. */
  gaveUp(request: Waiting, nowMs: number): void {
    const isStuckAlone = request.sentAtMs < this.#answeredSentAtMs
    if (!isStuckAlone && !request.hasBytes && this.#waiting.includes(request)) {
      this.level.advance(nowMs)
      const logRatio = Math.log(Math.max(nowMs - request.sentAtMs, 1)) - request.logUsualMiss
      weighSilence(this.level.weights, logRatio, this.noise)
    }
    this.noLongerWaits(request)
  }

  /** P(it is as quick as usual now). */
  asUsualChance(nowMs: number): number {
    return asUsual(this.levelNow(nowMs))
  }

  /** P(no answer by then, though the target is as quick as usual). */
  usualSilence(request: Waiting, nowMs: number): number {
    return 1 - this.noise.cdf(Math.log(Math.max(nowMs - request.sentAtMs, 1)) - request.logUsualMiss)
  }

  /** Something else than silence says that it may hang; so many times as likely as before. */
  suspectHang(times: number, nowMs: number): void {
    this.level.advance(nowMs)
    this.level.suspectHang(times)
    this.#scratchAtMs = Number.NaN
  }

  /** Something that was sent there is overdue: what it is like will soon be known without asking. */
  isOverdue(nowMs: number): boolean {
    return this.#waiting.some(
      ({ sentAtMs, logUsualMiss }) => Math.log(Math.max(nowMs - sentAtMs, 1)) > logUsualMiss + OVERDUE,
    )
  }

  /** Older ones than one that has been answered are stuck by themselves, and no evidence any more. */
  #forgetStuck(): void {
    let kept = 0
    for (const request of this.#waiting)
      if (request.sentAtMs >= this.#answeredSentAtMs) this.#waiting[kept++] = request
    this.#waiting.length = kept
  }

  /** Returns the level it speaks of. */
  answered(attempt: Waiting, ttftMs: number, nowMs: number): number {
    this.noLongerWaits(attempt)
    this.level.advance(nowMs)
    const log = Math.log(Math.max(ttftMs, 1))
    if (attempt.sentAtMs > this.#answeredSentAtMs) {
      this.#answeredSentAtMs = attempt.sentAtMs
      this.#forgetStuck()
    }
    if (this.samples < WARM_UP) return 0
    this.level.observe(log - attempt.logUsualHit, log - attempt.logUsualMiss, attempt.hitShare, this.noise)
    return this.level.mean()
  }

  /** The shape is learnt once it is known what had been cached; `level` is the one at the answer. */
  learn(uncachedTokens: number, inFlight: number, ttftMs: number, level: number): void {
    const log = Math.log(Math.max(ttftMs, 1))
    // In a slow spell an answer says little about the usual; what is quick all the time is so by itself.
    const slow = Math.max(0, level)
    const trust = Math.exp(-2 * slow * slow)
    const load = inFlight / LOAD_UNIT
    const residual = log - this.logUsual(uncachedTokens, inFlight) - level
    this.samples++
    if (this.samples > WARM_UP) this.noise.learn(residual, trust, this.samples)
    const rest = clipped(residual)
    const loadTimes = 1 + this.#loadFactor * load * load
    const logIdle =
      log -
      level * (level < 0 ? QUICK_SHARE : SLOW_SHARE) -
      this.#loadOffsets.at(loadPlace(inFlight)) -
      Math.log(loadTimes)
    this.#fit(uncachedTokens / 1000, logIdle, trust)
    this.#loadFactor = Math.min(
      30,
      Math.max(0, this.#loadFactor + (0.05 * trust * rest * load * load) / loadTimes),
    )
    this.#lengthOffsets.learn(lengthPlace(uncachedTokens), rest, trust)
    this.#loadOffsets.learn(loadPlace(inFlight), rest, trust)
  }

  #fit(thousands: number, logMs: number, trust: number): void {
    const usual = this.#aMs + this.#bMs * thousands
    const one = 1 / usual
    const slope = thousands / usual
    // The logarithm's own middle: a mean of times lies above it, and against that the level would seem ever lower.
    const ratio = 1 + clipped(logMs - Math.log(usual))
    this.#s11 = this.#s11 * KEPT + trust * one * one
    this.#s12 = this.#s12 * KEPT + trust * one * slope
    this.#s22 = this.#s22 * KEPT + trust * slope * slope
    this.#r1 = this.#r1 * KEPT + trust * one * ratio
    this.#r2 = this.#r2 * KEPT + trust * slope * ratio
    const determinant = this.#s11 * this.#s22 - this.#s12 * this.#s12
    if (determinant <= 1e-9 * this.#s11 * this.#s22) return
    const bMs = Math.max(0, (this.#s11 * this.#r2 - this.#s12 * this.#r1) / determinant)
    this.#bMs = bMs
    this.#aMs = Math.max(20, (this.#r1 - this.#s12 * bMs) / this.#s11)
  }
}

/** Of a level, so much is taken for one; the rest is a usual time that has changed. Spells are of slowness. */
const SLOW_SHARE = 0.9
const QUICK_SHARE = 0.7

function clipped(residual: number): number {
  return Math.max(-0.7, Math.min(0.7, residual))
}

/** So many answers teach the usual time alone; a level against a guess would be none. */
const WARM_UP = 3

/** On the logarithm: where noise alone can make the difference. */
const NEAR_TIMEOUT = 1.2

/** On the logarithm: 1.6 times the usual. */
const OVERDUE = 0.5

/** A request that was sent, as the estimate sees it. */
export interface Waiting {
  readonly sentAtMs: number
  readonly logUsualHit: number
  readonly logUsualMiss: number
  readonly hitShare: number
  /** Its first byte has come, if no content: it does not hang. */
  readonly hasBytes: boolean
}

function lengthPlace(tokens: number): number {
  return Math.log2(1 + tokens / 128)
}

function loadPlace(inFlight: number): number {
  return Math.log2(1 + inFlight)
}

/** Means of what a formula leaves over, by place, with straight lines between. */
class Offsets {
  readonly #means: Float64Array
  readonly #counts: Float64Array

  constructor(bins: number) {
    this.#means = new Float64Array(bins)
    this.#counts = new Float64Array(bins)
  }

  at(place: number): number {
    const last = this.#means.length - 1
    const bounded = Math.min(place, last)
    const bin = bounded | 0
    const here = this.#means[bin] ?? 0
    return here + ((this.#means[Math.min(bin + 1, last)] ?? 0) - here) * (bounded - bin)
  }

  learn(place: number, residual: number, trust: number): void {
    const last = this.#means.length - 1
    const bounded = Math.min(place, last)
    const bin = bounded | 0
    const upper = bounded - bin
    this.#move(bin, residual, trust * (1 - upper))
    if (upper > 0) this.#move(bin + 1, residual, trust * upper)
  }

  #move(bin: number, residual: number, trust: number): void {
    const count = Math.min((this.#counts[bin] ?? 0) + trust, 80)
    this.#counts[bin] = count
    this.#means[bin] = (this.#means[bin] ?? 0) + (trust * residual) / (count + 12)
  }
}
