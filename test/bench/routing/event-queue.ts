// What happens next: a binary heap over typed arrays, so that an event costs no object.

/** Events of one instant come out in the order in which they were put in. */
export class EventQueue {
  #at = new Float64Array(1024)
  #order = new Float64Array(1024)
  #kind = new Uint8Array(1024)
  #subject = new Int32Array(1024)
  #size = 0
  #count = 0

  /** Infinity when nothing is to come. */
  get nextAt(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#at[0] ?? 0)
  }

  push(at: number, kind: number, subject: number): void {
    if (this.#size === this.#at.length) this.#grow()
    let slot = this.#size
    this.#count += 1
    const order = this.#count
    this.#size += 1
    while (slot > 0) {
      const parent = (slot - 1) >> 1
      if (!this.#isBefore(at, order, parent)) break
      this.#copy(parent, slot)
      slot = parent
    }
    this.#write(slot, at, order, kind, subject)
  }

  /** Hands the first event to `take`; nothing when there is none. */
  pop(take: (at: number, kind: number, subject: number) => void): void {
    if (this.#size === 0) return
    const at = this.#at[0] ?? 0
    const kind = this.#kind[0] ?? 0
    const subject = this.#subject[0] ?? 0
    this.#size -= 1
    if (this.#size > 0) this.#sink(this.#size)
    take(at, kind, subject)
  }

  #sink(last: number): void {
    const at = this.#at[last] ?? 0
    const order = this.#order[last] ?? 0
    let slot = 0
    for (;;) {
      let child = 2 * slot + 1
      if (child >= this.#size) break
      if (
        child + 1 < this.#size &&
        this.#isBefore(this.#at[child + 1] ?? 0, this.#order[child + 1] ?? 0, child)
      )
        child += 1
      if (this.#isBefore(at, order, child)) break
      this.#copy(child, slot)
      slot = child
    }
    this.#write(slot, at, order, this.#kind[last] ?? 0, this.#subject[last] ?? 0)
  }

  #isBefore(at: number, order: number, slot: number): boolean {
    const other = this.#at[slot] ?? 0
    return at < other || (at === other && order < (this.#order[slot] ?? 0))
  }

  #copy(from: number, to: number): void {
    this.#write(
      to,
      this.#at[from] ?? 0,
      this.#order[from] ?? 0,
      this.#kind[from] ?? 0,
      this.#subject[from] ?? 0,
    )
  }

  #write(slot: number, at: number, order: number, kind: number, subject: number): void {
    this.#at[slot] = at
    this.#order[slot] = order
    this.#kind[slot] = kind
    this.#subject[slot] = subject
  }

  #grow(): void {
    const length = this.#at.length * 2
    const wider = <T extends Float64Array | Uint8Array | Int32Array>(next: T, old: T): T => {
      next.set(old)
      return next
    }
    this.#at = wider(new Float64Array(length), this.#at)
    this.#order = wider(new Float64Array(length), this.#order)
    this.#kind = wider(new Uint8Array(length), this.#kind)
    this.#subject = wider(new Int32Array(length), this.#subject)
  }
}
