// Money and prices as integers. Nothing here is a float; nothing here knows a vendor.

/** An amount in billionths of its currency's unit (1 CNY = 1e9 nano). */
export type Nano = bigint & { readonly __unit: 'nano' }
/** An amount in 1e-12 of its currency's unit; products of a price and a count live here before rounding. */
export type Pico = bigint & { readonly __unit: 'pico' }
/** A price or a rate in millionths (of a currency unit per million tokens, per image …). */
export type Micro = bigint & { readonly __unit: 'micro' }

export const NANO_ZERO = 0n as Nano
export const PICO_ZERO = 0n as Pico

const DECIMAL = /^(-?)(\d{1,18})(?:\.(\d{1,18}))?$/

/**
 * Reads a decimal string ("0.8") as an integer of `places` decimal places.
 * @throws RangeError when it is no plain decimal or has more places than fit.
 */
export function parseDecimal(text: string, places: number): bigint {
  const match = DECIMAL.exec(text)
  if (match === null) throw new RangeError(`"${text}" is not a decimal number`)
  const fraction = (match[3] ?? '').replace(/0+$/, '')
  if (fraction.length > places) {
    throw new RangeError(`"${text}" has more than ${places} decimal places`)
  }
  const digits = BigInt(`${match[2]}${fraction.padEnd(places, '0')}`)
  return match[1] === '-' ? -digits : digits
}

/** "0.8" (per million tokens) → 800000n micro. */
export function parseMicro(text: string): Micro {
  return parseDecimal(text, 6) as Micro
}

/** Writes an integer of `places` (at most 15) decimal places as a decimal string without trailing zeros. */
export function formatDecimal(value: bigint, places: number): string {
  const sign = value < 0n ? '-' : ''
  const size = value < 0n ? -value : value
  const scale = 10 ** places
  // Both halves are exact as numbers, which are several times faster to write than bigints.
  const isSmall = size <= SAFE_MAX
  const rest = isSmall ? Number(size) % scale : Number(size % BigInt(scale))
  const whole = isSmall ? (Number(size) - rest) / scale : size / BigInt(scale)
  if (rest === 0) return `${sign}${whole}`
  let digits = rest
  let length = places
  while (digits % 10 === 0) {
    digits /= 10
    length--
  }
  return `${sign}${whole}.${String(digits).padStart(length, '0')}`
}

const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER)

export function formatNano(amount: Nano): string {
  return formatDecimal(amount, 9)
}

export function formatPico(amount: Pico): string {
  return formatDecimal(amount, 12)
}

/** Pico → nano, rounded half up: the one rounding of a bill, done once per attempt on the sum of its lines. */
export function roundToNano(amount: Pico): Nano {
  return ((amount + 500n) / 1000n) as Nano
}

/** Native amount → book currency at a rate in micro (book units per native unit), rounded half up. */
export function convertNano(amount: Nano, rate: Micro): Nano {
  return ((amount * rate + 500_000n) / 1_000_000n) as Nano
}
