// All that has been observed of one target, and its attempts that run.

import type { FailureKind } from '#core/errors.ts'
import { type AccountState, isOfTheKey } from './account.ts'
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
import { wasSetBack } from './clock.ts'
import { meanLevel } from './level.ts'
import { Lure } from './lure.ts'
import { Odds } from './odds.ts'
import type { Expected } from './prefixes.ts'
import type { Fullness } from './quota.ts'
import type { PlannerRequest } from './request.ts'
import { Room } from './room.ts'
import { SpeedModel } from './speed.ts'
import { type LatencyPrior, TtftModel, type Waiting } from './ttft.ts'

/** One attempt that runs. Fields that change do so as its events come. */
export interface Attempt extends Waiting {
  readonly target: TargetState
  readonly account: AccountState
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
  /** The key that it is about; null: the target, or its only key. */
  readonly account: string | null
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
  readonly accounts: readonly { readonly id: string | null; readonly inFlight: number }[]
}

/** Of the requests in an outage, about so many fail at once. */
const OUTAGE_FAILURES = 0.5
/** A timeout that a well target would run into this often says nothing of it. */
const OWN_SILENCE = 0.1
/** Below this share of its time, what the cache may save does not matter to the shape. */
const CACHE_MATTERS_SHARE = 0.05

export class TargetState {
  readonly id: string
  readonly speed: SpeedModel
  readonly failures = new Odds()
  /** At least one. */
  accounts: readonly AccountState[]
  readonly room = new Room()
  inFlight = 0
  exploring = 0
  succeededAtMs = Number.NEGATIVE_INFINITY
  sentAtMs = Number.NEGATIVE_INFINITY
  /** When it was last the best choice for a request. */
  chosenAtMs = Number.NEGATIVE_INFINITY
  nextProbeAtMs = Number.NEGATIVE_INFINITY
  probeGapMs = 0
  /** What requests would save there, were it as usual, and were it as quick as can be. */
  readonly lure = new Lure()
  readonly hope = new Lure()
  #breaker: BreakerState = CLOSED
  /** When the youngest request that has failed was sent. */
  #failedSentAtMs = Number.NEGATIVE_INFINITY
  readonly #prior: LatencyPrior
  #plain: TtftModel | null = null
  #thinking: TtftModel | null = null

  constructor(id: string, prior: LatencyPrior, accounts: readonly AccountState[]) {
    this.id = id
    this.#prior = prior
    this.speed = new SpeedModel(prior.tokensPerSecond)
    this.accounts = accounts
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
    const cooldowns: Cooldown[] = []
    if (breaker.state === 'open' && breaker.reason !== null)
      cooldowns.push({
        reason: breaker.reason,
        account: null,
        sinceMs: breaker.sinceMs,
        untilMs: breaker.untilMs,
      })
    for (const account of this.accounts) cooldowns.push(...cooldownsOf(account, nowMs))
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
      refusalChance: Math.min(...this.accounts.map(({ refusals }) => refusals.expected(nowMs))),
      accounts: this.accounts.map(({ id, inFlight }) => ({ id, inFlight })),
    }
  }

  /** Where it has one key, that. */
  get account(): AccountState {
    return this.accounts[0] as AccountState
  }

  /** Minutes of its limits, of all its keys together, that such a request takes. */
  quotaMinutes(tokens: number): number {
    if (this.accounts.length === 1) return this.account.minutesOf(tokens)
    let perMinute = 0
    for (const account of this.accounts) perMinute += 1 / account.minutesOf(tokens)
    return 1 / perMinute
  }

  /** When a session's last request was sent there; -Infinity: none has been. */
  sessionAtMs(session: string): number {
    let latest = Number.NEGATIVE_INFINITY
    for (const { prefixes } of this.accounts) latest = Math.max(latest, prefixes.sessionAtMs(session))
    return latest
  }

  sent(attempt: Attempt, request: PlannerRequest, nowMs: number): void {
    this.#breaker = onSent(this.breaker(nowMs))
    const { account } = attempt
    if (wasSetBack(this.#failedSentAtMs, nowMs)) this.#failedSentAtMs = Number.NEGATIVE_INFINITY
    attempt.fullness = account.quota.sent(attempt.inputTokens, nowMs)
    attempt.sharedFullness = account.sharedQuota?.sent(attempt.inputTokens, nowMs) ?? null
    account.inFlight++
    account.sentAtMs = nowMs
    this.inFlight++
    this.sentAtMs = nowMs
    if (attempt.isExploring) this.exploring++
    // Where only the end is seen, silence is no evidence.
    if (attempt.isStreamed) attempt.ttft.sent(attempt)
    if (request.prefixes.length > 0) account.prefixes.sent(request.prefixes, nowMs)
    if (request.session !== null) account.prefixes.sentSession(request.session, request.inputTokens, nowMs)
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
    const { account } = attempt
    account.answered()
    account.refusals.observe(false, nowMs)
    if (attempt.fullness !== null) account.quota.passed(attempt.fullness)
    if (attempt.sharedFullness !== null) account.sharedQuota?.passed(attempt.sharedFullness)
    this.succeededAtMs = nowMs
  }

  finished(attempt: Attempt, cachedTokens: number, outputTokens: number, nowMs: number): void {
    // Where nobody saw the first token, the time from it to the end is not known.
    const wasSeen = attempt.answered
    this.firstToken(attempt, nowMs)
    this.#ended(attempt, outputTokens, nowMs)
    attempt.account.prefixes.learn(attempt.expected, cachedTokens)
    if (!attempt.isStreamed) return
    if (!attempt.isLearnt) this.#learnShape(attempt, cachedTokens)
    if (wasSeen) this.speed.learn(outputTokens, nowMs - attempt.answeredAtMs)
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
    this.#ended(attempt, 0, nowMs)
    if (kind === 'rate_limit') {
      const { refusals, quota, sharedQuota } = attempt.account
      refusals.observe(true, nowMs)
      const blamed = sharedQuota !== null && !quota.isDeclared ? sharedQuota : quota
      blamed.refused(attempt.inputTokens, nowMs, retryAfterMs)
      this.#breaker = onNeutral(this.#breaker)
      return
    }
    if (this.accounts.length > 1 && isOfTheKey(kind)) {
      attempt.account.eject(kind, rules, nowMs)
      this.#breaker = onNeutral(this.#breaker)
      return
    }
    if (!isBlamed(kind)) {
      this.#breaker = onNeutral(this.#breaker)
      return
    }
    if (isOwnSilence(attempt, kind, nowMs)) {
      this.#breaker = onNeutral(this.#breaker)
      return
    }
    this.#failedSentAtMs = Math.max(this.#failedSentAtMs, attempt.sentAtMs)
    this.#suspectHang(attempt, kind, nowMs)
    this.failures.observe(true, nowMs)
    this.#breaker = onFailure(this.breaker(nowMs), kind, rules, nowMs, retryAfterMs)
  }

  cancelled(attempt: Attempt, nowMs: number): void {
    attempt.ttft.gaveUp(attempt, nowMs)
    this.#ended(attempt, 0, nowMs)
    this.#breaker = onNeutral(this.#breaker)
  }

  /** In an outage some requests fail at once while others hang: each kind speaks for the other. */
  #suspectHang({ ttft, answered }: Attempt, kind: FailureKind, nowMs: number): void {
    if (answered || (kind !== 'server' && kind !== 'connection')) return
    ttft.suspectHang(Math.max(1, OUTAGE_FAILURES / this.failures.expected(nowMs)), nowMs)
  }

  #ended(attempt: Attempt, outputTokens: number, nowMs: number): void {
    const { account } = attempt
    account.quota.ended(outputTokens, nowMs)
    account.sharedQuota?.ended(outputTokens, nowMs)
    account.inFlight--
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

/** A prompt so long that a target which is well might have been as silent: its size is to blame. */
function isOwnSilence(attempt: Attempt, kind: FailureKind, nowMs: number): boolean {
  const { ttft, isStreamed, hasBytes } = attempt
  return kind === 'timeout' && isStreamed && !hasBytes && ttft.usualSilence(attempt, nowMs) > OWN_SILENCE
}

function cooldownsOf(account: AccountState, nowMs: number): readonly Cooldown[] {
  const { id, ejectedFor, ejectedSinceMs, ejectedUntilMs } = account
  const cooldowns: Cooldown[] = []
  if (ejectedFor !== null && nowMs < ejectedUntilMs)
    cooldowns.push({ reason: ejectedFor, account: id, sinceMs: ejectedSinceMs, untilMs: ejectedUntilMs })
  for (const quota of [account.quota, account.sharedQuota]) {
    if (quota === null || !quota.isCooling(nowMs)) continue
    const { cooldownSinceMs: sinceMs, cooldownUntilMs: untilMs } = quota
    cooldowns.push({ reason: 'rate_limit', account: id, sinceMs, untilMs })
  }
  return cooldowns
}
