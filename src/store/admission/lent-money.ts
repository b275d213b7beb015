// Money that one instance was lent from a purse. What settles leaves it at once; the purse hears of it with the rows.

import type { Budget } from '#core/admission.ts'
import { Demand, stockMove } from './demand.ts'
import type { MoneyAsk, MoneyReply } from './lease-words.ts'
import { periodAt, periodText } from './periods.ts'

/** A rolling period is kept in so many parts. */
const ROLLING_PARTS = 288
/** Beyond every instant: periods without an end. */
const NEVER_MS = 9e15
/** The part of an amount that may be spent beyond what is lent while nobody can be asked, over all instances. */
const LOST_SHARE = 100n
/** Amounts of a purse are int64. */
const NANO_MAX = 2n ** 63n - 1n

/** How the purse stood when it was last asked. */
export interface PurseView {
  /** Names the period. */
  readonly from: string
  readonly spentNano: bigint
  /** To the others, and what of that nothing needs. */
  readonly lentNano: bigint
  readonly idleNano: bigint
  /** Lent to nobody. */
  readonly roomNano: bigint
  readonly atTickMs: number
}

export class LentMoney {
  #lentNano = 0n
  /** Settled, and not yet charged to the purse. */
  #unchargedNano = 0n
  /** Lent to itself since nobody could be asked. */
  #beyondNano = 0n
  #needNano = 0n
  #leastNano = 0n
  #isHungry = false
  #askedFrom = '0'
  readonly #demand = new Demand()
  #view: PurseView | null = null

  get view(): PurseView | null {
    return this.#view
  }

  get unchargedNano(): bigint {
    return this.#unchargedNano
  }

  /** What may be held beside `heldNano`. */
  freeNano(heldNano: bigint): bigint {
    return this.#lentNano - this.#unchargedNano - heldNano
  }

  get isIdle(): boolean {
    return (
      this.#lentNano === 0n && this.#unchargedNano === 0n && this.#demand.level === 0 && this.#needNano === 0n
    )
  }

  noteTaken(amountNano: bigint): void {
    this.#demand.note(Number(amountNano))
  }

  /** Fewer than half of a turn's demand are left. */
  isLow(heldNano: bigint): boolean {
    return Number(this.freeNano(heldNano)) < this.#demand.level / 2
  }

  want(amountNano: bigint): void {
    this.#needNano += amountNano
    if (this.#leastNano === 0n || amountNano < this.#leastNano) this.#leastNano = amountNano
  }

  /** Nobody can be asked: what else may be spent beyond the lease. A strict budget lets nothing. */
  lostRoomNano(budget: Budget, instances: number): bigint {
    if (budget.isStrict) return 0n
    const share = budget.amountNano / LOST_SHARE
    const known = this.#view === null ? share : positive(this.#view.roomNano)
    return (known < share ? known : share) / BigInt(Math.max(1, instances)) - this.#beyondNano
  }

  /** Lends to itself what the lease lacks. */
  cover(heldNano: bigint): void {
    const lackNano = -this.freeNano(heldNano)
    if (lackNano <= 0n) return
    this.#lentNano += lackNano
    this.#beyondNano += lackNano
  }

  settle(amountNano: bigint): void {
    this.#unchargedNano += amountNano
  }

  /** The part of a charge that leaves the lease. */
  drawOf(amountNano: bigint): bigint {
    return amountNano < this.#unchargedNano ? amountNano : this.#unchargedNano
  }

  drawn(amountNano: bigint): void {
    this.#lentNano -= amountNano
    this.#unchargedNano -= amountNano
  }

  turn(): void {
    this.#demand.turn()
  }

  /** The store answers again. */
  found(): void {
    this.#beyondNano = 0n
  }

  /** What goes back is gone from now on, whatever becomes of the answer. */
  ask(budget: Budget, heldNano: bigint, nowMs: number): MoneyAsk {
    const { startMs, endMs } = periodAt(budget.period, nowMs)
    const isRolling = budget.period.kind === 'rolling'
    const free = this.freeNano(heldNano)
    const isNeeded = this.#needNano > 0n
    const isOver = heldNano === 0n && this.#unchargedNano === 0n && this.#demand.level === 0
    const move = stockMove(Number(free), this.#demand, this.#isHungry)
    // Who waits hands in what there is and asks for all of it, so that two who lack a little do not keep it from each other.
    const back =
      isNeeded || (isOver && this.#demand.isSettled)
        ? free
        : toNano(move.back) < free
          ? toNano(move.back)
          : positive(free)
    this.#lentNano -= back
    this.#askedFrom = isRolling ? '0' : startText(startMs)
    const ask: MoneyAsk = {
      period: periodText(budget.period),
      from: this.#askedFrom,
      startMs: isRolling ? 0 : Math.max(0, startMs),
      endMs: isRolling ? NEVER_MS : Math.min(NEVER_MS, endMs),
      ...ringOf(budget),
      amount: String(budget.amountNano),
      need: String(clamp(this.#needNano)),
      least: String(clamp(this.#leastNano)),
      ahead: String(clamp(toNano(isNeeded ? 2 * this.#demand.level : move.ahead))),
      lent: String(this.#lentNano),
      idle: String(positive(this.freeNano(heldNano))),
    }
    this.#needNano = 0n
    this.#leastNano = 0n
    return ask
  }

  /** True: somebody must say what was spent. */
  hear(reply: MoneyReply, budget: Budget, tickMs: number): boolean {
    if (reply.state === 'unseeded') this.#view = null
    if (reply.state === 'unseeded' || reply.state === 'period') return reply.state === 'unseeded'
    this.#isHungry = reply.hungry === true
    const granted = BigInt(reply.granted ?? '0')
    this.#lentNano += granted
    if (granted > 0n) this.#demand.lent()
    if (reply.state === 'quiet') return false
    const [spentNano, lentNano] = [BigInt(reply.spent ?? '0'), BigInt(reply.lent ?? '0')]
    this.#view = {
      from: this.#askedFrom,
      spentNano,
      lentNano,
      idleNano: BigInt(reply.idle ?? '0'),
      roomNano: budget.amountNano - spentNano - lentNano - positive(this.#lentNano),
      atTickMs: tickMs,
    }
    return false
  }
}

/** Names the sum of a period. */
export function startText(startMs: number): string {
  return Number.isFinite(startMs) ? String(startMs) : '0'
}

/** Width of a part and length of a rolling period, ms; of others 0. */
export function ringOf({ period }: Budget): { readonly width: number; readonly length: number } {
  if (period.kind !== 'rolling') return { width: 0, length: 0 }
  return { width: Math.max(1_000, Math.ceil(period.lengthMs / ROLLING_PARTS)), length: period.lengthMs }
}

const toNano = (amount: number): bigint => BigInt(Math.floor(Math.max(0, amount)))
const positive = (amount: bigint): bigint => (amount > 0n ? amount : 0n)
const clamp = (amount: bigint): bigint => (amount > NANO_MAX ? NANO_MAX : amount)
