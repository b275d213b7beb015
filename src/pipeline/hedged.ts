// An attempt, and a second one beside it where the first is late and the planner finds that worth its price. The first
// content wins; the other one is aborted and booked.

import type { AttemptRole } from '#core/decision.ts'
import { admitAttempt } from './admit.ts'
import type { AttemptEnd } from './attempt-end.ts'
import type { Plan } from './considered.ts'
import type { Deps, Exchange } from './context.ts'
import { openLane } from './lane.ts'
import { noteLater } from './later.ts'
import { type Aim, aimOf } from './plan.ts'
import { type Race, type Sendable, sendAttempt } from './send.ts'
import { encodeUpstream } from './translate.ts'

/** How an attempt ended, and where. */
export interface Ended {
  readonly end: AttemptEnd
  readonly aim: Aim
}

/** `hedgeAfterMs` null: there is no second one. */
export async function attemptHedged(
  deps: Deps,
  exchange: Exchange,
  plan: Plan,
  first: Sendable,
  role: AttemptRole,
  hedgeAfterMs: number | null,
): Promise<Ended> {
  const { aim } = first
  if (hedgeAfterMs === null) {
    const end = await sendAttempt(deps, exchange, plan, first, role, exchange.lane, null)
    exchange.upstreamMs += end.durationMs
    return { end, aim }
  }
  const startedMs = deps.clock.monotonicMs()
  const race = new FirstContent()
  let second: Promise<Ended | null> = Promise.resolve(null)
  const timer = deps.clock.after(hedgeAfterMs, () => {
    second = hedge(deps, exchange, plan, race)
  })
  const end = await sendAttempt(deps, exchange, plan, first, role, exchange.lane, race)
  timer.cancel()
  const other = await second
  exchange.upstreamMs += deps.clock.monotonicMs() - startedMs
  const own = { end, aim }
  return other === null ? own : better(own, other)
}

class FirstContent implements Race {
  #isOver = false
  readonly #running = new Map<object, () => void>()

  get isOver(): boolean {
    return this.#isOver
  }

  enter(runner: object, lose: () => void): void {
    this.#running.set(runner, lose)
  }

  won(runner: object): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const [other, lose] of this.#running) if (other !== runner) lose()
  }
}

/** null: none was worth it, or let in. */
async function hedge(deps: Deps, exchange: Exchange, plan: Plan, race: Race): Promise<Ended | null> {
  if (race.isOver || exchange.clientGone) return null
  const chosen = deps.planner.hedge(exchange.id, deps.clock.nowMs())
  if (chosen === null) return null
  const aim = aimOf(plan, chosen.target, chosen.account)
  const { facts, call } = aim
  const lane = openLane(exchange.lane.grant?.fork() ?? null)
  try {
    const admitted = admitAttempt(deps, exchange, lane, call, facts, plan.policy)
    if (admitted.refused !== null) return null
    const text = encodeUpstream(admitted.call, facts)
    deps.metrics.hedged()
    noteLater(exchange, facts.target.id, 'hedge', null)
    const end = await sendAttempt(deps, exchange, plan, { aim, admitted, text }, 'hedge', lane, race)
    return { end, aim }
  } catch (cause) {
    // What stands in the way of a second one is no fault of the first.
    deps.log.warn('hedge.failed', {
      request_id: exchange.id,
      target: facts.target.id,
      message: String(cause),
    })
    return null
  } finally {
    lane.grant?.close()
  }
}

/** The one that answered; of two that did not, the one that failed last. */
function better(first: Ended, second: Ended): Ended {
  if (first.end.failure === null && first.end.outcome !== 'cancelled') return first
  if (first.end.committed) return first
  return second.end.outcome === 'cancelled' ? first : second
}
