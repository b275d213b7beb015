// Carries final rows from the instance's journal to the shared store, in order, each exactly once in effect.
// Where the rows lie and how they are applied is the business of the two stores.

import type { LedgerBatch, LedgerStore } from '#core/ledger.ts'
import type { Clock, Timer } from '#core/ports.ts'

/** Reading and packing this many rows keeps the event loop for about 2 ms. */
const BATCH_ROWS_MAX = 200
/** Usage may be this far behind, and no further, while the store is well. */
const IDLE_MS = 200
const RETRY_MS_FIRST = 100
const RETRY_MS_MAX = 1_000
/** Shipped rows stay this long, for a look at the instance itself. */
const KEPT_MS = 3_600_000
const PRUNED_REQUESTS_MAX = 200

export interface ShippableJournal {
  readonly instance: string
  readonly rowsWaiting: number
  oldestWaitingAtMs(): number | null
  /** The oldest rows that wait, of one epoch; the same ones until `shipped` is called. */
  unshipped(rowsMax: number): LedgerBatch | null
  shipped(batch: LedgerBatch): void
  /** Deletes requests that ended before this and wait for nothing. Returns how many. */
  prune(beforeMs: number, requestsMax: number): number
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
  readonly store: Pick<LedgerStore, 'apply'>
  /** Takes what a batch charges to budgets, before the store has the batch; a row that it had before it skips. */
  readonly charges?: (batch: LedgerBatch) => Promise<void>
  readonly clock: Clock
  /** Asked before each batch and while nothing waits; false: the rows stay, as another process has this name. */
  readonly mayShip?: () => Promise<boolean>
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

class ShippingLoop implements Shipper {
  readonly #options: ShipperOptions
  #timer: Timer | null = null
  #retryMs = 0
  #error: unknown = null
  #isUp = true
  #isStopping = false
  #running: Promise<void> = Promise.resolve()

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
    let outcome = await this.#shipOne()
    while (outcome === 'shipped' && !this.#isStopping) outcome = await this.#shipOne()
    if (this.#isStopping) return
    if (outcome === 'failed') {
      this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs === 0 ? RETRY_MS_FIRST : this.#retryMs * 2)
    } else {
      this.#retryMs = 0
      this.#prune()
    }
    this.#timer = this.#options.clock.after(this.#retryMs === 0 ? IDLE_MS : this.#retryMs, () => this.start())
  }

  async #shipOne(): Promise<'shipped' | 'empty' | 'withheld' | 'failed'> {
    const { journal, store, mayShip } = this.#options
    try {
      const batch = journal.unshipped(this.#options.batchRowsMax ?? BATCH_ROWS_MAX)
      if (mayShip !== undefined && !(await mayShip())) {
        this.#options.onState(this.state)
        return 'withheld'
      }
      if (batch === null) return 'empty'
      await this.#options.charges?.(batch)
      await store.apply(batch)
      journal.shipped(batch)
    } catch (error) {
      this.#isUp = false
      this.#error = error
      this.#options.onState(this.state)
      return 'failed'
    }
    this.#isUp = true
    this.#error = null
    this.#options.onState(this.state)
    return 'shipped'
  }

  #prune(): void {
    const { clock, journal } = this.#options
    try {
      journal.prune(clock.nowMs() - KEPT_MS, PRUNED_REQUESTS_MAX)
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
