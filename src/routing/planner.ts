// The planner: where each attempt of each request goes, from what has been observed of the targets. Instants and
// chance come in; nothing here reads a clock or draws at random by itself.

import { assert } from '#core/assert.ts'
import type { FailureKind } from '#core/errors.ts'
import type { PolicySettings } from '#core/settings.ts'
import { Allowance } from './allowance.ts'
import type { BreakerState } from './breaker.ts'
import { type Call, Calls, noteSpent, openCall, runningAt, ttftBarMs } from './call.ts'
import { blankCandidate, type Candidate, estimate, estimateUsual } from './candidate.ts'
import { type Explanation, explain } from './explain.ts'
import { chosen, EXPLORE_CHANCE, explored, findExploration, findUnknown, probe } from './explore.ts'
import { bestHedge, costOfTry, hedgeAfterMs, runningCost } from './hedging.ts'
import { learnRoom } from './learn-room.ts'
import { type PolicyBook, PolicyBooks } from './policy-book.ts'
import type { PlannerDecision, PlannerRequest, PlannerTarget } from './request.ts'
import { rank } from './score.ts'
import { keepUnknown, type Sifted, sift, soonestMs, waitFor } from './sift.ts'
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
    call.propensity = 1
    const barMs = ttftBarMs(request) - (nowMs - call.arrivedAtMs)
    const book = this.#bookOf(request)
    if (call.attempts >= policy.retry.attempts) return this.#refuse(call, book, null, nowMs)
    this.#sift(call, nowMs)
    const { usable } = this.#sifted
    if (usable.length === 0) {
      const waitMs = waitFor(this.#sifted, nowMs - call.arrivedAtMs, request.patienceMs)
      return this.#refuse(call, book, waitMs, nowMs)
    }
    this.#estimate(call, book, barMs, nowMs)
    if (call.attempts === 0) book.requested(policy, usable)
    if (!this.#rank(call, book, barMs, nowMs) && !probe(call, this.#sifted, nowMs))
      return this.#refuse(call, book, null, nowMs)
    if (call.attempts === 0) learnRoom(this.#sifted, request, call.worth, barMs, nowMs)
    const isGiven = call.attempts > 0 || call.exploring !== null
    const explored = isGiven ? 1 : this.#explore(call, book, usable, barMs, nowMs)
    if (call.attempts === 0) {
      call.promised = usable[0]?.chance ?? 0
      // Other sorts do not weigh it, so that what they choose says nothing of what it should be.
      if (policy.sort === 'value') book.worth.chose(call.promised, policy.slo)
    }
    call.attempts++
    call.propensity = explored
    return this.#decision(call, usable, barMs, explored, nowMs)
  }

  /** What would be decided now, with nothing sent, learnt or used up by it. */
  preview(request: PlannerRequest, nowMs: number): Explanation {
    const call = openCall(request, nowMs)
    const book = this.#bookOf(request)
    sift(this.#sifted, call, this.#targets, new Allowance(0), nowMs)
    const barMs = ttftBarMs(request)
    this.#estimate(call, book, barMs, nowMs)
    this.#rank(call, book, barMs, nowMs)
    return explain({ call, ...this.#sifted, nowMs })
  }

  /** An attempt was sent, first, retry or hedge. */
  attemptStarted(id: string, target: string, account: string | null, nowMs: number): void {
    const call = this.#calls.get(id)
    const facts = call?.request.targets.find((candidate) => candidate.id === target)
    if (call === undefined || facts === undefined) return
    const state = this.#targets.of(facts)
    const candidate = blankCandidate(facts, state)
    candidate.account = state.accounts.find((known) => known.id === account) ?? state.account
    estimateUsual(candidate, call.request, nowMs)
    const attempt: Attempt = {
      target: state,
      account: candidate.account,
      ttft: state.ttft(facts.isThinking),
      isThinking: facts.isThinking,
      sentAtMs: nowMs,
      logUsualHit: candidate.logUsualHit,
      logUsualMiss: candidate.logUsualMiss,
      hitShare: candidate.hitShare,
      inputTokens: call.request.inputTokens,
      expected: candidate.expected,
      inFlightBefore: state.inFlight,
      isExploring: call.exploring === target,
      isStreamed: call.request.isStreamed,
      hasBytes: false,
      answered: false,
      answeredAtMs: 0,
      levelAtAnswer: 0,
      isLearnt: false,
      fullness: null,
      sharedFullness: null,
    }
    call.running.push(attempt)
    call.hasFailed = false
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
    if (request.isStreamed) book.worth.ended(isQuick && (tpotMs === null || tpot <= tpotMs), call.promised)
    call.running.splice(call.running.indexOf(attempt), 1)
    this.#calls.abandon(id, nowMs)
  }

  failed(id: string, target: string, kind: FailureKind, retryAfterMs: number | null, nowMs: number): void {
    const call = this.#calls.get(id)
    const attempt = call === undefined ? undefined : runningAt(call, target)
    if (call === undefined || attempt === undefined) return
    call.running.splice(call.running.indexOf(attempt), 1)
    call.hasFailed = true
    const { policy, targets } = call.request
    noteSpent(call, attempt, kind)
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

  /** A request has ended otherwise than by an answer; `isMissed`: it was to have one. */
  abandoned(id: string, isMissed: boolean, nowMs: number): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    if (isMissed) this.#bookOf(call.request).worth.ended(false, call.promised)
    this.#calls.abandon(id, nowMs)
  }

  /** A second target for a request that is still without an answer; null: not worth it now. */
  hedge(id: string, nowMs: number): { readonly target: string; readonly account: string | null } | null {
    const call = this.#calls.get(id)
    const first = call?.running[0]
    if (call === undefined || first === undefined || call.running.length > 1) return null
    if (first.answered || call.isHedged || !call.request.policy.hedge.enabled) return null
    const book = this.#bookOf(call.request)
    if (!book.mayHedge()) return null
    this.#sift(call, nowMs)
    const firstCost = runningCost(call, first, book, nowMs)
    const best = bestHedge(call, first, firstCost, this.#sifted.usable, book, nowMs)
    if (best === null) return null
    call.isHedged = true
    book.hedged(firstCost.inputCost)
    return { target: best.target.id, account: best.account.id }
  }

  /** The last decision with all it was made of; to be asked for before the next one. */
  explainLast(nowMs: number): Explanation {
    assert(this.#last !== null, 'something has been decided')
    return explain({ call: this.#last, ...this.#sifted, nowMs })
  }

  /** Closed where nothing is known of it. */
  breakerState(target: string, nowMs: number): BreakerState['state'] {
    return this.#targets.get(target)?.breaker(nowMs).state ?? 'closed'
  }

  /** Forgets targets that are not among these. */
  keep(targets: ReadonlySet<string>): void {
    this.#targets.keep(targets)
  }

  /** Starts a target afresh, after its address or credential changed. */
  forget(target: string): void {
    this.#targets.forget(target)
  }

  /** Requests under way. */
  get calls(): number {
    return this.#calls.size
  }

  /** How a target stands: its breaker, its cooldown for limits, what is expected of it. */
  targetStatus(target: PlannerTarget, nowMs: number): TargetStatus {
    return this.#targets.of(target).status(target.isThinking, nowMs)
  }

  /** What requests under a policy are worth now, by the model that was asked for. */
  worths(policy: PolicySettings): readonly { readonly model: string; readonly state: WorthState }[] {
    return this.#books
      .under(policy)
      .map(({ model, book }) => ({ model, state: book.worth.state(policy.slo) }))
  }

  #sift(call: Call, nowMs: number): void {
    sift(this.#sifted, call, this.#targets, this.#retries, nowMs)
  }

  #estimate({ request }: Call, book: PolicyBook, barMs: number, nowMs: number): void {
    const outputTokens = book.outputs.expect(request.inputTokens, request.outputTokensMax)
    for (const candidate of this.#sifted.usable) {
      candidate.outputTokens = outputTokens
      estimate(candidate, request, barMs, nowMs)
    }
  }

  /** False: nothing that is known meets the SLO, and the policy would rather refuse. */
  #rank(call: Call, book: PolicyBook, barMs: number, nowMs: number): boolean {
    const { request } = call
    call.worth = book.worth.value(request.policy.slo)
    const isLast = call.attempts + 1 >= request.policy.retry.attempts
    const scoring = { request, barMs, worth: call.worth, isLast, nowMs, random: this.#random }
    call.meetsSlo = rank(this.#sifted.usable, scoring)
    if (call.meetsSlo || request.policy.onNoCandidate !== 'reject') return true
    keepUnknown(this.#sifted.usable)
    call.meetsSlo = this.#sifted.usable.length > 0
    return call.meetsSlo
  }

  /** Puts a target to be explored first; returns the probability of what was then chosen. */
  #explore(call: Call, book: PolicyBook, usable: Candidate[], barMs: number, nowMs: number): number {
    const { policy, isStreamed } = call.request
    const choice = usable[0] as Candidate
    const mayExplore = book.mayExplore(policy)
    if (policy.sort !== 'value' || !mayExplore) {
      const unknown = mayExplore && isStreamed ? findUnknown(usable, policy.sort) : null
      if (unknown === null) chosen(choice, nowMs)
      else this.#tryFirst(call, book, usable, unknown, nowMs)
      return 1
    }
    const costOf = (candidate: Candidate): number => costOfTry(call, candidate, choice, barMs, nowMs)
    const found = findExploration(usable, call.worth, barMs, costOf, nowMs)
    if (found === null || this.#random() >= EXPLORE_CHANCE) {
      chosen(choice, nowMs)
      return found === null ? 1 : 1 - EXPLORE_CHANCE
    }
    this.#tryFirst(call, book, usable, found, nowMs)
    return EXPLORE_CHANCE
  }

  #tryFirst(call: Call, book: PolicyBook, usable: Candidate[], found: Candidate, nowMs: number): void {
    usable.splice(usable.indexOf(found), 1)
    usable.unshift(found)
    call.exploring = found.target.id
    book.explored()
    explored(found, nowMs)
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
      accounts: usable.map((candidate) => candidate.account.id),
      waitMs: null,
      soonestMs: null,
      explore: call.exploring !== null,
      propensity,
      hedgeAfterMs: hedgeAfterMs(call, usable, barMs, nowMs),
      expectedCost: first.cost,
      pSlo: first.chance,
    }
  }

  #refuse(call: Call, book: PolicyBook, waitMs: number | null, nowMs: number): PlannerDecision {
    if (waitMs === null) {
      book.worth.ended(false, call.promised)
      this.#calls.abandon(call.request.id, nowMs)
    }
    return {
      id: call.request.id,
      order: [],
      accounts: [],
      waitMs,
      soonestMs: soonestMs(this.#sifted),
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
