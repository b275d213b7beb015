// A whole ledger moved from a file into Redis or back, while no gateway has either: rows, counters, adjustments,
// balances, keys, and the pepper that knows them. Rows go under marks, so that a run that was cut off goes on; counters
// are set to what the source says, so that it does not matter how many rows it still has. Both sides are compared last.

import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type AdjustmentPage, type AdjustmentRow, EVERY_ADJUSTMENT } from '#core/adjustments.ts'
import type { KeyStore } from '#core/keys.ts'
import type { LedgerRow, LedgerStore, UsageGroup, UsageRow } from '#core/ledger.ts'
import { PAGE_ROWS_MAX, REDIS_STREAM_ROWS_MAX } from '#core/limits.ts'
import { StoreFileError } from '#store/errors.ts'
import { storedRows } from '#store/past-rows.ts'
import * as redisCarry from '#store/redis/carry.ts'
import { RedisConnection } from '#store/redis/connection.ts'
import { createRedisKeyStore } from '#store/redis/key-store.ts'
import { createRedisStore } from '#store/redis/store.ts'
import * as fileCarry from '#store/sqlite/carry.ts'
import { pastRows } from '#store/sqlite/past-rows.ts'
import { pathOfStore } from './ledger.ts'
import type { Environment } from './read-config.ts'
import { makeStoppedLedger, openStoppedLedger, type StoppedLedger } from './stopped-ledger.ts'

const ROWS_AT_ONCE = 500
const GROUPS: readonly UsageGroup[] = ['key', 'model', 'target']
const SECRET_MODE = 0o600
/** A request is two rows or more; Redis keeps so many rows. */
const REQUESTS_MAX = REDIS_STREAM_ROWS_MAX / 2
const BEIJING_MS = 8 * 3_600_000

export interface Moved {
  readonly rows: number
  readonly adjustments: number
  readonly hours: number
  readonly balances: number
  readonly keys: number
  /** What the target cannot hold, in words. */
  readonly left: readonly string[]
  readonly proof: readonly ProofLine[]
}

/** One sum on both sides. */
export interface ProofLine {
  readonly by: 'all' | 'month' | 'key' | 'model' | 'target'
  readonly name: string
  readonly from: Sums | null
  readonly to: Sums | null
  readonly isEqual: boolean
}

export interface Sums {
  readonly requests: number
  readonly attempts: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costNano: bigint
  readonly adjustmentNano: bigint
}

/** @throws StoreFileError, StoreUnavailableError, Error with what stands in the way */
export async function migrateStore(fromUrl: string, toUrl: string, env: Environment): Promise<Moved> {
  return fromUrl.startsWith('sqlite:') ? fileToRedis(fromUrl, toUrl, env) : redisToFile(fromUrl, toUrl)
}

async function fileToRedis(fromUrl: string, toUrl: string, env: Environment): Promise<Moved> {
  const file = openStoppedLedger(fromUrl, env)
  const connection = new RedisConnection({ url: toUrl })
  try {
    const store = createRedisStore({ connection })
    await refuseRunning(connection)
    const instance = `migrate-${file.ledger.instance}-${newestOf(file)}`
    const marks = await store.marks()
    const instances = [...marks.keys()].map((session) => session.slice(0, session.lastIndexOf(':')))
    if (!(await redisCarry.claimFor(connection, instance, instances)))
      throw new Error('the target has a ledger that is not from this file as it is: move into an empty Redis')
    const mark = marks.get(`${instance}:1`) ?? 0
    const rows = await rowsOf(file)
    for (let at = mark; at < rows.length; at += ROWS_AT_ONCE) {
      const part = rows.slice(at, at + ROWS_AT_ONCE)
      await store.apply({ instance, epoch: 1, firstSequence: at + 1, rows: part })
    }
    const hours = [...fileCarry.readHours(file.driver)]
    await redisCarry.writeHours(connection, hours)
    const balances = fileCarry.readBalanceUses(file.driver)
    await redisCarry.writeBalanceUses(connection, balances)
    const keys = createRedisKeyStore({ connection, makeLife: () => instance })
    const secret = secretOf(`${file.path}.secret`)
    if (secret !== null && (await keys.secret(secret)) !== secret)
      throw new Error('the target has another secret of keys than the file: none of its keys would be known')
    const moved = await copyKeys(file.ledger.keys, keys)
    const months = (await file.ledger.store.months?.list()) ?? []
    return {
      rows: rows.filter(({ kind }) => kind !== 'adjustment').length,
      adjustments: rows.filter(({ kind }) => kind === 'adjustment').length,
      hours: hours.length,
      balances: balances.length,
      keys: moved,
      left: [
        ...(isCut(file)
          ? [`rows of requests before the newest ${REQUESTS_MAX}: Redis has them as counters`]
          : []),
        ...(months.length > 0 ? [`${months.length} closed months: their reports stay in the file`] : []),
        'usage by user, which is told from rows',
      ],
      proof: await prove(file.ledger.store, store),
    }
  } finally {
    connection.close()
    file.close()
  }
}

/** Written beside its place and moved there once it is proven: what is cut off is begun anew. */
async function redisToFile(fromUrl: string, toUrl: string): Promise<Moved> {
  const path = pathOfStore(toUrl, undefined)
  if (path === null || !toUrl.startsWith('sqlite:')) throw new Error('--to must be sqlite:PATH')
  if (existsSync(path))
    throw new StoreFileError(`${path} is there already: move it away, or choose another path`)
  const part = `${path}.migrating`
  removeAll(part)
  const connection = new RedisConnection({ url: fromUrl })
  try {
    await refuseRunning(connection)
    const file = makeStoppedLedger(part)
    let moved: Moved
    try {
      moved = await fillFile(connection, file)
    } finally {
      file.close()
    }
    if (moved.proof.every(({ isEqual }) => isEqual)) {
      const secret = await redisCarry.readSecret(connection)
      if (secret !== null) writeFileSync(`${path}.secret`, `${secret}\n`, { mode: SECRET_MODE })
      renameSync(part, path)
      removeAll(part)
    }
    return moved
  } finally {
    connection.close()
  }
}

async function fillFile(connection: RedisConnection, file: StoppedLedger): Promise<Moved> {
  const store = createRedisStore({ connection })
  let [sequence, rows] = [1, 0]
  const apply = async (some: readonly LedgerRow[]): Promise<void> => {
    await file.ledger.store.apply({ instance: 'migrated', epoch: 1, firstSequence: sequence, rows: some })
    sequence += some.length
  }
  for await (const { request, attempts } of storedRows(store, 0, Number.MAX_SAFE_INTEGER)) {
    const ended = attempts.filter(({ outcome }) => outcome !== 'open')
    await apply([
      ...ended.map((row) => ({ kind: 'attempt', row }) as const),
      { kind: 'request', row: request },
    ])
    rows += ended.length + 1
  }
  const adjustments = await adjustmentsOf(store)
  for (let at = 0; at < adjustments.length; at += ROWS_AT_ONCE)
    await apply(adjustments.slice(at, at + ROWS_AT_ONCE).map((row) => ({ kind: 'adjustment', row }) as const))
  // Counters of rows are written before they are set.
  await file.ledger.store.usage({ groupBy: [], bucket: null, fromMs: null, toMs: null })
  const hours = []
  for await (const hour of redisCarry.readHours(connection)) hours.push(hour)
  fileCarry.writeHours(file.driver, hours)
  const balances = await redisCarry.readBalanceUses(connection)
  fileCarry.writeBalanceUses(file.driver, balances)
  const keys = await copyKeys(
    createRedisKeyStore({ connection, makeLife: () => 'migrate' }),
    file.ledger.keys,
  )
  return {
    rows,
    adjustments: adjustments.length,
    hours: hours.length,
    balances: balances.length,
    keys,
    left: ['rows that Redis no longer has: they are in the file as counters'],
    proof: await prove(store, file.ledger.store),
  }
}

/** The database and what lies beside it. */
function removeAll(path: string): void {
  const folder = dirname(path)
  if (!existsSync(folder)) return
  const name = basename(path)
  for (const file of readdirSync(folder))
    if (file.startsWith(name)) rmSync(join(folder, file), { force: true })
}

async function refuseRunning(connection: RedisConnection): Promise<void> {
  const running = await redisCarry.runningInstances(connection)
  if (running.length > 0)
    throw new Error(`gateways have this Redis (${running.slice(0, 5).join(', ')}): stop them first`)
}

/** Of what the marks are: a file that was written to since is another one. */
function newestOf({ driver }: StoppedLedger): string {
  const row = driver
    .prepare(
      'SELECT (SELECT ifnull(max(number), 0) FROM request) AS requests, (SELECT count(*) FROM adjustment) AS adjustments',
    )
    .get()
  return `${row?.['requests']}-${row?.['adjustments']}`
}

function isCut({ driver }: StoppedLedger): boolean {
  return Number(driver.prepare('SELECT count(*) AS rows FROM request').get()?.['rows']) > REQUESTS_MAX
}

/** Adjustments first, so that the newest rows are those that stay. */
async function rowsOf({ driver, ledger }: StoppedLedger): Promise<readonly LedgerRow[]> {
  const first = driver
    .prepare('SELECT time_ms FROM request ORDER BY time_ms DESC LIMIT 1 OFFSET ?')
    .get(REQUESTS_MAX - 1)
  const rows: LedgerRow[] = (await adjustmentsOf(ledger.store)).map((row) => ({ kind: 'adjustment', row }))
  for (const { request, attempts } of pastRows(
    driver,
    Number(first?.['time_ms'] ?? 0),
    Number.MAX_SAFE_INTEGER,
  )) {
    for (const row of attempts) rows.push({ kind: 'attempt', row })
    rows.push({ kind: 'request', row: request })
  }
  return rows
}

/** Oldest first. */
async function adjustmentsOf(store: LedgerStore): Promise<readonly AdjustmentRow[]> {
  const rows: AdjustmentRow[] = []
  let cursor: string | null = null
  do {
    const page: AdjustmentPage = await store.adjustments({
      limit: PAGE_ROWS_MAX,
      cursor,
      filter: EVERY_ADJUSTMENT,
    })
    rows.push(...page.rows)
    cursor = page.nextCursor
  } while (cursor !== null)
  return rows.toReversed()
}

/** Keys are written version by version, as each store numbers them itself. Returns how many there are. */
async function copyKeys(from: KeyStore, to: KeyStore): Promise<number> {
  const { keys } = await from.changes(null)
  const known = new Map((await to.changes(null)).keys.map((key) => [key.id, key]))
  for (const key of keys) {
    for (let version = (known.get(key.id)?.version ?? 0) + 1; version <= key.version; version++) {
      const write =
        version === 1 ? await to.create({ ...key, version }) : await to.replace({ ...key, version })
      if (write === 'name_taken') throw new Error(`the target has another key called "${key.name}"`)
    }
  }
  return keys.length
}

function secretOf(path: string): string | null {
  return existsSync(path) ? readFileSync(path, 'utf8').trim() || null : null
}

/** Sums by all that both sides can tell. */
async function prove(from: LedgerStore, to: LedgerStore): Promise<readonly ProofLine[]> {
  const lines: ProofLine[] = []
  const compare = async (by: ProofLine['by'], groupBy: readonly UsageGroup[]): Promise<void> => {
    const query = { groupBy, bucket: by === 'month' ? ('month' as const) : null, fromMs: null, toMs: null }
    const [left, right] = await Promise.all(
      [from, to].map(async (store) => sumsBy((await store.usage(query)).rows)),
    )
    for (const name of new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])])) {
      const [own = null, other = null] = [left?.get(name), right?.get(name)]
      lines.push({ by, name, from: own, to: other, isEqual: textOf(own) === textOf(other) })
    }
  }
  await compare('all', [])
  await compare('month', [])
  for (const group of GROUPS) await compare(group as ProofLine['by'], [group])
  return lines
}

function sumsBy(rows: readonly UsageRow[]): ReadonlyMap<string, Sums> {
  return new Map(rows.map((row) => [nameOf(row), row]))
}

function nameOf({ group, bucketMs }: UsageRow): string {
  // Months are those of Beijing, in every store.
  return bucketMs === null ? (group[0] ?? '') : new Date(bucketMs + BEIJING_MS).toISOString().slice(0, 7)
}

function textOf(sums: Sums | null): string {
  if (sums === null) return ''
  const { requests, attempts, inputTokens, outputTokens, costNano, adjustmentNano } = sums
  return [requests, attempts, inputTokens, outputTokens, costNano, adjustmentNano].join()
}
