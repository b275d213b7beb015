// Requests or tokens that one instance was lent from a fleet's window. A lease ends a second after it was asked for;
// what was not used of it goes back, and so does what an attempt turned out not to need.

import { Demand, stockMove } from './demand.ts'
import type { RateAsk, RateReply } from './lease-words.ts'
import { RateWindow } from './rate-window.ts'

const LEASE_MS = 1_000
/** When nothing that the fleet had admitted before the store was lost is in a window any more. */
const LOST_MS = 61_250

interface Lease {
  readonly bucket: number
  readonly untilMs: number
  left: number
}

/** What one attempt took of each lease, oldest first. */
export type Portions = { readonly bucket: number; amount: number }[]

export interface WindowView {
  readonly used: number
  readonly waitMs: number
  readonly resetMs: number
  readonly atTickMs: number
}

export class LentRate {
  #leases: Lease[] = []
  /** By bucket: what is to be corrected in the window. */
  #fixes = new Map<number, number>()
  #need = 0
  #least = 0
  readonly #demand = new Demand()
  #view: WindowView | null = null
  /** What was admitted while nobody could be asked. */
  #lost: { readonly window: RateWindow; readonly sinceMs: number } | null = null

  get view(): WindowView | null {
    return this.#view
  }

  get isIdle(): boolean {
    return this.#leases.length === 0 && this.#fixes.size === 0 && this.#demand.level === 0 && this.#need === 0
  }

  free(tickMs: number): number {
    this.#expire(tickMs)
    let free = 0
    for (const { left } of this.#leases) free += left
    return free
  }

  isLow(tickMs: number): boolean {
    return this.free(tickMs) < this.#demand.level / 2
  }

  want(amount: number): void {
    this.#need += amount
    if (this.#least === 0 || amount < this.#least) this.#least = amount
  }

  /** What may be admitted beyond the leases while nobody can be asked: this instance's share of what is known to be left. */
  lostRoom(limit: number, instances: number, tickMs: number): number {
    this.#lost ??= { window: new RateWindow(), sinceMs: tickMs }
    const { window, sinceMs } = this.#lost
    const others = tickMs - sinceMs < LOST_MS ? (this.#view?.used ?? 0) : 0
    return Math.floor(Math.max(0, limit - others) / Math.max(1, instances)) - window.used(tickMs)
  }

  /** What leases do not have is told when somebody can be asked again. */
  take(amount: number, tickMs: number): Portions {
    this.#expire(tickMs)
    this.#demand.note(amount)
    const portions: Portions = []
    let wanted = amount
    for (const lease of this.#leases) {
      const taken = Math.min(lease.left, wanted)
      if (taken === 0) continue
      lease.left -= taken
      wanted -= taken
      portions.push({ bucket: lease.bucket, amount: taken })
      if (wanted === 0) return portions
    }
    if (wanted === 0) return portions
    this.#lost ??= { window: new RateWindow(), sinceMs: tickMs }
    this.#lost.window.add(wanted, tickMs)
    return portions
  }

  /** The attempt weighed `difference` more than it took. */
  correct(portions: Portions, difference: number): void {
    const last = portions.at(-1)
    if (difference === 0 || last === undefined) return
    if (difference > 0) return this.#fix(last.bucket, difference)
    let left = -difference
    for (let index = portions.length - 1; index >= 0 && left > 0; index -= 1) {
      const portion = portions[index]
      if (portion === undefined) return
      const given = Math.min(portion.amount, left)
      portion.amount -= given
      left -= given
      this.#fix(portion.bucket, -given)
    }
  }

  turn(): void {
    this.#demand.turn()
  }

  /** `ownUsed`: of this instance in the last 60 seconds, which a store that was emptied does not know. */
  ask(limit: number, tickMs: number, declares: boolean, ownUsed: number): RateAsk {
    if (declares) {
      this.#leases = []
      this.#fixes = new Map(ownUsed > 0 ? [[0, ownUsed]] : [])
      this.#lost = null
    }
    this.#giveBack(tickMs)
    const free = this.free(tickMs)
    const { level } = this.#demand
    const move = stockMove(free, this.#demand, false)
    const need = Math.max(0, this.#need - free)
    const ask: RateAsk = {
      limit,
      need,
      least: need === 0 ? 0 : Math.max(1, this.#least - free),
      ahead: Math.ceil(need > 0 ? 2 * level : move.ahead),
      fixes: [...this.#fixes],
    }
    this.#fixes = new Map()
    this.#need = 0
    this.#least = 0
    return ask
  }

  /** `sentTickMs`: the lease is at most a second old from then on, whatever the store's clock says. */
  hear(reply: RateReply, sentTickMs: number, tickMs: number): void {
    const { granted: left, bucket, used, waitMs, resetMs } = reply
    if (left > 0) {
      this.#leases.push({ bucket, left, untilMs: sentTickMs + LEASE_MS })
      this.#demand.lent()
    }
    if (reply.state === 'lent') this.#view = { used, waitMs, resetMs, atTickMs: tickMs }
  }

  /** The store answers: what went beyond the leases counts from now on, a little longer than it would. */
  found(tickMs: number): void {
    const used = this.#lost?.window.used(tickMs) ?? 0
    if (used > 0) this.#fix(0, used)
    this.#lost = null
  }

  #giveBack(tickMs: number): void {
    let surplus = Math.floor(stockMove(this.free(tickMs), this.#demand, false).back)
    for (const lease of this.#leases) {
      const given = Math.min(lease.left, surplus)
      if (given === 0) continue
      lease.left -= given
      surplus -= given
      this.#fix(lease.bucket, -given)
    }
  }

  #expire(tickMs: number): void {
    while (this.#leases.length > 0) {
      const [first] = this.#leases
      if (first === undefined || (first.untilMs > tickMs && first.left > 0)) return
      if (first.left > 0) this.#fix(first.bucket, -first.left)
      this.#leases.shift()
    }
  }

  #fix(bucket: number, difference: number): void {
    this.#fixes.set(bucket, (this.#fixes.get(bucket) ?? 0) + difference)
  }
}
