// The world of one run: what an attempt at a target meets. The state (requests in flight, buckets, caches) follows from
// the policy's choices; all chance follows from the seed, so that every policy meets the same luck.

import { msPerOutputToken, type Physics, tailFactor } from './physics.ts'
import { listCost, PrefixCache } from './prefix-cache.ts'
import type { AttemptError } from './protocol.ts'
import { DRAW, draw, normalQuantile } from './random.ts'
import type { Setup } from './setups.ts'
import {
  OUTAGE_HANG_SHARE,
  PRICE_FACTOR,
  planShifts,
  type Shift,
  SLOW_FACTOR,
  STORM_SHARE,
} from './shifts.ts'
import type { SimulatedTarget } from './targets.ts'
import { TokenBucket } from './token-bucket.ts'
import { loadTrace, type Trace } from './traces.ts'

/** 23:45 of a Monday in Shanghai, so that minute 45 is half past midnight, when off-peak prices begin. */
export const START_AT = Date.UTC(2026, 2, 2, 15, 45)
export const TTFT_TIMEOUT_MS = 20_000

const MINUTE_MS = 60_000
/** Background load: a log-normal Ornstein-Uhlenbeck process. */
const LOAD_STEP_MS = 5000
const LOAD_DEVIATION = 0.22
const LOAD_MEMORY_MS = 5 * MINUTE_MS

const REFUSAL_MS = 80
const RETRY_AFTER_MS = 2000
const RETRY_AFTER_SHARE = 0.5
const FAILURE_HANG_SHARE = 0.3

/** What an attempt will come to. Filled in place, since oracles ask for many. */
export interface Outcome {
  error: AttemptError | null
  /** Until the first token or the error. */
  afterMs: number
  cachedTokens: number
  msPerToken: number
  retryAfterMs: number | null
  /** A timeout has been read by the target, so its input is billed. */
  isInputBilled: boolean
}

export function emptyOutcome(): Outcome {
  return { error: null, afterMs: 0, cachedTokens: 0, msPerToken: 0, retryAfterMs: null, isInputBilled: false }
}

interface Limits {
  readonly requests: TokenBucket | null
  readonly tokens: TokenBucket | null
}

export class World {
  readonly setup: Setup
  readonly seed: number
  readonly targets: readonly SimulatedTarget[]
  readonly trace: Trace
  readonly shifts: readonly Shift[]
  readonly endAt: number
  readonly #physics: Physics
  readonly #inFlight: Int32Array
  readonly #limits: readonly Limits[]
  readonly #caches: readonly PrefixCache[]
  readonly #shiftsOf: readonly (readonly Shift[])[]
  readonly #load: readonly Float64Array[]

  constructor(setup: Setup, seed: number) {
    const trace = loadTrace(setup.trace)
    const lengthMs = trace.arrivalMs[trace.count - 1] ?? 0
    const targets = setup.targets
    this.setup = setup
    this.seed = seed
    this.targets = targets
    this.trace = trace
    this.endAt = START_AT + lengthMs
    this.shifts =
      setup.shifts === 'none' ? [] : planShifts(targets, seed, START_AT, lengthMs, setup.shifts === 'more')
    this.#physics = setup.physics
    this.#inFlight = new Int32Array(targets.length)
    this.#limits = targets.map(({ rpm, tpm }) => ({
      requests: rpm === null ? null : new TokenBucket(rpm, setup.physics.burstSeconds, START_AT),
      tokens: tpm === null ? null : new TokenBucket(tpm, setup.physics.burstSeconds, START_AT),
    }))
    this.#caches = targets.map(({ cacheTtlMs }) => new PrefixCache(trace.blockCount, cacheTtlMs))
    this.#shiftsOf = targets.map((_, index) => this.shifts.filter((shift) => shift.target === index))
    this.#load = targets.map((_, index) => backgroundLoad(seed, index, lengthMs + 5 * MINUTE_MS))
  }

  arrivalAt(request: number): number {
    return START_AT + (this.trace.arrivalMs[request] ?? 0)
  }

  inputTokens(request: number): number {
    return this.trace.inputTokens[request] ?? 0
  }

  outputTokens(request: number): number {
    return this.trace.outputTokens[request] ?? 0
  }

  /** Whether any target is amiss; a price change is not. */
  isShifted(at: number): boolean {
    return this.shifts.some((shift) => shift.kind !== 'price' && at >= shift.startAt && at < shift.endAt)
  }

  /** The shift of that kind at a target, if one is on. */
  isOn(kind: Shift['kind'], target: number, at: number): boolean {
    for (const shift of this.#shiftsOf[target] ?? [])
      if (shift.kind === kind && at >= shift.startAt && at < shift.endAt) return true
    return false
  }

  /** Neither outage nor hang, and the prompt fits its window, its burst and, with room to spare, the timeout. */
  isUp(target: number, inputTokens: number, at: number): boolean {
    if (this.isOn('outage', target, at) || this.isOn('hang', target, at)) return false
    if (this.medianMs(target, inputTokens, at) > TTFT_TIMEOUT_MS / 2) return false
    return (
      inputTokens <= (this.targets[target]?.contextWindow ?? 0) &&
      this.waitMs(target, inputTokens, at) < Infinity
    )
  }

  /** Until its limits let a prompt of this size through: Infinity when they never will. */
  waitMs(target: number, inputTokens: number, at: number): number {
    const limits = this.#limits[target]
    return Math.max(limits?.requests?.waitMs(1, at) ?? 0, limits?.tokens?.waitMs(inputTokens, at) ?? 0)
  }

  /** Tokens that the target's cache holds of the prompt; whether it will use them is chance. */
  heldTokens(target: number, request: number, at: number): number {
    const prefix = this.trace.prefixes?.[request]
    if (prefix === undefined) return 0
    return this.#caches[target]?.heldTokens(prefix, this.inputTokens(request), at) ?? 0
  }

  /** Median time to first token if the attempt began now, without its noise. */
  medianMs(target: number, uncachedTokens: number, at: number): number {
    const facts = this.targets[target] as SimulatedTarget
    const step = Math.floor((at - START_AT) / LOAD_STEP_MS)
    const load = this.#load[target]
    const background = load?.[Math.min(step, load.length - 1)] ?? 1
    const slow = this.isOn('slow', target, at) ? SLOW_FACTOR : 1
    const own = this.#physics.loadFactor((this.#inFlight[target] ?? 0) / facts.knee)
    return this.#physics.idleMs(facts, uncachedTokens) * background * slow * own
  }

  /** CNY at the prices of `at`. */
  cost(target: number, inputTokens: number, cachedTokens: number, outputTokens: number, at: number): number {
    const facts = this.targets[target] as SimulatedTarget
    return listCost(facts, inputTokens, cachedTokens, outputTokens) * this.priceFactor(target, at)
  }

  priceFactor(target: number, at: number): number {
    const offPeak = this.targets[target]?.offPeak ?? null
    const isOffPeak = offPeak !== null && at >= START_AT + offPeak.fromMinute * MINUTE_MS
    return (isOffPeak ? offPeak.factor : 1) * (this.isOn('price', target, at) ? PRICE_FACTOR : 1)
  }

  /** What the `ordinal`th attempt of a request at a target would come to if it began now. Changes nothing. */
  preview(request: number, target: number, ordinal: number, at: number, outcome: Outcome): void {
    const inputTokens = this.inputTokens(request)
    const chance = (purpose: (typeof DRAW)[keyof typeof DRAW]): number =>
      draw(this.seed, request, target, ordinal, purpose)
    outcome.error = null
    outcome.cachedTokens = 0
    outcome.retryAfterMs = null
    outcome.isInputBilled = false
    const facts = this.targets[target] as SimulatedTarget
    if (inputTokens > facts.contextWindow) {
      fail(outcome, 'context_length', REFUSAL_MS)
    } else if (
      this.waitMs(target, inputTokens, at) > 0 ||
      (this.isOn('storm', target, at) && chance(DRAW.storm) < STORM_SHARE)
    ) {
      fail(outcome, 'rate_limited', REFUSAL_MS)
      outcome.retryAfterMs = chance(DRAW.retryAfter) < RETRY_AFTER_SHARE ? RETRY_AFTER_MS : null
    } else {
      const held = this.heldTokens(target, request, at)
      if (held > 0 && chance(DRAW.cache) < facts.cacheHitShare) outcome.cachedTokens = held
      this.#previewAdmitted(facts, target, inputTokens - outcome.cachedTokens, at, outcome, chance)
    }
  }

  #previewAdmitted(
    facts: SimulatedTarget,
    target: number,
    uncachedTokens: number,
    at: number,
    outcome: Outcome,
    chance: (purpose: (typeof DRAW)[keyof typeof DRAW]) => number,
  ): void {
    const tail = chance(DRAW.tail) < facts.tailShare ? tailFactor(chance(DRAW.tailSize)) : 1
    const noise = this.#physics.noise(facts, chance(DRAW.noise), chance(DRAW.mode))
    const ttftMs = Math.max(1, Math.round(this.medianMs(target, uncachedTokens, at) * noise * tail))
    const isOut = this.isOn('outage', target, at)
    const hangs =
      this.isOn('hang', target, at) ||
      (isOut
        ? chance(DRAW.outage) < OUTAGE_HANG_SHARE
        : chance(DRAW.failure) < facts.failureShare * FAILURE_HANG_SHARE)
    if (hangs || ttftMs > TTFT_TIMEOUT_MS) {
      fail(outcome, 'timeout', TTFT_TIMEOUT_MS)
      outcome.isInputBilled = true
    } else if (isOut) {
      fail(outcome, chance(DRAW.failureKind) < 0.5 ? 'connect' : 'server_error', REFUSAL_MS)
    } else if (chance(DRAW.failure) < facts.failureShare) {
      fail(outcome, 'server_error', Math.max(1, Math.round(ttftMs * chance(DRAW.failureAge))))
    } else {
      outcome.afterMs = ttftMs
      outcome.msPerToken = msPerOutputToken(facts, chance(DRAW.speed))
    }
  }

  /** The attempt begins: as `preview`, and the target's state moves. */
  start(request: number, target: number, ordinal: number, at: number, outcome: Outcome): void {
    this.preview(request, target, ordinal, at, outcome)
    if (outcome.error === 'rate_limited' || outcome.error === 'context_length') return
    this.#inFlight[target] = (this.#inFlight[target] ?? 0) + 1
    this.#limits[target]?.requests?.take(1, at)
    this.#limits[target]?.tokens?.take(this.inputTokens(request), at)
  }

  /** The prompt has been read, so its prefix is held from now on. */
  firstToken(request: number, target: number, at: number): void {
    const prefix = this.trace.prefixes?.[request]
    if (prefix !== undefined) this.#caches[target]?.store(prefix, at)
  }

  /** An attempt that `start` let through ends in any way. */
  end(target: number, outputTokens: number, at: number): void {
    this.#inFlight[target] = (this.#inFlight[target] ?? 0) - 1
    if (outputTokens > 0) this.#limits[target]?.tokens?.take(outputTokens, at)
  }

  /** Of the attempt's own noise only: what the state leaves to chance. */
  get physics(): Physics {
    return this.#physics
  }
}

function fail(outcome: Outcome, error: AttemptError, afterMs: number): void {
  outcome.error = error
  outcome.afterMs = afterMs
  outcome.msPerToken = 0
}

function backgroundLoad(seed: number, target: number, lengthMs: number): Float64Array {
  const steps = Math.ceil(lengthMs / LOAD_STEP_MS)
  const load = new Float64Array(steps)
  const memory = Math.exp(-LOAD_STEP_MS / LOAD_MEMORY_MS)
  const jump = LOAD_DEVIATION * Math.sqrt(1 - memory * memory)
  let level = LOAD_DEVIATION * normalQuantile(draw(seed, target, 0, 0, DRAW.load))
  for (let step = 0; step < steps; step += 1) {
    load[step] = Math.exp(level)
    level = memory * level + jump * normalQuantile(draw(seed, target, step + 1, 0, DRAW.load))
  }
  return load
}
