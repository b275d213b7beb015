// All that has been observed of one target, and its attempts that run.

import type { FailureKind } from '#core/errors.ts'
import {
  atInstant,
  type BreakerRules,
  type BreakerState,
  CLOSED,
  isBlamed,
  onFailure,
  onNeutral,
  onSent,
  onSuccess,
} from './breaker.ts'
import { meanLevel } from './level.ts'
import { Odds } from './odds.ts'
import { type Expected, PrefixLog, UNSEEN } from './prefixes.ts'
import type { Fullness, Quota } from './quota.ts'
import type { PlannerRequest } from './request.ts'
import { SpeedModel } from './speed.ts'
import { type LatencyPrior, TtftModel, type Waiting } from './ttft.ts'

/** One attempt that runs. Fields that change do so as its events come. */
export interface Attempt extends Waiting {
  readonly target: TargetState
  readonly ttft: TtftModel
  readonly isThinking: boolean
  readonly inputTokens: number
  readonly expected: Expected
  readonly inFlightBefore: number
  readonly isExploring: boolean
  /** False: its first token is not seen. */
  readonly isStreamed: boolean
  hasBytes: boolean
  answered: boolean
  answeredAtMs: number
  levelAtAnswer: number
  /** The shape has been taught by it. */
  isLearnt: boolean
  fullness: Fullness | null
  sharedFullness: Fullness | null
}

/** Why a target takes no requests now. */
export interface Cooldown {
  readonly reason: FailureKind
  /** Epoch ms. */
  readonly sinceMs: number
  readonly untilMs: number
}

export interface TargetStatus {
  readonly target: string
  readonly state: BreakerState['state']
  readonly cooldowns: readonly Cooldown[]
  readonly inFlight: number
  /** Answers that the estimates come from; 0: they are a catalogue's, or typical ones. */
  readonly samples: number
  /** Of a prompt of a thousand tokens, nothing cached, at the load of now. */
  readonly ttftMs: number
  /** How slow it is against what is usual for it; 1: as usual. */
  readonly slowness: number
  readonly tokensPerSecond: number
  readonly failureChance: number
  readonly refusalChance: number
}

/** Below this share of its time, what the cache may save does not matter to the shape. */
const CACHE_MATTERS_SHARE = 0.05

export class TargetState {
  readonly id: string
  readonly speed: SpeedModel
  readonly failures = new Odds()
  readonly refusals = new Odds()
  readonly prefixes = new PrefixLog()
  quota: Quota
  sharedQuota: Quota | null
  inFlight = 0
  exploring = 0
  succeededAtMs = Number.NEGATIVE_INFINITY
  sentAtMs = Number.NEGATIVE_INFINITY
  nextProbeAtMs = Number.NEGATIVE_INFINITY
  probeGapMs = 0
  #breaker: BreakerState = CLOSED
  /** When the youngest request that has failed was sent. */
  #failedSentAtMs = Number.NEGATIVE_INFINITY
  readonly #prior: LatencyPrior
  #plain: TtftModel | null = null
  #thinking: TtftModel | null = null

  constructor(id: string, prior: LatencyPrior, quota: Quota, sharedQuota: Quota | null) {
    this.id = id
    this.#prior = prior
    this.speed = new SpeedModel(prior.tokensPerSecond)
    this.quota = quota
    this.sharedQuota = sharedQuota
  }

  ttft(isThinking: boolean): TtftModel {
    if (isThinking) {
      this.#thinking ??= new TtftModel(this.#prior)
      return this.#thinking
    }
    this.#plain ??= new TtftModel(this.#prior)
    return this.#plain
  }

  breaker(nowMs: number): BreakerState {
    this.#breaker = atInstant(this.#breaker, nowMs)
    return this.#breaker
  }

  status(isThinking: boolean, nowMs: number): TargetStatus {
    const breaker = this.breaker(nowMs)
    const ttft = this.ttft(isThinking)
    const slowness = Math.exp(meanLevel(ttft.levelNow(nowMs)))
    const { cooldownSinceMs, cooldownUntilMs } = this.quota
    const cooldowns: Cooldown[] = []
    if (breaker.state === 'open' && breaker.reason !== null)
      cooldowns.push({ reason: breaker.reason, sinceMs: breaker.sinceMs, untilMs: breaker.untilMs })
    if (nowMs < cooldownUntilMs)
      cooldowns.push({ reason: 'rate_limit', sinceMs: cooldownSinceMs, untilMs: cooldownUntilMs })
    return {
      target: this.id,
      state: breaker.state,
      cooldowns,
      inFlight: this.inFlight,
      samples: ttft.samples,
      ttftMs: Math.exp(ttft.logUsual(1000, this.inFlight)) * slowness,
      slowness,
      tokensPerSecond: this.speed.tokensPerSecond(),
      failureChance: this.failures.expected(nowMs),
      refusalChance: this.refusals.expected(nowMs),
    }
  }

  /** Until its limits let such a request through. */
  quotaWaitMs({ inputTokens, keepsLimits }: PlannerRequest, nowMs: number): number {
    const own = waitOf(this.quota, inputTokens, keepsLimits, nowMs)
    const shared = this.sharedQuota
    return shared === null ? own : Math.max(own, waitOf(shared, inputTokens, keepsLimits, nowMs))
  }

  /** Tokens of the prompt that its cache may have. */
  expect(request: PlannerRequest, nowMs: number): Expected {
    const { prefixes, session, inputTokens, policy } = request
    if (policy.affinity === 'none') return UNSEEN
    if (prefixes.length > 0) return this.prefixes.expect(prefixes, inputTokens, nowMs)
    return session === null ? UNSEEN : this.prefixes.expectSession(session, inputTokens, nowMs)
  }

  sent(attempt: Attempt, request: PlannerRequest, nowMs: number): void {
    this.#breaker = onSent(this.breaker(nowMs))
    attempt.fullness = this.quota.sent(attempt.inputTokens, nowMs)
    attempt.sharedFullness = this.sharedQuota?.sent(attempt.inputTokens, nowMs) ?? null
    this.inFlight++
    this.sentAtMs = nowMs
    if (attempt.isExploring) this.exploring++
    // Where only the end is seen, silence is no evidence.
    if (attempt.isStreamed) attempt.ttft.sent(attempt)
    if (request.prefixes.length > 0) this.prefixes.sent(request.prefixes, nowMs)
    if (request.session !== null) this.prefixes.sentSession(request.session, request.inputTokens, nowMs)
  }

  firstToken(attempt: Attempt, nowMs: number): void {
    if (attempt.answered) return
    attempt.answered = true
    attempt.answeredAtMs = nowMs
    this.#isWell(attempt, nowMs)
    if (!attempt.isStreamed) return
    attempt.levelAtAnswer = attempt.ttft.answered(attempt, nowMs - attempt.sentAtMs, nowMs)
    if (attempt.logUsualMiss - attempt.logUsualHit < CACHE_MATTERS_SHARE) this.#learnShape(attempt, 0)
  }

  #isWell(attempt: Attempt, nowMs: number): void {
    // An answer to what was sent before a request that has failed says nothing of the time since.
    if (attempt.sentAtMs >= this.#failedSentAtMs) {
      this.#breaker = onSuccess(this.#breaker)
      this.failures.observe(false, nowMs)
    }
    this.refusals.observe(false, nowMs)
    if (attempt.fullness !== null) this.quota.passed(attempt.fullness)
    if (attempt.sharedFullness !== null) this.sharedQuota?.passed(attempt.sharedFullness)
    this.succeededAtMs = nowMs
  }

  finished(attempt: Attempt, cachedTokens: number, outputTokens: number, nowMs: number): void {
    this.firstToken(attempt, nowMs)
    this.#ended(attempt)
    this.quota.ended(outputTokens, nowMs)
    this.sharedQuota?.ended(outputTokens, nowMs)
    this.prefixes.learn(attempt.expected, cachedTokens)
    if (!attempt.isStreamed) return
    if (!attempt.isLearnt) this.#learnShape(attempt, cachedTokens)
    this.speed.learn(outputTokens, nowMs - attempt.answeredAtMs)
  }

  failed(
    attempt: Attempt,
    kind: FailureKind,
    rules: BreakerRules,
    retryAfterMs: number | null,
    nowMs: number,
  ): void {
    if (kind === 'timeout' && attempt.isStreamed) attempt.ttft.gaveUp(attempt, nowMs)
    else attempt.ttft.noLongerWaits(attempt)
    this.#ended(attempt)
    this.quota.ended(0, nowMs)
    this.sharedQuota?.ended(0, nowMs)
    if (kind === 'rate_limit') {
      this.refusals.observe(true, nowMs)
      const blamed = this.sharedQuota !== null && !this.quota.isDeclared ? this.sharedQuota : this.quota
      blamed.refused(attempt.inputTokens, nowMs, retryAfterMs)
      this.#breaker = onNeutral(this.#breaker)
      return
    }
    if (!isBlamed(kind)) {
      this.#breaker = onNeutral(this.#breaker)
      return
    }
    this.#failedSentAtMs = Math.max(this.#failedSentAtMs, attempt.sentAtMs)
    this.failures.observe(true, nowMs)
    this.#breaker = onFailure(this.breaker(nowMs), kind, rules, nowMs, retryAfterMs)
  }

  cancelled(attempt: Attempt, nowMs: number): void {
    attempt.ttft.gaveUp(attempt, nowMs)
    this.#ended(attempt)
    this.quota.ended(0, nowMs)
    this.sharedQuota?.ended(0, nowMs)
    this.#breaker = onNeutral(this.#breaker)
  }

  #ended(attempt: Attempt): void {
    this.inFlight--
    if (attempt.isExploring) this.exploring--
  }

  #learnShape(attempt: Attempt, cachedTokens: number): void {
    attempt.isLearnt = true
    const ttftMs = attempt.answeredAtMs - attempt.sentAtMs
    const uncached = Math.max(0, attempt.inputTokens - cachedTokens)
    attempt.ttft.learn(uncached, attempt.inFlightBefore, ttftMs, attempt.levelAtAnswer)
  }
}

function waitOf(quota: Quota, tokens: number, keepsLimits: boolean, nowMs: number): number {
  return keepsLimits && quota.isUntested(nowMs) ? 0 : quota.waitMs(tokens, nowMs)
}
