// What the prototype of ROUTING.md believes of one target: "Candidate, exactly", steps 1, 2, 4 and 5.

import { normalShare } from '../random.ts'
import type { SimulatedTarget } from '../targets.ts'
import { TokenBucket } from '../token-bucket.ts'

const FORGET = 0.99
const PRIOR_BASE_MS = 800
const PRIOR_MS_PER_TOKEN = 0.1
const PRIOR_WEIGHT = 3
const PRIOR_DEVIATION = 0.5
const ERROR_CLIP = 3
const RATIOS_MAX = 48
const HALF_LIFE_MS = 60_000
const SAMPLES_MIN = 4
const CONFIDENCE = 0.5
const LOAD_UNIT = 10
const LOAD_RATE = 0.02
const FAILURE_MEMORY = 0.05
const SPEED_MEMORY = 0.05
const ASSUMED_BURST_SECONDS = 10
const BREAKER_FAILURES = 3
const BREAKER_MS = { first: 5000, most: 60_000 }
const BACK_OFF_MS = { first: 1000, most: 30_000 }

export interface InFlight {
  readonly startedAt: number
  /** Expected time to first token when it began. */
  readonly expectedMs: number
}

export interface Belief {
  readonly share: number
  readonly lowerBound: number
  readonly expectedMs: number
}

export class PrototypeTarget {
  readonly facts: SimulatedTarget
  readonly waiting = new Map<string, InFlight>()
  inFlight = 0
  blockedUntil = 0
  probeAt = 0
  probeGapMs = 5000
  isProbing = false
  readonly #ratios: { at: number; ratio: number }[] = []
  readonly #requests: TokenBucket | null
  readonly #tokens: TokenBucket | null
  /** Weighted sums of relative least squares: 1, n, n², y, n·y. */
  #sums: [number, number, number, number, number]
  #baseMs = PRIOR_BASE_MS
  #msPerToken = PRIOR_MS_PER_TOKEN
  #loadGain = 0.1
  #failureShare = 0.01
  #speedShare = 0.99
  #failuresInRow = 0
  #breakerMs = BREAKER_MS.first
  #backOffMs = BACK_OFF_MS.first

  constructor(facts: SimulatedTarget, at: number) {
    this.facts = facts
    this.#requests = facts.rpm === null ? null : new TokenBucket(facts.rpm, ASSUMED_BURST_SECONDS, at)
    this.#tokens = facts.tpm === null ? null : new TokenBucket(facts.tpm, ASSUMED_BURST_SECONDS, at)
    this.#sums = [0, 0, 0, 0, 0]
    for (const tokens of [0, 2000, 8000]) this.#fit(tokens, PRIOR_BASE_MS + PRIOR_MS_PER_TOKEN * tokens)
  }

  isOpen(inputTokens: number, at: number): boolean {
    if (at < this.blockedUntil || inputTokens > this.facts.contextWindow) return false
    return (this.#requests?.has(1, at) ?? true) && (this.#tokens?.has(inputTokens, at) ?? true)
  }

  expectedMs(uncachedTokens: number): number {
    return (this.#baseMs + this.#msPerToken * uncachedTokens) * this.#load()
  }

  /** Of a first token within `barMs` from now, and of the answer's speed. */
  believe(uncachedTokens: number, barMs: number, at: number): Belief {
    const expectedMs = this.expectedMs(uncachedTokens)
    const bar = barMs / expectedMs
    if (bar <= 0) return { share: 0, lowerBound: 0, expectedMs }
    let weight = PRIOR_WEIGHT
    let under = PRIOR_WEIGHT * normalShare(Math.log(bar) / PRIOR_DEVIATION)
    const aging = this.#aging(at)
    for (const { at: seenAt, ratio } of this.#ratios) {
      const one = 0.5 ** ((at - seenAt) / HALF_LIFE_MS) * aging
      weight += one
      if (ratio <= bar) under += one
    }
    for (const { startedAt, expectedMs: promisedMs } of this.waiting.values())
      if ((at - startedAt) / promisedMs > bar) weight += 1
    const met = under / weight
    const share = met * this.#speedShare * (1 - this.#failureShare)
    const doubt = CONFIDENCE * Math.sqrt((met * (1 - met)) / weight)
    return { share, lowerBound: Math.max(0, share - doubt), expectedMs }
  }

  /** Of the observed ratios of true to expected time. */
  quantile(share: number): number {
    if (this.#ratios.length < SAMPLES_MIN) return Math.exp(PRIOR_DEVIATION)
    const sorted = this.#ratios.map(({ ratio }) => ratio).sort((left, right) => left - right)
    return sorted[Math.floor(share * (sorted.length - 1))] ?? 1
  }

  started(id: string, inputTokens: number, uncachedTokens: number, at: number): void {
    this.waiting.set(id, { startedAt: at, expectedMs: this.expectedMs(uncachedTokens) })
    this.inFlight += 1
    this.#requests?.take(1, at)
    this.#tokens?.take(inputTokens, at)
  }

  answered(id: string, uncachedTokens: number, loadBefore: number, at: number): void {
    const sent = this.waiting.get(id)
    this.waiting.delete(id)
    this.#failuresInRow = 0
    this.#breakerMs = BREAKER_MS.first
    this.#backOffMs = BACK_OFF_MS.first
    this.#failureShare *= 1 - FAILURE_MEMORY
    if (sent === undefined) return
    const ttftMs = at - sent.startedAt
    this.#remember(ttftMs / sent.expectedMs, at)
    const pressure = (loadBefore / LOAD_UNIT) ** 2
    const load = 1 + this.#loadGain * pressure
    const idleMs = this.#baseMs + this.#msPerToken * uncachedTokens
    const clipped = Math.min(idleMs * ERROR_CLIP, Math.max(idleMs / ERROR_CLIP, ttftMs / load))
    this.#fit(uncachedTokens, clipped)
    const error = Math.min(2, ttftMs / (idleMs * load)) - 1
    this.#loadGain = Math.min(5, Math.max(0, this.#loadGain + LOAD_RATE * error * Math.min(2, pressure)))
  }

  finished(isQuick: boolean, outputTokens: number, at: number): void {
    this.inFlight -= 1
    this.#speedShare += SPEED_MEMORY * ((isQuick ? 1 : 0) - this.#speedShare)
    this.#tokens?.take(outputTokens, at)
  }

  failed(id: string, isRateLimited: boolean, retryAfterMs: number | undefined, at: number): void {
    const sent = this.waiting.get(id)
    this.waiting.delete(id)
    this.inFlight -= 1
    if (isRateLimited) {
      this.blockedUntil = at + (retryAfterMs ?? this.#backOffMs)
      this.#backOffMs = Math.min(BACK_OFF_MS.most, this.#backOffMs * 2)
      return
    }
    this.#failureShare += FAILURE_MEMORY * (1 - this.#failureShare)
    if (sent !== undefined) this.#remember(Math.max(10, (at - sent.startedAt) / sent.expectedMs), at)
    this.#failuresInRow += 1
    if (this.#failuresInRow < BREAKER_FAILURES) return
    this.blockedUntil = at + this.#breakerMs
    this.#breakerMs = Math.min(BREAKER_MS.most, this.#breakerMs * 2)
  }

  cancelled(id: string, at: number): void {
    const sent = this.waiting.get(id)
    this.waiting.delete(id)
    this.inFlight -= 1
    const isLate = sent !== undefined && at - sent.startedAt > sent.expectedMs
    if (isLate) this.#remember(Math.max(1.5, (1.5 * (at - sent.startedAt)) / sent.expectedMs), at)
  }

  #load(): number {
    return 1 + this.#loadGain * (this.inFlight / LOAD_UNIT) ** 2
  }

  /** Keeps old samples worth `SAMPLES_MIN` together: time alone does not forget them. */
  #aging(at: number): number {
    let weight = 0
    for (const { at: seenAt } of this.#ratios) weight += 0.5 ** ((at - seenAt) / HALF_LIFE_MS)
    const least = Math.min(SAMPLES_MIN, this.#ratios.length)
    return weight > 0 && weight < least ? least / weight : 1
  }

  #remember(ratio: number, at: number): void {
    this.#ratios.push({ at, ratio })
    if (this.#ratios.length > RATIOS_MAX) this.#ratios.shift()
  }

  #fit(tokens: number, ms: number): void {
    const weight = 1 / (this.#baseMs + this.#msPerToken * tokens) ** 2
    const keep = FORGET
    const [ones, ns, squares, ys, products] = this.#sums
    this.#sums = [
      ones * keep + weight,
      ns * keep + weight * tokens,
      squares * keep + weight * tokens * tokens,
      ys * keep + weight * ms,
      products * keep + weight * tokens * ms,
    ]
    const [a, b, c, d, e] = this.#sums
    const determinant = a * c - b * b
    if (determinant <= 1e-9 * a * c) return
    this.#msPerToken = Math.min(2, Math.max(0.005, (a * e - b * d) / determinant))
    this.#baseMs = Math.max(50, (d - this.#msPerToken * b) / a)
  }
}
