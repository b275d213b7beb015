// Tells increments from repeats of the whole text so far. Which of the two a native stream sends depends on the
// model's age and on tools, and the answer does not say so.

/** Shared by all texts of one answer: what one of them shows holds for the others. */
export interface TextMode {
  current: 'unknown' | 'incremental' | 'cumulative'
}

/**
 * Reads the pieces of one text. While the mode is unknown, a piece that begins with the one before it is held
 * back, for "哈" and then "哈哈" can be either; two such steps in a row, or one in the closing event, are repeats.
 */
export class GrowingText {
  readonly #mode: TextMode
  /** Handed out so far: the first piece while the mode is unknown, the whole text when it is cumulative. */
  #base = ''
  #newest = ''
  #held: string[] = []
  #steps = 0

  constructor(mode: TextMode) {
    this.#mode = mode
  }

  /** Text that is new with this piece, as far as it is sure. */
  add(piece: string, closing: boolean): string {
    if (piece === '') return closing && this.#held.length > 0 ? this.#settle('incremental') : ''
    if (this.#mode.current === 'unknown') return this.#probe(piece, closing)
    const released = this.release()
    if (this.#mode.current === 'incremental') return released + piece
    const fresh = piece.slice(this.#base.length)
    if (piece.length > this.#base.length) this.#base = piece
    return released + fresh
  }

  /** What was held back, when the answer ends or another text of it has shown the mode. */
  release(): string {
    if (this.#held.length === 0) return ''
    return this.#settle(this.#mode.current === 'incremental' ? 'incremental' : 'cumulative')
  }

  #probe(piece: string, closing: boolean): string {
    if (this.#newest === '') {
      this.#base = piece
      this.#newest = piece
      return piece
    }
    if (!piece.startsWith(this.#newest)) return this.#settle('incremental') + piece
    if (piece.length > this.#newest.length) this.#steps++
    this.#held.push(piece)
    this.#newest = piece
    return closing || this.#steps >= 2 ? this.#settle('cumulative') : ''
  }

  #settle(mode: 'incremental' | 'cumulative'): string {
    this.#mode.current = mode
    const held = this.#held
    this.#held = []
    if (mode === 'incremental') return held.join('')
    const fresh = this.#newest.slice(this.#base.length)
    this.#base = this.#newest
    return fresh
  }
}
