import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Log } from '#core/telemetry.ts'
import { pathOfStore } from '#runtime/node/ledger.ts'
import { PriceCopies, withCopies } from '#runtime/node/price-copies.ts'
import { PriceLists, readPriceList } from '#runtime/node/price-lists.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { entryOf, NOON_MS } from './prices.ts'

let root: string
let file: string
let store: string
let told: string[]
let log: Log

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-copies-'))
  file = join(root, 'prices.json')
  store = join(root, 'ledger.db.prices')
  told = []
  const tell = (event: string) => void told.push(event)
  log = { debug: tell, info: tell, warn: tell, error: tell }
})
afterEach(() => rm(root, { recursive: true }))

const GOOD = [entryOf({ checked_on: '2026-09-20' })]
const fileOf = () => pathToFileURL(file)

/** What a start finds in the folder. */
async function found() {
  try {
    return { lists: [await readPriceList('vendor', fileOf())], broken: new Map<string, string>() }
  } catch (error) {
    const isThere = (await readdir(root)).includes('prices.json')
    const broken = new Map(isThere ? [['vendor', String(error)]] : [])
    return { lists: [{ provider: 'vendor', entries: [] }], broken }
  }
}

const start = async (copies = new PriceCopies(store, log)) => withCopies(await found(), fileOf, copies)

describe('PEERS 42: at a start', () => {
  beforeEach(async () => {
    await writeFile(file, JSON.stringify(GOOD))
    const [list] = (await start()).lists
    if (list === undefined) throw new Error('no list')
    await new PriceCopies(store, log).write(list)
  })

  test.each<[string, string | null]>([
    ['cut off', '[{'],
    ['with a slip of units', JSON.stringify([entryOf({ tiers: [{ input: '0.0008', output: '0.002' }] })])],
    ['gone', null],
  ])('a list that is %s gives way to the copy of the last good one, with an alarm', async (_title, text) => {
    if (text === null) await rm(file)
    else await writeFile(file, text)
    const { lists, kept } = await start()
    expect(lists).toEqual([{ provider: 'vendor', entries: GOOD }])
    const metrics = createMetrics()
    const changes: unknown[] = []
    const onChange = (_lists: unknown, changed: unknown) => void changes.push(changed)
    const running = new PriceLists({ lists, kept, fileOf, log, metrics, nowMs: () => NOON_MS, onChange })
    running.close()
    await running.look()
    expect(told).toEqual(['prices.kept_last_good'])
    const age = (NOON_MS - Date.parse('2026-09-20')) / 1000
    expect(await metrics.render()).toContain('sluice_price_list_kept{provider="vendor"} 1')
    expect(await metrics.render()).toContain(`sluice_price_age_seconds{provider="vendor"} ${age}`)
    await writeFile(file, JSON.stringify([...GOOD, entryOf({ model: 'new' })]))
    await running.look()
    expect(changes).toHaveLength(1)
    expect(await metrics.render()).toContain('sluice_price_list_kept{provider="vendor"} 0')
  })

  test('a copy that is broken too is no way out', async () => {
    await writeFile(file, '[{')
    await writeFile(join(store, 'vendor.json'), '[{')
    await expect(start()).rejects.toThrow(/vendor\/prices.json cannot be read.*no earlier copy/s)
    expect(told).toEqual(['prices.copy_unusable'])
  })

  test('a good list is taken, whatever the copy says', async () => {
    await writeFile(join(store, 'vendor.json'), JSON.stringify([entryOf({ model: 'old' })]))
    expect(await start()).toEqual({ lists: [{ provider: 'vendor', entries: GOOD }], kept: new Set() })
  })
})

test('a broken list without a copy stops the start, with its place', async () => {
  await writeFile(file, '[{')
  await expect(start()).rejects.toThrow('providers/vendor/prices.json cannot be read')
  await expect(start(new PriceCopies(null, log))).rejects.toThrow('no earlier copy')
})

test('a folder that never had a list has none', async () => {
  expect(await start()).toEqual({ lists: [{ provider: 'vendor', entries: [] }], kept: new Set() })
})

test('a copy that cannot be written is said and stops nothing', async () => {
  await mkdir(join(store, 'vendor.json.new'), { recursive: true })
  await new PriceCopies(store, log).write({ provider: 'vendor', entries: GOOD })
  expect(told).toEqual(['prices.copy_failed'])
})

test.each([
  ['sqlite:data/sluice.db', undefined, 'data/sluice.db'],
  ['sqlite:///var/lib/sluice.db', '/tmp/journal', '/var/lib/sluice.db'],
  ['redis://localhost', undefined, 'data/journal.db'],
  ['rediss://localhost', '/var/lib/journal.db', '/var/lib/journal.db'],
  ['memory:', '/var/lib/journal.db', null],
])('copies beside %s with the journal %s are called by %s', (url, journal, path) => {
  expect(pathOfStore(url, journal)).toBe(path)
})
