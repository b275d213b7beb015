// Upstream calls whose client has left: what is done with them, and how many of them are read on for their usage.

import type { OnClientAbort, Settings } from '#core/settings.ts'
import type { DrainOutcome, Metrics } from '#core/telemetry.ts'
import type { TargetFacts } from './live.ts'

/** What ends a drain before its upstream does: its time, its bytes, too many others, or that of the gateway. */
export type DrainCap = 'time' | 'bytes' | 'number' | 'stop'

/**
 * What became of a call whose client left: aborted by policy (`cancel`, `estimate`); read on to its end (`learned`) or to
 * its failure (`failed`); or not, or not to the end, because a bound stood against it.
 */
export type Left = 'cancel' | 'estimate' | 'learned' | 'failed' | DrainCap

export interface AbortPlan {
  readonly policy: OnClientAbort
  /** The vendor is known to stop billing when the connection is closed. */
  readonly stopsBilling: boolean
}

/** The configuration's word, else by the folder's facts: where nobody knows, the answer is paid for and read on. */
export function abortPlanOf(facts: TargetFacts, streaming: boolean): AbortPlan {
  const { cancelStopsBilling = 'no' } = facts.quirks
  const stopsBilling = cancelStopsBilling === 'yes' || (cancelStopsBilling === 'streams' && streaming)
  const policy = facts.settings.onClientAbort ?? (stopsBilling ? 'cancel' : 'drain')
  return stopsBilling ? PLANS.stopping[policy] : PLANS.going[policy]
}

/** Made once: every attempt asks. */
const PLANS = {
  stopping: plansFor(true),
  going: plansFor(false),
}

function plansFor(stopsBilling: boolean): Readonly<Record<OnClientAbort, AbortPlan>> {
  return {
    cancel: { policy: 'cancel', stopsBilling },
    drain: { policy: 'drain', stopsBilling },
    estimate: { policy: 'estimate', stopsBilling },
  }
}

/** An aborted call may be billed to its end all the same, unless what came is all of it, or taken to be. */
export function billsOn(left: Left | null, plan: AbortPlan): boolean {
  if (left === null || left === 'learned' || left === 'failed' || left === 'cancel') return false
  return left === 'estimate' || !plan.stopsBilling
}

/** One answer that is read on. */
export interface Drain {
  readonly msMax: number
  readonly bytesMax: number
  /** It is over. */
  end(): void
}

type Limits = Settings['server']['abandoned']

/** The answers of one instance that are read on, within its bounds. */
export class DrainDesk {
  readonly #limits: Limits
  readonly #metrics: Pick<Metrics, 'drains'>
  readonly #running = new Set<() => void>()
  #isClosed = false
  #onIdle: (() => void) | null = null

  constructor(limits: Limits, metrics: Pick<Metrics, 'drains'>) {
    this.#limits = limits
    this.#metrics = metrics
  }

  /** A place, or why there is none. `cut` is called when the gateway cannot wait any longer. */
  enter(cut: () => void): Drain | DrainCap {
    if (this.#isClosed) return 'stop'
    if (this.#running.size >= this.#limits.drainsMax) return 'number'
    this.#running.add(cut)
    this.#metrics.drains(this.#running.size)
    return { msMax: this.#limits.drainMs, bytesMax: this.#limits.bytesMax, end: () => this.#leave(cut) }
  }

  /** Resolves when none is running. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onIdle = resolve
    })
  }

  /** No more of them; those that run are cut, and book what they know. */
  close(): void {
    this.#isClosed = true
    for (const cut of [...this.#running]) cut()
  }

  #leave(cut: () => void): void {
    if (!this.#running.delete(cut)) return
    this.#metrics.drains(this.#running.size)
    if (this.#running.size > 0) return
    this.#onIdle?.()
    this.#onIdle = null
  }
}

/** How a drain ended, for the metrics; null: there was none to be made. */
export function drainOutcome(left: Left | null, hasUsage: boolean): DrainOutcome | null {
  if (left === null || left === 'cancel' || left === 'estimate') return null
  return left === 'learned' && !hasUsage ? 'unsaid' : left
}
