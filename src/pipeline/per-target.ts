// What is known of each target: so many of them, as clients may name any.

const TARGETS_MAX = 10_000

export class PerTarget<Known> {
  readonly #make: () => Known
  readonly #targets = new Map<string, Known>()

  constructor(make: () => Known) {
    this.#make = make
  }

  get(target: string): Known | undefined {
    return this.#targets.get(target)
  }

  /** What is known so far, to be added to. */
  of(target: string): Known {
    let known = this.#targets.get(target)
    if (known === undefined) {
      if (this.#targets.size >= TARGETS_MAX) this.#targets.clear()
      known = this.#make()
      this.#targets.set(target, known)
    }
    return known
  }
}
