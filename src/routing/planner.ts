// The planner: where each attempt of each request goes, from what has been observed of the targets. Instants and
// chance come in; nothing here reads a clock or draws at random by itself.

import type { FailureKind } from '#core/errors.ts'
import { Allowance } from './allowance.ts'
import { type Call, Calls, runningAt, ttftBarMs } from './call.ts'
import {
  blankCandidate,
  type Candidate,
  costOf,
  estimate,
  estimateUsual,
  known,
  timeoutMsOf,
} from './candidate.ts'
import { type Explanation, explain } from './explain.ts'
import { chosen, EXPLORE_CHANCE, explored, findExploration } from './explore.ts'
import { hedgeGain, hedgeTimeMs, openHedging, silentChance } from './hedge.ts'
import { type PolicyBook, PolicyBooks } from './policy-book.ts'
import type { PlannerDecision, PlannerRequest, PlannerTarget } from './request.ts'
import { rank } from './score.ts'
import { type Sifted, sift, soonestMs } from './sift.ts'
import type { Attempt, TargetStatus } from './target-state.ts'
import { Targets } from './targets.ts'
import type { WorthState } from './worth.ts'

export interface PlannerOptions {
  /** In [0, 1); seeded where decisions are to be repeated. */
  readonly random: () => number
}

export class Planner {
  readonly #random: () => number
  readonly #targets = new Targets()
  readonly #calls = new Calls()
  readonly #books = new PolicyBooks()
  readonly #retries = new Allowance(10)
  #last: Call | null = null
  readonly #sifted: Sifted = { usable: [], pool: [] }

  constructor(options: PlannerOptions) {
    this.#random = options.random
  }

  /** Where the next attempt of a request goes. */
  decide(request: PlannerRequest, nowMs: number): PlannerDecision {
    const call = this.#calls.open(request, nowMs)
    const { policy } = request
    this.#last = call
    call.exploring = null
    const barMs = ttftBarMs(request) - (nowMs - call.arrivedAtMs)
    const book = this.#bookOf(request)
    if (call.attempts >= policy.retry.attempts) return this.#refuse(call, book, null)
    this.#sift(call, nowMs)
    const { usable } = this.#sifted
    if (usable.length === 0) {
      const waitMs = soonestMs(this.#sifted, nowMs - call.arrivedAtMs)
      return this.#refuse(call, book, waitMs)
    }
    const outputTokens = book.outputs.expect(request.inputTokens, request.outputTokensMax)
    for (const candidate of usable) {
      candidate.outputTokens = outputTokens
      estimate(candidate, request, barMs, nowMs)
    }
    if (call.attempts === 0) book.requested(policy, usable)
    call.worth = book.worth.value(policy.slo)
    const isLast = call.attempts + 1 >= policy.retry.attempts
    const scoring = { request, barMs, worth: call.worth, isLast, nowMs, random: this.#random }
    if (!rank(usable, scoring)) return this.#refuse(call, book, null)
    const explored = call.attempts > 0 ? 1 : this.#explore(call, book, usable, barMs, nowMs)
    if (call.attempts === 0) {
      call.promised = usable[0]?.chance ?? 0
      book.worth.chose(call.promised, policy.slo)
    }
    call.attempts++
    return this.#decision(call, usable, barMs, explored, nowMs)
  }

  /** An attempt was sent, first, retry or hedge. */
  attemptStarted(id: string, target: string, nowMs: number): void {
    const call = this.#calls.get(id)
    const facts = call?.request.targets.find((candidate) => candidate.id === target)
    if (call === undefined || facts === undefined) return
    const state = this.#targets.of(facts)
    const candidate = blankCandidate(facts, state)
    estimateUsual(candidate, call.request, nowMs)
    const attempt: Attempt = {
      target: state,
      ttft: state.ttft(call.request.isThinking),
      sentAtMs: nowMs,
      logUsualHit: candidate.logUsualHit,
      logUsualMiss: candidate.logUsualMiss,
      hitShare: candidate.hitShare,
      inputTokens: call.request.inputTokens,
      expected: candidate.expected,
      inFlightBefore: state.inFlight,
      isExploring: call.exploring === target,
      hasBytes: false,
      answered: false,
      answeredAtMs: 0,
      levelAtAnswer: 0,
      isLearnt: false,
      fullness: null,
      sharedFullness: null,
    }
    call.running.push(attempt)
    state.sent(attempt, call.request, nowMs)
  }

  /** The first byte of an answer, before any content: it does not hang, and may be thinking. */
  firstByte(id: string, target: string): void {
    const call = this.#calls.get(id)
    const attempt = call === undefined ? undefined : runningAt(call, target)
    if (attempt !== undefined) attempt.hasBytes = true
  }

  /** The first content of an answer. */
  firstToken(id: string, target: string, nowMs: number): void {
    const call = this.#calls.get(id)
    const attempt = call === undefined ? undefined : runningAt(call, target)
    attempt?.target.firstToken(attempt, nowMs)
  }

  /** An answer has ended; its usage is known. */
  finished(
    id: string,
    target: string,
    usage: { readonly cachedTokens: number; readonly outputTokens: number },
    nowMs: number,
  ): void {
    const call = this.#calls.get(id)
    const attempt = call === undefined ? undefined : runningAt(call, target)
    if (call === undefined || attempt === undefined) return
    attempt.target.finished(attempt, usage.cachedTokens, usage.outputTokens, nowMs)
    const { request } = call
    const book = this.#bookOf(request)
    book.outputs.learn(request.inputTokens, usage.outputTokens)
    const { tpotMs } = request.policy.slo
    const tpot = (nowMs - attempt.answeredAtMs) / Math.max(1, usage.outputTokens - 1)
    const isQuick = attempt.answeredAtMs - call.arrivedAtMs <= ttftBarMs(request)
    book.worth.ended(isQuick && (tpotMs === null || tpot <= tpotMs), call.promised)
    this.#calls.close(id)
  }

  failed(id: string, target: string, kind: FailureKind, retryAfterMs: number | null, nowMs: number): void {
    const call = this.#calls.get(id)
    const attempt = call === undefined ? undefined : runningAt(call, target)
    if (call === undefined || attempt === undefined) return
    call.running.splice(call.running.indexOf(attempt), 1)
    const { policy, targets } = call.request
    attempt.target.failed(attempt, kind, policy.outlierDetection, retryAfterMs, nowMs)
    if (kind !== 'context_length') return
    const facts = targets.find((candidate) => candidate.id === target)
    call.windowMin = Math.max(call.windowMin, facts?.contextWindow ?? 0)
  }

  /** The client left, or the other one of two won. */
  cancelled(id: string, target: string, nowMs: number): void {
    const call = this.#calls.get(id)
    const attempt = call === undefined ? undefined : runningAt(call, target)
    if (call === undefined || attempt === undefined) return
    call.running.splice(call.running.indexOf(attempt), 1)
    attempt.target.cancelled(attempt, nowMs)
  }

  /** A request has ended otherwise than by an answer. */
  abandoned(id: string, nowMs: number): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    for (const attempt of call.running) attempt.target.cancelled(attempt, nowMs)
    this.#calls.close(id)
  }

  /** A second target for a request that is still without an answer; null: not worth it now. */
  hedge(id: string, nowMs: number): string | null {
    const call = this.#calls.get(id)
    const first = call?.running[0]
    if (call === undefined || first === undefined || call.running.length > 1) return null
    if (first.answered || call.isHedged || !call.request.policy.hedge.enabled) return null
    const { request, worth } = call
    const book = this.#bookOf(request)
    if (!book.mayHedge()) return null
    const barMs = ttftBarMs(request) - (nowMs - call.arrivedAtMs)
    this.#sift(call, nowMs)
    const firstCost = this.#costOf(call, first, nowMs)
    const atMs = nowMs - first.sentAtMs
    const { usable } = this.#sifted
    for (const candidate of usable) {
      candidate.outputTokens = firstCost.outputTokens
      estimate(candidate, request, barMs, nowMs)
    }
    const hedging = openHedging(
      { ...first, ...firstCost, failureChance: first.target.failures.expected(nowMs) },
      first.ttft.levelNow(nowMs),
      worth,
      atMs + barMs,
      timeoutMsOf(request),
      usable,
    )
    const silent = silentChance(hedging, atMs)
    let best: Candidate | null = null
    let most = 0
    for (const candidate of usable) {
      if (candidate.state === first.target) continue
      const gain = hedgeGain(hedging, candidate, candidate.chance, silent)
      if (gain <= most || !book.mayHedgeFor(costOf(candidate))) continue
      most = gain
      best = candidate
    }
    if (best === null) return null
    call.isHedged = true
    book.hedged(firstCost.inputCost)
    return best.target.id
  }

  /** The last decision with all it was made of; to be asked for before the next one. */
  explainLast(): Explanation | null {
    const call = this.#last
    if (call === null) return null
    const { request, worth, exploring } = call
    return explain({ request, worth, ...this.#sifted, explored: exploring !== null })
  }

  /** How a target stands: its breaker, its cooldown for limits, what is expected of it. */
  targetStatus(target: PlannerTarget, nowMs: number): TargetStatus {
    return this.#targets.of(target).status(nowMs)
  }

  /** What requests under a policy are worth now, by the policy's name. */
  worth(request: PlannerRequest): WorthState {
    return this.#bookOf(request).worth.state(request.policy.slo)
  }

  #sift(call: Call, nowMs: number): void {
    sift(this.#sifted, call, this.#targets, this.#retries, nowMs)
  }

  /** Puts a target to be explored first; returns the probability of what was then chosen. */
  #explore(call: Call, book: PolicyBook, usable: Candidate[], barMs: number, nowMs: number): number {
    const { request } = call
    const choice = usable[0] as Candidate
    if (request.policy.sort !== 'value' || !book.mayExplore(request.policy)) {
      chosen(choice)
      return 1
    }
    const found = findExploration(usable, call.worth, barMs, request.isThinking, nowMs)
    if (found === null || this.#random() >= EXPLORE_CHANCE) {
      chosen(choice)
      return found === null ? 1 : 1 - EXPLORE_CHANCE
    }
    usable.splice(usable.indexOf(found), 1)
    usable.unshift(found)
    call.exploring = found.target.id
    book.explored()
    explored(found, nowMs)
    return EXPLORE_CHANCE
  }

  #decision(
    call: Call,
    usable: readonly Candidate[],
    barMs: number,
    propensity: number,
    nowMs: number,
  ): PlannerDecision {
    const { request } = call
    const first = usable[0] as Candidate
    this.#bookOf(request).spending(request.policy, first.cost)
    return {
      id: request.id,
      order: usable.map((candidate) => candidate.target.id),
      waitMs: null,
      explore: call.exploring !== null,
      propensity,
      hedgeAfterMs: this.#hedgeAfterMs(call, usable, barMs, nowMs),
      expectedCost: first.cost,
      pSlo: first.chance,
    }
  }

  #hedgeAfterMs(call: Call, usable: readonly Candidate[], barMs: number, nowMs: number): number | null {
    const [first, second] = usable
    const { policy, isThinking } = call.request
    if (!policy.hedge.enabled || call.isHedged || first === undefined || second === undefined) return null
    if (barMs === Number.POSITIVE_INFINITY) return null
    const ttft = first.state.ttft(isThinking)
    const other = second.state.ttft(isThinking)
    const level = other.levelNow(nowMs)
    const sure = second.tpotChance * (1 - second.failureChance) * (1 - second.refusalChance)
    const chanceIn = (ms: number): number => sure * other.chance(level, second.logUsualMiss, ms)
    const { hitShare, logUsualHit, logUsualMiss, inputCost, cost, failureChance } = first
    const attempt = { ttft, hitShare, logUsualHit, logUsualMiss, inputCost, cost, failureChance }
    const timeoutMs = timeoutMsOf(call.request)
    const hedging = openHedging(attempt, ttft.levelNow(nowMs), call.worth, barMs, timeoutMs, usable)
    return hedgeTimeMs(hedging, second, chanceIn, barMs)
  }

  #costOf(call: Call, attempt: Attempt, nowMs: number) {
    const { request } = call
    const facts = request.targets.find((candidate) => candidate.id === attempt.target.id)
    const outputTokens = this.#bookOf(request).outputs.expect(request.inputTokens, request.outputTokensMax)
    const cached = attempt.hitShare * attempt.expected.tokens
    return {
      outputTokens,
      cost: known(facts?.quote.cost(nowMs, request.inputTokens, cached, outputTokens) ?? 0),
      inputCost: known(facts?.quote.cost(nowMs, request.inputTokens, cached, 0) ?? 0),
    }
  }

  #refuse(call: Call, book: PolicyBook, waitMs: number | null): PlannerDecision {
    if (waitMs === null) {
      book.worth.ended(false, call.promised)
      this.#calls.close(call.request.id)
    }
    return {
      id: call.request.id,
      order: [],
      waitMs,
      explore: false,
      propensity: 1,
      hedgeAfterMs: null,
      expectedCost: 0,
      pSlo: 0,
    }
  }

  #bookOf({ policy, model }: PlannerRequest): PolicyBook {
    return this.#books.of(policy, model)
  }
}
