// Counters of a whole ledger read from Redis, or written there in place of what is: for moving between stores, while no
// gateway runs.

import type { UsageTotals } from '#core/ledger.ts'
import { MILLI } from '../balance-uses.ts'
import type { CarriedBalance, CarriedHour } from '../carried.ts'
import { addTotals, dayStartMs, listOfTotals, NO_TOTALS, seriesText } from '../usage-report.ts'
import { parseBalances } from './balances.ts'
import type { RedisConnection } from './connection.ts'
import { MEASURES, parseCounters } from './counters.ts'
import { COUNTERS_KEPT_DAYS, KEYS } from './keys.ts'

const FIELDS_AT_ONCE = 5_000
const COUNTERS_TTL_SECONDS = COUNTERS_KEPT_DAYS * 86_400

/** Names of instances that have this Redis at the moment. */
export async function runningInstances(connection: RedisConnection): Promise<readonly string[]> {
  const names: string[] = []
  const prefix = KEYS.instance('')
  let cursor = '0'
  do {
    const [next, keys] = await connection.run((redis) =>
      redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 1_000),
    )
    names.push(...keys.map((key) => key.slice(prefix.length)))
    cursor = next
  } while (cursor !== '0')
  return names
}

/** The pepper that instances share which were told none; null: there is none. */
export async function readSecret(connection: RedisConnection): Promise<string | null> {
  return connection.run((redis) => redis.get(KEYS.secret))
}

/** False: there is a ledger that is not from this source, or one that was written to since. */
export async function claimFor(
  connection: RedisConnection,
  source: string,
  instances: readonly string[],
): Promise<boolean> {
  const owner = await connection.run((redis) => redis.get(KEYS.moved))
  if (owner !== null) return owner === source && instances.every((instance) => instance === source)
  if ((await connection.run((redis) => redis.exists(KEYS.hours, KEYS.rows))) > 0) return false
  await connection.run((redis) => redis.set(KEYS.moved, source))
  return true
}

/** Oldest first. */
export async function* readHours(connection: RedisConnection): AsyncGenerator<CarriedHour> {
  const hours = await connection.run((redis) => redis.zrange(KEYS.hours, '0', '-1'))
  for (const hour of hours) {
    const hourMs = Number(hour)
    const fields = await connection.run((redis) => redis.hgetall(KEYS.hour(hourMs)))
    const sums = new Map(parseCounters(fields).map(({ series, totals }) => [seriesText(series), totals]))
    yield { hourMs, sums }
  }
}

export async function readBalanceUses(connection: RedisConnection): Promise<readonly CarriedBalance[]> {
  const uses = parseBalances(await connection.run((redis) => redis.hgetall(KEYS.balances)))
  return uses.map(({ id, hourMs, quantity }) => ({ id, hourMs, milli: Math.round(quantity * MILLI) }))
}

/** Hours and the days that they make up, instead of those that are there. Hours come oldest first. */
export async function writeHours(connection: RedisConnection, hours: Iterable<CarriedHour>): Promise<void> {
  let day: { readonly dayMs: number; readonly sums: Map<string, UsageTotals> } | null = null
  for (const { hourMs, sums } of hours) {
    await replace(connection, KEYS.hour(hourMs), fieldsOf(sums))
    await connection.run((redis) => redis.zadd(KEYS.hours, hourMs, String(hourMs)))
    const dayMs = dayStartMs(hourMs)
    if (day !== null && day.dayMs !== dayMs)
      await replace(connection, KEYS.day(day.dayMs), fieldsOf(day.sums))
    if (day === null || day.dayMs !== dayMs) day = { dayMs, sums: new Map() }
    for (const [series, totals] of sums)
      day.sums.set(series, addTotals(day.sums.get(series) ?? NO_TOTALS, totals))
  }
  if (day !== null) await replace(connection, KEYS.day(day.dayMs), fieldsOf(day.sums))
}

export async function writeBalanceUses(
  connection: RedisConnection,
  uses: readonly CarriedBalance[],
): Promise<void> {
  const fields = uses.flatMap(({ id, hourMs, milli }) => [`${hourMs} ${id}`, String(milli)])
  await write(connection, KEYS.balances, fields)
}

async function replace(connection: RedisConnection, key: string, fields: readonly string[]): Promise<void> {
  await connection.run((redis) => redis.del(key))
  await write(connection, key, fields)
  await connection.run((redis) => redis.expire(key, COUNTERS_TTL_SECONDS))
}

async function write(connection: RedisConnection, key: string, fields: readonly string[]): Promise<void> {
  for (let at = 0; at < fields.length; at += FIELDS_AT_ONCE)
    await connection.run((redis) => redis.hset(key, ...fields.slice(at, at + FIELDS_AT_ONCE)))
}

function fieldsOf(sums: ReadonlyMap<string, UsageTotals>): readonly string[] {
  const fields: string[] = []
  for (const [series, totals] of sums)
    for (const [index, count] of listOfTotals(totals).entries())
      if (count !== 0 && count !== 0n) fields.push(`${MEASURES.charAt(index)}${series}`, String(count))
  return fields
}
