// How many input tokens a body is, and can be at most. A token is never less than a byte, which bounds every text; what
// a target has counted for its bodies so far brings that bound nearer.

import { PerTarget } from './per-target.ts'

/** So many counts say enough of a target. */
const SAMPLES_MIN = 8
/** The densest body seen may be exceeded by this much. */
const MARGIN = 1.25
/** Each count moves the densest one this far towards itself, so that an odd body is forgotten. */
const DECAY = 0.02
/** Vendors' own words around the messages: a system line, the switches of a template. */
export const TEMPLATE_TOKENS = 64
/** The average is over about so many bodies. */
const USUAL_SAMPLES = 64

interface Density {
  samples: number
  /** Tokens per byte. */
  densest: number
  /** The same on average. */
  usual: number
}

export class InputGauge {
  readonly #targets = new PerTarget<Density>(() => ({ samples: 0, densest: 0, usual: 0 }))

  /** A bound from what the target has counted; without counts, one token per byte. */
  likelyBound(target: string, bytes: number): number {
    const known = this.#targets.get(target)
    if (known === undefined || known.samples < SAMPLES_MIN) return bytes + TEMPLATE_TOKENS
    return Math.ceil(bytes * Math.min(1, known.densest * MARGIN)) + TEMPLATE_TOKENS
  }

  /** What the target would count, about; null: it has not counted enough. */
  expected(target: string, bytes: number): number | null {
    const known = this.#targets.get(target)
    return known === undefined || known.samples < SAMPLES_MIN ? null : Math.ceil(bytes * known.usual)
  }

  /** The upstream's own count of a body. */
  observe(target: string, bytes: number, tokens: number): void {
    const density = Math.max(0, tokens - TEMPLATE_TOKENS) / Math.max(1, bytes)
    const known = this.#targets.of(target)
    known.samples++
    const usual = tokens / Math.max(1, bytes)
    known.usual += (usual - known.usual) / Math.min(known.samples, USUAL_SAMPLES)
    known.densest = Math.max(density, known.densest + (density - known.densest) * DECAY)
  }
}
