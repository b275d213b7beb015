// Instants of price lists: half-open intervals in epoch milliseconds.

/** Vendors of the lists date their prices by the Chinese calendar: a bare date is 00:00 in Shanghai. */
const BARE_DATE = /^\d{4}-\d{2}-\d{2}$/

export interface Validity {
  /** Included; -Infinity: since ever. */
  readonly fromMs: number
  /** Excluded; Infinity: for ever. */
  readonly toMs: number
}

/** @throws RangeError when it is neither a date nor an instant with its offset. */
export function parseInstantMs(text: string): number {
  const instantMs = Date.parse(BARE_DATE.test(text) ? `${text}T00:00:00+08:00` : text)
  if (Number.isNaN(instantMs)) throw new RangeError(`"${text}" is no date`)
  return instantMs
}

export function parseValidity(from: string | undefined, to: string | undefined): Validity {
  return {
    fromMs: from === undefined ? Number.NEGATIVE_INFINITY : parseInstantMs(from),
    toMs: to === undefined ? Number.POSITIVE_INFINITY : parseInstantMs(to),
  }
}

export function holdsAt(validity: Validity, atMs: number): boolean {
  return validity.fromMs <= atMs && atMs < validity.toMs
}
