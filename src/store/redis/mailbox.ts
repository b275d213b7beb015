// Questions to the archive and its answers, left in Redis: instances need no way to each other. Both end by themselves,
// so that late and doubled ones harm nobody.

import type { Clock } from '#core/ports.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { RedisConnection } from './connection.ts'
import { KEYS } from './keys.ts'
import { readTogether } from './standing.ts'

/** Questions that wait; older ones go. */
const QUESTIONS_MAX = 256
const ANSWER_TTL_MS = 60_000
const PART_CHARS = 256 * 1_024
/** A report of the largest size that there is has about as many. */
const ANSWER_CHARS_MAX = 256 * 1_024 * 1_024
const PARTS_AT_ONCE = 16
const POLL_MS_FIRST = 20
const POLL_MS_MAX = 200

export interface Question {
  readonly id: string
  readonly text: string
}

export class Mailbox {
  readonly #connection: RedisConnection
  readonly #clock: Clock

  constructor(connection: RedisConnection, clock: Clock) {
    this.#connection = connection
    this.#clock = clock
  }

  /** The answer, within `waitMs`. @throws StoreUnavailableError */
  async ask(text: string, waitMs: number): Promise<string> {
    const id = crypto.randomUUID()
    const endMs = this.#clock.monotonicMs() + waitMs
    await readTogether(this.#connection, (pipeline) => {
      pipeline.set(KEYS.question(id), text, 'PX', waitMs)
      pipeline.rpush(KEYS.questions, id)
      pipeline.ltrim(KEYS.questions, -QUESTIONS_MAX, -1)
      pipeline.pexpire(KEYS.questions, ANSWER_TTL_MS)
    })
    let answer = ''
    for (let pollMs = POLL_MS_FIRST; this.#clock.monotonicMs() < endMs; ) {
      await new Promise<void>((resolve) => void this.#clock.after(pollMs, resolve))
      const parts = await this.#connection.run((redis) => redis.lpop(KEYS.answer(id), PARTS_AT_ONCE))
      for (const part of parts ?? []) {
        answer += part.slice(1)
        if (part.startsWith('.')) return answer
      }
      pollMs = parts === null ? Math.min(POLL_MS_MAX, pollMs * 1.5) : 0
    }
    throw new StoreUnavailableError('the archive does not answer in time', { trouble: 'unanswered' })
  }

  /** The oldest questions that somebody still waits for. */
  async take(questionsMax: number): Promise<readonly Question[]> {
    const ids = await this.#connection.run((redis) => redis.lpop(KEYS.questions, questionsMax))
    if (ids === null || ids.length === 0) return []
    const texts = await readTogether(this.#connection, (pipeline) => {
      for (const id of ids) pipeline.getdel(KEYS.question(id))
    })
    return ids.flatMap((id, index) => {
      const text = texts[index]
      return typeof text === 'string' ? [{ id, text }] : []
    })
  }

  async answer(id: string, text: string): Promise<void> {
    if (text.length > ANSWER_CHARS_MAX) throw new Error('the answer is too large')
    for (let at = 0; at === 0 || at < text.length; at += PART_CHARS) {
      const mark = at + PART_CHARS < text.length ? '+' : '.'
      await readTogether(this.#connection, (pipeline) => {
        pipeline.rpush(KEYS.answer(id), mark + text.slice(at, at + PART_CHARS))
        pipeline.pexpire(KEYS.answer(id), ANSWER_TTL_MS)
      })
    }
  }
}
