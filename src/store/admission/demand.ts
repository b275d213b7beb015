// How much was taken lately: what to have ready for those that will come. A guess, so a float may carry money.

/** A burst is remembered so long while less comes. */
const DECAY = 0.7
/** Nothing came for so many turns: nothing is kept ready. */
const QUIET_TURNS = 4
/** What was lent just now is for somebody who still waits for something else: it stays over the next turn. */
const FRESH_TURNS = 2

export class Demand {
  #taken = 0
  #level = 0
  #quietTurns = QUIET_TURNS
  #freshTurns = 0

  note(amount: number): void {
    this.#taken += amount
  }

  /** What one turn takes. */
  get level(): number {
    return Math.max(this.#level, this.#taken)
  }

  /** Something was lent. */
  lent(): void {
    this.#freshTurns = FRESH_TURNS
  }

  /** Nothing was lent lately: what is too much may go back. */
  get isSettled(): boolean {
    return this.#freshTurns === 0
  }

  /** A turn is over. */
  turn(): void {
    this.#freshTurns = Math.max(0, this.#freshTurns - 1)
    this.#quietTurns = this.#taken > 0 ? 0 : this.#quietTurns + 1
    this.#level = this.#quietTurns >= QUIET_TURNS ? 0 : Math.max(this.#taken, this.#level * DECAY)
    this.#taken = 0
  }
}

export interface StockMove {
  readonly ahead: number
  readonly back: number
}

/** Two turns' demand are kept ready; what is far more goes back, and where another instance lacks it, all of it. */
export function stockMove(free: number, demand: Demand, isHungry: boolean): StockMove {
  const { level, isSettled } = demand
  if (isHungry) return { ahead: 0, back: isSettled ? Math.max(0, free) : 0 }
  if (free < level) return { ahead: 2 * level - Math.max(0, free), back: 0 }
  return { ahead: 0, back: isSettled && free > 4 * level ? free - 2 * level : 0 }
}
