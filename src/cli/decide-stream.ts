// Bytes of the replay protocol → answers and problems, as many as whole lines have come.

import { LineError } from './decide-lines.ts'
import type { DecideSession } from './decide-session.ts'

/** A longer line is none of the protocol. */
const LINE_BYTES_MAX = 16 * 1024 * 1024
const NEWLINE = 10

export interface Taken {
  /** To be written at once, a line for each answer. */
  readonly answers: string
  readonly problems: readonly string[]
}

export class DecideStream {
  readonly #session: DecideSession
  readonly #decoder = new TextDecoder()
  #rest: Buffer[] = []
  #restBytes = 0
  #line = 0
  hasProblems = false

  constructor(session: DecideSession) {
    this.#session = session
  }

  /** @throws Error when a line does not end */
  take(chunk: Buffer): Taken {
    const last = chunk.lastIndexOf(NEWLINE)
    if (last === -1) {
      this.#keep(chunk)
      return { answers: '', problems: [] }
    }
    const text = this.#textOf(chunk.subarray(0, last))
    if (last + 1 < chunk.length) this.#keep(chunk.subarray(last + 1))
    return this.#handleAll(text)
  }

  /** A last line may lack its end. */
  end(): Taken {
    const text = this.#textOf(Buffer.alloc(0))
    return text === '' ? { answers: '', problems: [] } : this.#handleAll(text)
  }

  #keep(bytes: Buffer): void {
    this.#rest.push(bytes)
    this.#restBytes += bytes.length
    if (this.#restBytes > LINE_BYTES_MAX)
      throw new Error(`line ${this.#line + 1} is longer than ${LINE_BYTES_MAX} bytes`)
  }

  #textOf(bytes: Buffer): string {
    if (this.#restBytes === 0) return this.#decoder.decode(bytes)
    const whole = Buffer.concat([...this.#rest, bytes])
    this.#rest = []
    this.#restBytes = 0
    return this.#decoder.decode(whole)
  }

  #handleAll(text: string): Taken {
    let answers = ''
    const problems: string[] = []
    for (const line of text.split('\n')) {
      this.#line++
      if (line.trim() === '') continue
      const answer = this.#handle(line, problems)
      if (answer !== null) answers += `${JSON.stringify(answer)}\n`
    }
    return { answers, problems }
  }

  #handle(line: string, problems: string[]): object | null {
    let value: unknown = null
    try {
      value = JSON.parse(line)
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new LineError('', value, 'an object with "type", "id" and "at"')
      }
      return this.#session.handle(value)
    } catch (error) {
      if (!(error instanceof LineError) && !(error instanceof SyntaxError)) throw error
      const message =
        error instanceof LineError
          ? error.message
          : `is no JSON (${error.message}), allowed: one JSON object a line`
      problems.push(`line ${this.#line}: ${message}`)
      this.hasProblems = true
      return answerTo(value, this.#line, message)
    }
  }
}

/** A driver that waits for an answer gets one. */
function answerTo(value: unknown, line: number, message: string): object | null {
  if (typeof value !== 'object' || value === null) return null
  const { type, id } = value as { type?: unknown; id?: unknown }
  return type === 'request' || type === 'hedge?' ? { id: id ?? null, error: { line, message } } : null
}
