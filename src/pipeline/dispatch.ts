// Attempts, each where the planner sends it, until one answers. Fallback is possible until the client has had content.

import type { AttemptRole } from '#core/decision.ts'
import { GatewayError, type UpstreamFailure } from '#core/errors.ts'
import { EARLY_HEAD_MS, PING_INTERVAL_MS } from '#core/limits.ts'
import type { Timer } from '#core/ports.ts'
import type { AccountSettings, TargetSettings } from '#core/settings.ts'
import { isOfTheKey } from '#routing/account.ts'
import { decideNext } from '#routing/retry.ts'
import { admitAttempt, noteSkipped, type Refused, releaseAttempt } from './admit.ts'
import type { Plan } from './considered.ts'
import type { Call, Deps, Exchange } from './context.ts'
import { toGatewayError } from './failure.ts'
import { sendHead } from './head.ts'
import { attemptHedged } from './hedged.ts'
import { noteLater } from './later.ts'
import type { TargetFacts } from './live.ts'
import { nearDirect, noSuchDirect } from './models.ts'
import { type Aim, nextStep, type Step } from './plan.ts'
import { type Sendable, STREAM_HEADERS } from './send.ts'
import { encodeUpstream, type UpstreamText } from './translate.ts'

/** How the request as a whole came out. */
export type Outcome =
  | { readonly kind: 'answered'; readonly facts: TargetFacts; readonly body: Uint8Array | null }
  | { readonly kind: 'failed'; readonly error: GatewayError; readonly facts: TargetFacts }
  | { readonly kind: 'cancelled' }

const CANCELLED: Outcome = { kind: 'cancelled' }

export async function dispatch(deps: Deps, exchange: Exchange, call: Call, plan: Plan): Promise<Outcome> {
  const keepAlive = call.streaming ? startKeepAlive(deps, exchange) : null
  let isMissed = true
  try {
    const outcome = await attemptAll(deps, exchange, call, plan)
    isMissed = outcome.kind === 'failed'
    return outcome
  } finally {
    keepAlive?.cancel()
    deps.planner.abandoned(exchange.id, isMissed, deps.clock.nowMs())
    deps.metrics.plannerRequests(deps.planner.calls)
  }
}

/** How far a request has come. */
interface Course {
  /** Attempts made, but for hedges and for those with a renewed credential. */
  made: number
  /** Their targets, and those of hedges. */
  readonly tried: string[]
  /** The same with the keys that they were asked with. */
  readonly asked: Set<string>
  /** Targets that would fail again. */
  readonly barred: Set<string>
  /** Providers whose credential has been renewed. */
  readonly renewed: Set<string>
  /** To be asked once more with a renewed credential. */
  again: Aim | null
  /** Before one that has failed is asked again. */
  backoffMs: number
  failed: Outcome | null
}

async function attemptAll(deps: Deps, exchange: Exchange, call: Call, plan: Plan): Promise<Outcome> {
  const course: Course = {
    made: 0,
    tried: [],
    asked: new Set(),
    barred: new Set(),
    renewed: new Set(),
    again: null,
    backoffMs: 0,
    failed: null,
  }
  for (;;) {
    const step = stepOf(deps, exchange, call, plan, course)
    if (step.kind === 'wait') {
      await pause(deps, exchange, step.waitMs)
      if (exchange.clientGone) return CANCELLED
      continue
    }
    if (course.made === 0) noteDecision(deps, exchange, step)
    if (step.kind === 'refuse') {
      if (course.failed !== null) return course.failed
      throw step.error
    }
    if (isRepeat(course, step)) {
      await pause(deps, exchange, course.backoffMs)
      if (exchange.clientGone) return CANCELLED
    }
    let chosen = choose(deps, exchange, plan, step.aims)
    while (chosen instanceof Promise) {
      await chosen
      if (exchange.clientGone) return CANCELLED
      chosen = choose(deps, exchange, plan, step.aims)
    }
    if (chosen instanceof GatewayError) {
      if (course.failed !== null) return course.failed
      throw chosen
    }
    const outcome = await attemptOne(deps, exchange, call, plan, course, chosen, step)
    if (outcome !== null) return outcome
  }
}

function noteDecision(
  deps: Deps,
  exchange: Exchange,
  { kind, decision }: Exclude<Step, { kind: 'wait' }>,
): void {
  exchange.decision = decision
  const choice = decision.explored ? 'explored' : decision.sloRelaxed ? 'slo_relaxed' : 'best'
  deps.metrics.decided(decision.policy, kind === 'refuse' ? 'refused' : choice)
}

function stepOf(deps: Deps, exchange: Exchange, call: Call, plan: Plan, course: Course): Step {
  const { again } = course
  const decision = exchange.decision
  if (again === null || decision === null) return nextStep(deps, plan, call, course.tried, course.barred)
  return { kind: 'ask', aims: [again], hedgeAfterMs: null, decision }
}

/** With nothing else left, one that has failed is asked again, after a while. */
function isRepeat({ asked, again }: Course, { aims }: Extract<Step, { kind: 'ask' }>): boolean {
  const [first] = aims
  return again === null && first !== undefined && asked.has(nameOf(first))
}

function nameOf({ facts, account }: Aim): string {
  return account === null ? facts.target.id : `${facts.target.id} ${account.name}`
}

/** The first that its limits and its dialect let ask; else why none does. A promise: to be chosen again when it is over. */
function choose(
  deps: Deps,
  exchange: Exchange,
  plan: Plan,
  aims: readonly Aim[],
): Sendable | GatewayError | Promise<void> {
  let refused: Refused | null = null
  for (const [index, aim] of aims.entries()) {
    const { facts, call } = aim
    const admitted = admitAttempt(deps, exchange, exchange.lane, call, facts, plan.policy)
    if (admitted.refused !== null) {
      if (admitted.refused.refill !== null) return admitted.refused.refill
      noteSkipped(exchange, facts, admitted.refused)
      // Without a bound or a price a target was never to be had; what another one lacked says more.
      if (refused === null || refused.error.code === 'no_target') refused = admitted.refused
      if (admitted.refused.isFinal) break
      continue
    }
    const text = encodeOrNull(deps, exchange, admitted.call, facts, index + 1 < aims.length)
    if (text !== null) return { aim, admitted, text }
    releaseAttempt(exchange.lane)
  }
  return refused?.error ?? new GatewayError('no_target', `no target of "${plan.request.model}" can be asked`)
}

/**
 * A dialect may have no words for what a request says (the order of its turns, a kind of tool): then it is no attempt,
 * and the next target is asked. null: go on. @throws GatewayError when there is no next one
 */
function encodeOrNull(
  deps: Deps,
  exchange: Exchange,
  call: Call,
  facts: TargetFacts,
  hasNext: boolean,
): UpstreamText | null {
  try {
    return encodeUpstream(call, facts)
  } catch (error) {
    if (!hasNext || !(error instanceof GatewayError)) throw error
    deps.log.info('attempt.skipped', {
      request_id: exchange.id,
      target: facts.target.id,
      message: error.message,
    })
    return null
  }
}

/** null: it failed, and another one may follow. */
async function attemptOne(
  deps: Deps,
  exchange: Exchange,
  call: Call,
  plan: Plan,
  course: Course,
  chosen: Sendable,
  step: Extract<Step, { kind: 'ask' }>,
): Promise<Outcome | null> {
  const { aim } = chosen
  const first = aim.facts.target
  const role = roleOf(course, first)
  if (role !== 'first') noteLater(exchange, first.id, role, step.decision)
  if (course.again === null) course.made++
  course.again = null
  course.tried.push(first.id)
  course.asked.add(nameOf(aim))
  // The time for a second one hangs on which is the first.
  const hedgeAfterMs = aim === step.aims[0] ? step.hedgeAfterMs : null
  const { end, aim: ended } = await attemptHedged(deps, exchange, plan, chosen, role, hedgeAfterMs)
  const { facts, account } = ended
  if (ended !== aim) course.tried.push(facts.target.id)
  if (end.outcome === 'cancelled' || exchange.clientGone) return CANCELLED
  if (end.failure === null) return { kind: 'answered', facts, body: end.body }
  const error = notServed(exchange, call, end.failure) ?? toGatewayError(end.failure)
  logFailure(deps, exchange, facts, account, end.failure)
  course.failed = { kind: 'failed', error, facts }
  if (end.committed) return course.failed
  if (end.failure.renew === true && !course.renewed.has(facts.settings.name)) {
    course.renewed.add(facts.settings.name)
    course.again = ended
    return null
  }
  const { policy } = plan
  const next = decideNext({
    failure: end.failure,
    policy,
    attempts: course.made,
    random: deps.random.unit,
  })
  if (next.kind === 'give_up') return course.failed
  deps.metrics.fallback(end.failure.kind)
  course.backoffMs = next.waitMs
  // Where a key failed, another one may do.
  const hasOthers = account !== null && isOfTheKey(end.failure.kind)
  if (!next.mayBeSame && !hasOthers) course.barred.add(facts.target.id)
  if (end.failure.kind === 'moderation') barModerated(course, plan)
  return null
}

function roleOf({ made, again, tried }: Course, target: TargetSettings): AttemptRole {
  if (made === 0) return 'first'
  return again !== null || tried.includes(target.id) ? 'retry' : 'fallback'
}

/** A refusal for content goes only to providers that the policy names. */
function barModerated(course: Course, { policy, able }: Plan): void {
  const allowed = policy.onModeration
  for (const { facts } of able) {
    const isAllowed = allowed !== 'stop' && allowed.includes(facts.target.provider)
    if (!isAllowed) course.barred.add(facts.target.id)
  }
}

/** A `PROVIDER/MODEL` that a client named itself and the provider does not serve: the name is wrong, not the upstream. */
function notServed(exchange: Exchange, call: Call, failure: UpstreamFailure): GatewayError | null {
  if (failure.kind !== 'model_unavailable' || exchange.key === null) return null
  const near = nearDirect(exchange.live, exchange.key, call.model)
  return near === null ? null : noSuchDirect(call.model, near, 'its provider does not serve it')
}

/** The client may leave meanwhile: what was sent is booked by then, and nobody else is asked. */
function pause(deps: Deps, exchange: Exchange, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const leave = (): void => {
      timer.cancel()
      exchange.leavers.delete(leave)
      resolve()
    }
    const timer = deps.clock.after(waitMs, leave)
    exchange.leavers.add(leave)
  })
}

/** A client that waits long for its first content gets its head and a sign of life. */
function startKeepAlive(deps: Deps, exchange: Exchange): Timer {
  let timer = deps.clock.after(EARLY_HEAD_MS, ping)
  function ping(): void {
    if (exchange.ttftMs !== null || exchange.closed || exchange.clientGone) return
    sendHead(exchange, 200, STREAM_HEADERS, null)
    exchange.sink.write(': ping\n\n')
    timer = deps.clock.after(PING_INTERVAL_MS, ping)
  }
  return { cancel: () => timer.cancel() }
}

function logFailure(
  deps: Deps,
  exchange: Exchange,
  facts: TargetFacts,
  account: AccountSettings | null,
  failure: UpstreamFailure,
): void {
  deps.log.warn('attempt.failed', {
    request_id: exchange.id,
    target: facts.target.id,
    ...(account === null ? {} : { account: account.name }),
    kind: failure.kind,
    status: failure.status,
    vendor_code: failure.vendorCode,
    vendor_message: failure.vendorMessage.slice(0, 500),
  })
}
