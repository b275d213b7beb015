// One attempt from its row as open to its row as ended: booked, signed, sent, settled, and told to the planner.

import type { AttemptRole } from '#core/decision.ts'
import type { AttemptRow } from '#core/ledger.ts'
import { formatNano, type Nano } from '#core/money.ts'
import type { TokenUsage } from '#core/usage.ts'
import { timeoutMsOf } from '#routing/candidate.ts'
import { abortPlanOf } from './abandoned.ts'
import { type AdmittedCall, extendHold, settleAttempt } from './admit.ts'
import { startAttempt } from './attempt.ts'
import { type AttemptEnd, unsentEnd } from './attempt-end.ts'
import type { Plan } from './considered.ts'
import type { Call, Deps, Exchange } from './context.ts'
import { CredentialError, type Signature } from './credentials.ts'
import { learnTokens } from './gauges.ts'
import { sendHead } from './head.ts'
import type { Lane } from './lane.ts'
import type { TargetFacts } from './live.ts'
import { costOf, sumCosts } from './meter.ts'
import type { Aim } from './plan.ts'
import { bookEnd, bookOpen } from './settle.ts'
import { awaitSignature, signedRequest } from './signature.ts'
import { isThinking } from './thinking.ts'
import type { UpstreamText } from './translate.ts'

export const STREAM_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
}

/** A target that was let in, and the request in its words. */
export interface Sendable {
  readonly aim: Aim
  readonly admitted: AdmittedCall
  readonly text: UpstreamText
}

/** Attempts of one request that run at the same time. */
export interface Race {
  /** One has content. */
  readonly isOver: boolean
  /** `lose` is called when another one has content first. */
  enter(runner: object, lose: () => void): void
  won(runner: object): void
}

export async function sendAttempt(
  deps: Deps,
  exchange: Exchange,
  plan: Plan,
  sendable: Sendable,
  role: AttemptRole,
  lane: Lane,
  race: Race | null,
): Promise<AttemptEnd> {
  const { facts, account } = sendable.aim
  const { call, atMs } = sendable.admitted
  const open = await bookOpen(deps, exchange, lane, call, facts, role, atMs)
  const talk = new PlannerTalk(deps, exchange.id, facts.target.id, account?.name ?? null)
  talk.sent(atMs)
  race?.enter(talk, () => talk.lost())
  const end = await run(deps, exchange, plan, sendable, lane, race, talk)
  const row = bookEnd(deps, exchange, lane, call, facts, open, end)
  settleAttempt(deps, lane, row)
  learnTokens(deps, call, row, sendable.text.streaming ? end.state : null)
  talk.ended(end, row, plan)
  deps.metrics.targetState(facts.target.id, deps.planner.breakerState(facts.target.id, deps.clock.nowMs()))
  return end
}

/** What the planner hears of one attempt; of its end once. */
class PlannerTalk {
  readonly #deps: Deps
  readonly #id: string
  readonly #target: string
  readonly #account: string | null
  #isOver = false

  constructor(deps: Deps, id: string, target: string, account: string | null) {
    this.#deps = deps
    this.#id = id
    this.#target = target
    this.#account = account
  }

  sent(atMs: number): void {
    this.#deps.planner.attemptStarted(this.#id, this.#target, this.#account, atMs)
  }

  firstByte(): void {
    this.#deps.planner.firstByte(this.#id, this.#target)
  }

  firstToken(): void {
    this.#deps.planner.firstToken(this.#id, this.#target, this.#deps.clock.nowMs())
  }

  lost(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#deps.planner.cancelled(this.#id, this.#target, this.#deps.clock.nowMs())
  }

  ended(end: AttemptEnd, row: AttemptRow, { policy }: Plan): void {
    // An answer that was read on to its end says as much of its target as one that was read.
    if (end.outcome === 'cancelled' && end.left !== 'learned') return this.lost()
    if (this.#isOver) return
    this.#isOver = true
    const { planner, clock } = this.#deps
    const nowMs = clock.nowMs()
    if (end.failure === null) {
      const { cachedInputTokens: cachedTokens, outputTokens } = row.usage
      planner.finished(this.#id, this.#target, { cachedTokens, outputTokens }, nowMs)
      return
    }
    const retryAfterMs = policy.retry.respectRetryAfter ? end.failure.retryAfterMs : null
    planner.failed(this.#id, this.#target, end.failure.kind, retryAfterMs, nowMs)
  }
}

async function run(
  deps: Deps,
  exchange: Exchange,
  plan: Plan,
  { aim: { facts, account }, admitted, text }: Sendable,
  lane: Lane,
  race: Race | null,
  talk: PlannerTalk,
): Promise<AttemptEnd> {
  const { call, atMs } = admitted
  const { timeouts } = plan.policy
  const startedMs = deps.clock.monotonicMs()
  let waitedMs = 0
  let signature: Signature | null
  try {
    const signed = deps.tokens.sign(facts, account)
    signature = signed instanceof Promise ? await awaitSignature(deps, exchange, signed, timeouts) : signed
    waitedMs = deps.clock.monotonicMs() - startedMs
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error
    return unsentEnd(error.toFailure(), deps.clock.monotonicMs() - startedMs)
  }
  if (signature === null || exchange.clientGone || race?.isOver === true) return unsentEnd(null, waitedMs)
  exchange.upstreamMs += waitedMs
  extendHold(deps, lane, plan.policy)
  const { sink } = exchange
  const attempt = startAttempt(deps, {
    call,
    facts,
    request: signedRequest(text, signature, facts),
    streaming: text.streaming,
    timeouts: { ...timeouts, totalMs: timeouts.totalMs - waitedMs },
    ttftMs: timeoutMsOf(plan, isThinking(facts, call)),
    requestId: exchange.id,
    onLeave: abortPlanOf(facts, text.streaming),
    costOf: (usage, responseModel) => runningCost(exchange, call, facts, usage, responseModel, atMs),
    onFirstByte: () => talk.firstByte(),
    onContent: () => {
      race?.won(talk)
      talk.firstToken()
    },
    commit: () => {
      race?.won(talk)
      exchange.ttftMs = deps.clock.monotonicMs() - exchange.startedMs
      exchange.dropped = text.dropped
      sendHead(exchange, 200, STREAM_HEADERS, facts.target.id)
      sink.onDrain = attempt.resume
    },
    write: (bytes) => sink.write(bytes),
  })
  race?.enter(talk, () => {
    talk.lost()
    attempt.lose()
  })
  exchange.leavers.add(attempt.leave)
  const end = await attempt.ended
  exchange.leavers.delete(attempt.leave)
  if (sink.onDrain === attempt.resume) sink.onDrain = null
  if (end.failure?.renew === true) deps.tokens.invalidate(facts.settings.name, account, signature)
  if (end.body !== null) exchange.dropped = text.dropped
  return end
}

/** Cost of the request with this attempt's usage as it stands, for `usage.cost`. */
function runningCost(
  exchange: Exchange,
  call: Call,
  facts: TargetFacts,
  usage: TokenUsage,
  responseModel: string | null,
  startedAtMs: number,
): string | null {
  // What lacks a part costs more than the other part does.
  if (usage.lacks !== undefined) return null
  const cost = costOf(exchange.live, call, facts, usage, responseModel, startedAtMs)
  return cost === null ? null : formatNano((sumCosts(exchange.attempts) + cost.amountNano) as Nano)
}
