// A share of what happens, saved up to a bound: so much of it may be explored, hedged or retried.

export class Allowance {
  readonly #max: number
  #saved: number

  constructor(max: number, saved = 0) {
    this.#max = max
    this.#saved = saved
  }

  earn(amount: number): void {
    this.#saved = Math.min(this.#max, this.#saved + amount)
  }

  has(amount: number): boolean {
    return this.#saved >= amount
  }

  spend(amount: number): void {
    this.#saved -= amount
  }

  clear(): void {
    this.#saved = 0
  }
}
