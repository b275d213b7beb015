// How much was taken lately: what to have ready for those that will come. A guess, so a float may carry money.

/** A burst is remembered so long while less comes. */
const DECAY = 0.7
/** Nothing came for so many turns: nothing is kept ready. */
const QUIET_TURNS = 4

export class Demand {
  #taken = 0
  #level = 0
  #quietTurns = QUIET_TURNS

  note(amount: number): void {
    this.#taken += amount
  }

  /** What one turn takes. */
  get level(): number {
    return Math.max(this.#level, this.#taken)
  }

  /** A turn is over. */
  turn(): void {
    this.#quietTurns = this.#taken > 0 ? 0 : this.#quietTurns + 1
    this.#level = this.#quietTurns >= QUIET_TURNS ? 0 : Math.max(this.#taken, this.#level * DECAY)
    this.#taken = 0
  }
}

export interface StockMove {
  readonly ahead: number
  readonly back: number
}

/** Two turns' demand are kept ready; what is far more goes back. */
export function stockMove(free: number, level: number, isHungry: boolean): StockMove {
  if (isHungry) return { ahead: 0, back: Math.max(0, free) }
  if (free < level) return { ahead: 2 * level - Math.max(0, free), back: 0 }
  return { ahead: 0, back: free > 4 * level ? free - 2 * level : 0 }
}
