// Instants of price lists: half-open intervals in epoch milliseconds.

/** Vendors of the lists date their prices by the Chinese calendar: a bare date is 00:00 in Shanghai. */
const BARE_DATE = /^\d{4}-\d{2}-\d{2}$/
/** Without an offset it would mean another instant on each machine. */
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/

const DAY_MS = 24 * 60 * 60_000

export interface Validity {
  /** Included; -Infinity: since ever. */
  readonly fromMs: number
  /** Excluded; Infinity: for ever. */
  readonly toMs: number
}

/** @throws RangeError when it is neither a date nor an instant with its offset. */
export function parseInstantMs(text: string): number {
  const instant = BARE_DATE.test(text) ? `${text}T00:00:00+08:00` : text
  const instantMs = INSTANT.test(instant) && isDay(instant) ? Date.parse(instant) : Number.NaN
  if (Number.isNaN(instantMs)) throw new RangeError(`"${text}" is no date`)
  return instantMs
}

/** Date.parse takes the 31st of February for the 3rd of March. */
function isDay(instant: string): boolean {
  const [year = 0, month = 0, day = 0] = instant.slice(0, 10).split('-').map(Number)
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day
}

/** A day of some calendar as days since 1970-01-01. @throws RangeError */
export function parseDay(text: string): number {
  if (!BARE_DATE.test(text) || !isDay(text)) throw new RangeError(`"${text}" is no day`)
  return Date.parse(`${text}T00:00:00Z`) / DAY_MS
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
