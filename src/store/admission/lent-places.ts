// Places of a limit of concurrency that one instance was lent.

import { Demand, stockMove } from './demand.ts'
import type { PlacesAsk, PlacesReply } from './lease-words.ts'

export interface PlacesView {
  /** To the others, and what of that nothing runs in. */
  readonly lent: number
  readonly idle: number
  readonly atTickMs: number
}

export class LentPlaces {
  #lent = 0
  #need = 0
  #isHungry = false
  #view: PlacesView | null = null
  readonly #demand = new Demand()

  get lent(): number {
    return this.#lent
  }

  get view(): PlacesView | null {
    return this.#view
  }

  get isIdle(): boolean {
    return this.#lent === 0 && this.#need === 0
  }

  want(running: number): void {
    this.#need += Math.max(0, running + 1 - this.#lent)
  }

  /** One more runs than before. */
  entered(running: number): void {
    this.#demand.note(1)
    // More runs only where nobody could be asked.
    this.#lent = Math.max(this.#lent, running)
  }

  turn(): void {
    this.#demand.turn()
  }

  ask(limit: number, running: number): PlacesAsk {
    const free = this.#lent - running
    const move = stockMove(free, this.#demand, this.#isHungry)
    this.#lent -= Math.max(0, Math.min(free, Math.floor(move.back)))
    const need = this.#need
    this.#need = 0
    const ahead = Math.ceil(need > 0 ? this.#demand.level : move.ahead)
    return { limit, need, ahead, lent: this.#lent, idle: Math.max(0, this.#lent - running) }
  }

  hear({ state, granted, lent, idle, hungry }: PlacesReply, tickMs: number): void {
    this.#lent += granted
    if (granted > 0) this.#demand.lent()
    this.#isHungry = hungry
    if (state === 'lent') this.#view = { lent, idle, atTickMs: tickMs }
  }
}
