// Which choices of an answer have ended. An answer is whole when all of them have: with `n` above one, the first finish
// reason says nothing of the others.

import type { AnswerState } from '#core/answer.ts'

/** Never written to. */
const NONE = new Map<number, boolean>()

export class ChoiceEnds {
  readonly #state: AnswerState
  /** As asked for; an upstream may give fewer, and then only its end mark tells. */
  readonly #asked: number
  /** Made where there are several. */
  readonly #ended: Map<number, boolean>

  constructor(state: AnswerState, asked: number) {
    this.#state = state
    this.#asked = asked
    this.#ended = asked === 1 ? NONE : new Map()
  }

  note(choice: number, isEnd: boolean): void {
    if (this.#asked === 1) {
      if (isEnd) this.#state.finished = true
      return
    }
    if (isEnd || !this.#ended.has(choice)) this.#ended.set(choice, isEnd)
    this.#state.finished = this.#ended.size >= this.#asked && this.#allEnded()
  }

  /** The upstream said that nothing follows. */
  endMark(): void {
    if (this.#asked > 1 && this.#ended.size > 0 && this.#allEnded()) this.#state.finished = true
  }

  #allEnded(): boolean {
    for (const hasEnded of this.#ended.values()) if (!hasEnded) return false
    return true
  }
}
