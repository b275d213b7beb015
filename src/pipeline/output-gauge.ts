// How long a target's answers are in tokens, from its own counts: for those that break off, or whose client leaves.

import { PerTarget } from './per-target.ts'

/** So many texts say better than a rule of thumb how many bytes a token has. */
const TEXTS_MIN = 8
/** The averages are over about so many answers. */
const USUAL_SAMPLES = 64
/** Bytes of output text per token, about, where nothing was counted; between English and Chinese. */
const BYTES_PER_TOKEN = 4

interface Usual {
  samples: number
  tokens: number
  ms: number
  /** Of text, in the answers whose text was seen. */
  textSamples: number
  textBytes: number
  textTokens: number
}

export class OutputGauge {
  readonly #targets = new PerTarget<Usual>(() => ({
    samples: 0,
    tokens: 0,
    ms: 0,
    textSamples: 0,
    textBytes: 0,
    textTokens: 0,
  }))

  /** Tokens of so many bytes of text, as the target counts them. */
  expected(target: string, bytes: number): number {
    const known = this.#targets.get(target)
    if (known === undefined || known.textSamples < TEXTS_MIN) return Math.ceil(bytes / BYTES_PER_TOKEN)
    return Math.ceil((bytes * known.textTokens) / known.textBytes)
  }

  /**
   * Tokens of a whole answer; null: none was counted. Of how long answers are there is no rule of thumb: the first one is
   * off by chance, a guess is off the same way until it is given up.
   */
  usual(target: string): number | null {
    const known = this.#targets.get(target)
    return known === undefined || known.samples === 0 ? null : Math.ceil(known.tokens)
  }

  /** How long an answer takes; null: none was counted. */
  usualMs(target: string): number | null {
    const known = this.#targets.get(target)
    return known === undefined || known.samples === 0 ? null : Math.ceil(known.ms)
  }

  /** Tokens of an answer that nobody sees before it is whole, so long after it was asked for; 0: none was counted. */
  after(target: string, ms: number): number {
    const known = this.#targets.get(target)
    if (known === undefined || known.ms === 0) return 0
    return Math.ceil(known.tokens * Math.min(1, ms / known.ms))
  }

  /**
   * The upstream's own count of a whole answer, and how long it took; `bytes` of its text, 0 where they were not
   * counted.
   */
  observe(target: string, bytes: number, tokens: number, ms: number): void {
    const known = this.#targets.of(target)
    known.samples++
    known.tokens += (tokens - known.tokens) / Math.min(known.samples, USUAL_SAMPLES)
    known.ms += (ms - known.ms) / Math.min(known.samples, USUAL_SAMPLES)
    if (bytes === 0) return
    known.textSamples++
    const share = 1 / Math.min(known.textSamples, USUAL_SAMPLES)
    known.textBytes += (bytes - known.textBytes) * share
    known.textTokens += (tokens - known.textTokens) * share
  }
}
