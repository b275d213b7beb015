// Carries final rows from the instance's journal to the shared store, in order, each exactly once in effect.
// Where the rows lie and how they are applied is the business of the two stores.

import type { LedgerBatch } from '#core/ledger.ts'
import type { ClosedMonth } from '#core/month-close.ts'
import type { Clock, Timer } from '#core/ports.ts'
import { StoreUnavailableError } from './errors.ts'
import { batchOfShipment, type Shipment, type ShipPort } from './shipment.ts'

/** Packing this many rows keeps the event loop for about 2 ms. */
const BATCH_ROWS_MAX = 1_000
/** Usage may be this far behind, and no further, while the store is well; the more go together the less each costs. */
const IDLE_MS = 100
/** A store that was emptied is noticed also while nothing is sent. */
const LOOK_MS = 2_000
/** While somebody writes the store anew. */
const UNFOUNDED_MS = 250
/** One look at the store's marks closes a gap. */
const GAPS_MAX = 3
const RETRY_MS_FIRST = 100
const RETRY_MS_MAX = 1_000
/** Shipped rows stay this long, for a look at the instance itself. */
const KEPT_MS = 3_600_000
const PRUNED_REQUESTS_MAX = 200

export interface ShippableJournal {
  readonly instance: string
  readonly rowsWaiting: number
  oldestWaitingAtMs(): number | null
  /** Brings what has ended into sight. */
  flush(): void
  /** The oldest rows that wait, of one epoch. */
  unshipped(rowsMax: number): Shipment | null
  shipped(shipment: Shipment): void
  /** Learns of closed months where it was just reconciled. Returns those that the store does not know of. */
  closeMonths(closed: readonly ClosedMonth[], nowMs: number): readonly ClosedMonth[]
  /** Goes to where the store is. Returns how many rows the store lacks that are no longer here. */
  reconcile(marks: ReadonlyMap<number, number>): number
  /** Deletes requests that ended before this and that nobody needs. Returns how many. */
  prune(beforeMs: number, requestsMax: number, archivedSequence?: number): number
}

export interface ShipperState {
  /** The last batch was taken, or none was sent yet. */
  readonly isUp: boolean
  readonly rowsWaiting: number
  /** 0 when nothing waits. */
  readonly oldestAgeMs: number
  /** Why it is down. */
  readonly error: unknown
}

export interface ShipperOptions {
  readonly journal: ShippableJournal
  readonly store: ShipPort
  /** Takes what rows charge to budgets, before the store has them; a row that it had before it skips. */
  readonly charges?: (batch: LedgerBatch) => Promise<void>
  readonly clock: Clock
  /** Asked before each batch and while nothing waits; false: the rows stay, as another process has this name. */
  readonly mayShip?: () => Promise<boolean>
  /** The store has no life: somebody must write it anew. Resolves when this was tried. */
  readonly found: () => Promise<void>
  /** Rows that the store lacks and that are no longer here. */
  readonly onLost?: (rows: number) => void
  /** What of shipped rows may go: ended before this, and archived up to a sequence. */
  readonly keep?: () => { readonly beforeMs: number; readonly archivedSequence: number }
  /** Called after each batch and each failure. */
  readonly onState: (state: ShipperState) => void
  readonly batchRowsMax?: number
}

export interface Shipper {
  readonly state: ShipperState
  /** Ships what waits until done or out of time. Returns the rows left, which the next start ships. */
  stop(timeoutMs: number): Promise<number>
}

/** Starts shipping. A time-out leaves unknown what was applied, so the same batch is sent until it is taken. */
export function createShipper(options: ShipperOptions): Shipper {
  const loop = new ShippingLoop(options)
  loop.start()
  return loop
}

type Outcome = 'shipped' | 'empty' | 'withheld' | 'unfounded' | 'failed'

class ShippingLoop implements Shipper {
  readonly #options: ShipperOptions
  #timer: Timer | null = null
  #retryMs = 0
  #error: unknown = null
  #isUp = true
  #isStopping = false
  #running: Promise<void> = Promise.resolve()
  /** Of the store, when its marks were last looked at; null: they must be. */
  #life: string | null = null
  /** The closed months that this instance's rows go by. */
  #closes = ''
  /** A store that never had one has lost nothing. */
  #hadLife = false
  /** One after the other. */
  #gaps = 0
  #lookedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: ShipperOptions) {
    this.#options = options
  }

  get state(): ShipperState {
    const { journal, clock } = this.#options
    const oldestAtMs = journal.oldestWaitingAtMs()
    return {
      isUp: this.#isUp,
      rowsWaiting: journal.rowsWaiting,
      oldestAgeMs: oldestAtMs === null ? 0 : Math.max(0, clock.nowMs() - oldestAtMs),
      error: this.#error,
    }
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(timeoutMs: number): Promise<number> {
    const { clock, journal } = this.#options
    this.#isStopping = true
    this.#timer?.cancel()
    const deadlineMs = clock.monotonicMs() + timeoutMs
    const drain = async (): Promise<void> => {
      await this.#running
      journal.flush()
      while (clock.monotonicMs() < deadlineMs && (await this.#shipOne()) === 'shipped') {
        // Until nothing is left, the store fails or time is up.
      }
    }
    let timer: Timer | null = null
    const timeUp = new Promise<void>((resolve) => {
      timer = clock.after(timeoutMs, resolve)
    })
    await Promise.race([drain(), timeUp])
    cancel(timer)
    return journal.rowsWaiting
  }

  async #run(): Promise<void> {
    const rowsMax = this.#options.batchRowsMax ?? BATCH_ROWS_MAX
    let outcome = await this.#shipOne()
    // A few more can wait for others that go with them.
    while (outcome === 'shipped' && !this.#isStopping && this.#options.journal.rowsWaiting > rowsMax / 2)
      outcome = await this.#shipOne()
    if (this.#isStopping) return
    if (outcome === 'failed') {
      this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs === 0 ? RETRY_MS_FIRST : this.#retryMs * 2)
    } else {
      this.#retryMs = outcome === 'unfounded' ? UNFOUNDED_MS : 0
      this.#prune()
    }
    this.#timer = this.#options.clock.after(this.#retryMs === 0 ? IDLE_MS : this.#retryMs, () => this.start())
  }

  async #shipOne(): Promise<Outcome> {
    let outcome: Outcome
    try {
      outcome = await this.#shipNext()
    } catch (error) {
      // A server that comes back may have less than it had.
      this.#life = null
      this.#isUp = false
      this.#error = error
      this.#options.onState(this.state)
      return 'failed'
    }
    if (outcome !== 'unfounded') {
      this.#isUp = true
      this.#error = null
    }
    if (outcome !== 'empty') this.#options.onState(this.state)
    return outcome
  }

  async #shipNext(): Promise<Outcome> {
    const { journal, store, charges, mayShip } = this.#options
    if (mayShip !== undefined && !(await mayShip())) return 'withheld'
    if (!(await this.#isInPlace())) return this.#unfounded()
    const shipment = journal.unshipped(this.#options.batchRowsMax ?? BATCH_ROWS_MAX)
    if (shipment === null) {
      // Those that it counts are gone.
      if (journal.rowsWaiting > 0) this.#life = null
      return 'empty'
    }
    if (charges !== undefined) await charges(batchOfShipment(shipment))
    const outcome = await store.ship(shipment, this.#closes)
    if (outcome.kind === 'unfounded') return this.#unfounded()
    if (outcome.kind !== 'applied' || outcome.life !== this.#life) {
      this.#life = null
      this.#gaps += 1
      if (this.#gaps > GAPS_MAX)
        throw new Error(`the store is never where it says: ${JSON.stringify(outcome)}`)
      return 'shipped'
    }
    this.#gaps = 0
    journal.shipped(shipment)
    return 'shipped'
  }

  /** Looks at the store's marks where it may have been emptied since. False: it has no life. */
  async #isInPlace(): Promise<boolean> {
    const { clock, journal, store, onLost } = this.#options
    const nowMs = clock.monotonicMs()
    const isKnown = this.#life !== null && (journal.rowsWaiting > 0 || nowMs - this.#lookedAtMs < LOOK_MS)
    if (isKnown) return true
    const { life, marks, closed } = await store.standing(journal.instance)
    this.#lookedAtMs = nowMs
    this.#life = life
    if (life === null) return false
    this.#hadLife = true
    const lost = journal.reconcile(marks)
    if (lost > 0) onLost?.(lost)
    // Nothing that goes by fewer is taken any more, so that the marks are those of the close.
    const missing = journal.closeMonths(closed.months, clock.nowMs())
    for (const month of missing) await store.restoreMonth(month)
    this.#closes = closed.name
    if (missing.length > 0) this.#life = null
    return true
  }

  async #unfounded(): Promise<Outcome> {
    this.#life = null
    if (this.#hadLife) {
      this.#isUp = false
      this.#error = new StoreUnavailableError('the ledger in Redis has lost what it had and is written anew')
    }
    await this.#options.found()
    return 'unfounded'
  }

  #prune(): void {
    const { clock, journal, keep } = this.#options
    try {
      const kept = keep?.() ?? {
        beforeMs: clock.nowMs() - KEPT_MS,
        archivedSequence: Number.MAX_SAFE_INTEGER,
      }
      journal.prune(kept.beforeMs, PRUNED_REQUESTS_MAX, kept.archivedSequence)
    } catch (error) {
      // The disk is ill; the journal says so where it matters, and the next turn tries again.
      this.#error = error
      this.#options.onState(this.state)
    }
  }
}

function cancel(timer: Timer | null): void {
  timer?.cancel()
}
