// Forms that the members of `provider` have: names, numbers, percentiles. What they mean is in wishes-provider.ts.

import type { GatewayError } from '#core/errors.ts'
import { NAME_CHARS_MAX } from '#core/limits.ts'
import { PERCENTILES, type Percentiles } from '#core/settings.ts'
import { isObject } from '#wire/json-object.ts'
import { invalid, wrong } from '#wire/openai-chat/request.ts'
import { nearest } from './models.ts'

type Json = Readonly<Record<string, unknown>>

/** As in policies: nothing that is compared is larger, and what is has too many digits to be meant. */
const NUMBER_MAX = 1e9

/** @throws GatewayError for a member that is not known: one that was ignored would be a bound that does not hold. */
export function checkMembers(value: Json, path: string, known: readonly string[]): void {
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) throw notSupported(name, path, known)
  }
}

function notSupported(name: string, path: string, known: readonly string[]): GatewayError {
  const member = `${path}.${clip(name)}`
  const [near] = nearest(name, known)
  const hint = near === undefined ? '' : `did you mean \`${near}\`? `
  const members = known.map((word) => `\`${word}\``).join(', ')
  return invalid(member, `\`${member}\` is not supported; ${hint}\`${path}\` takes ${members}`)
}

/** Distinct names in order; null where nothing is said. */
export function readNames(value: unknown, path: string, countMax: number): readonly string[] | null {
  if (value === undefined || value === null) return null
  if (!Array.isArray(value)) throw wrong(path, value, 'an array of strings')
  if (value.length > countMax) {
    throw invalid(path, `\`${path}\` has ${value.length} entries; it may have at most ${countMax}`)
  }
  const names = new Set<string>()
  for (const [index, name] of (value as readonly unknown[]).entries()) {
    const entry = `${path}[${index}]`
    if (typeof name !== 'string' || name === '') throw wrong(entry, name, 'a name')
    if (name.length > NAME_CHARS_MAX) {
      throw invalid(entry, `\`${entry}\` is longer than ${NAME_CHARS_MAX} characters`)
    }
    names.add(name)
  }
  return [...names]
}

export function readFlag(value: unknown, path: string, otherwise: boolean): boolean {
  if (value === undefined || value === null) return otherwise
  if (typeof value !== 'boolean') throw wrong(path, value, 'a boolean')
  return value
}

export function readChoice<Choice extends string>(
  value: unknown,
  path: string,
  choices: readonly Choice[],
): Choice | null {
  if (value === undefined || value === null) return null
  const choice = choices.find((candidate) => candidate === value)
  if (choice === undefined) throw wrong(path, value, choices.map((word) => `"${word}"`).join(' or '))
  return choice
}

/**
 * "A value in string or number format".
 * @see https://www.openrouter.ai/docs/sdks/typescript/operations/maxprice
 */
export function readPrice(value: unknown, path: string): number | null {
  if (value === undefined || value === null) return null
  const isDecimal = typeof value === 'string' && value.length <= 32 && /^\d+(\.\d+)?$/.test(value)
  const price = isDecimal ? Number(value) : value
  if (typeof price !== 'number' || !(price >= 0 && price <= NUMBER_MAX)) {
    throw wrong(path, value, `a number from 0 to ${NUMBER_MAX}, or one as a decimal string`)
  }
  return price
}

/**
 * "Can be a number (applies to p50) or an object with percentile-specific cutoffs"; each is multiplied by `factor`.
 * @see https://openrouter.ai/docs/client-sdks/go/models/components/preferredminthroughput
 */
export function readPercentiles(value: unknown, path: string, factor: number): Percentiles | null {
  if (value === undefined || value === null) return null
  if (!isObject(value)) {
    return { p50: readBar(value, path, ` or an object of ${PERCENTILES.join(', ')}`) * factor }
  }
  checkMembers(value, path, PERCENTILES)
  const bars = PERCENTILES.filter((percentile) => (value[percentile] ?? null) !== null).map(
    (percentile) => [percentile, readBar(value[percentile], `${path}.${percentile}`) * factor] as const,
  )
  return bars.length === 0 ? null : Object.fromEntries(bars)
}

function readBar(value: unknown, path: string, orElse = ''): number {
  if (typeof value !== 'number' || !(value > 0 && value <= NUMBER_MAX)) {
    throw wrong(path, value, `a number above 0 and at most ${NUMBER_MAX}${orElse}`)
  }
  return value
}

/** Of what a client sent so much as helps to find it. */
export function clip(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`
}
