import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PriceEntry } from '#core/price.ts'
import type { Log } from '#core/telemetry.ts'
import { PriceLists, readPriceList } from '#runtime/node/price-lists.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { entryOf, NOON_MS } from './prices.ts'

let folder: string
let file: URL

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-prices-'))
  file = pathToFileURL(join(folder, 'prices.json'))
})
afterEach(() => rm(folder, { recursive: true }))

const write = (value: unknown) => writeFile(file, typeof value === 'string' ? value : JSON.stringify(value))

describe('a price list that is read', () => {
  test.each<[string, unknown, string]>([
    ['is cut off', '[{"model":', 'providers/vendor/prices.json cannot be read'],
    ['is no list', {}, 'must hold a list of prices'],
    ['has a row without a model', [entryOf(), { tiers: [] }], 'row 1 is no price'],
    ['has a price that is a number', [{ ...entryOf(), tiers: [{ input: 0.8 }] }], 'row 0 is no price'],
    [
      'has a price per thousand tokens',
      [entryOf({ region: 'cn', tiers: [{ input: '0.0008', output: '0.002' }] })],
      'm (cn, CNY, since ever): input 0.0008 CNY per_million_tokens is no likely price',
    ],
    [
      'has two rows of one time',
      [entryOf({ effective_from: '2026-01-01' }), entryOf({ effective_from: '2026-01-01' })],
      'm (any region, CNY, since 2026-01-01): another row of this model has the same start',
    ],
  ])('and %s is refused with its place', async (_title, value, says) => {
    await write(value)
    await expect(readPriceList('vendor', file)).rejects.toThrow(says)
  })

  test('and is not there is refused', async () => {
    await expect(readPriceList('vendor', file)).rejects.toThrow('cannot be read')
  })
})

describe('the last good list', () => {
  interface Told {
    readonly event: string
    readonly fields: Readonly<Record<string, unknown>> | undefined
  }

  async function running(entries: readonly PriceEntry[] | null) {
    if (entries !== null) await write(entries)
    const told: Told[] = []
    const tell = (event: string, fields?: Readonly<Record<string, unknown>>) => {
      told.push({ event, fields })
    }
    const log: Log = { debug: tell, info: tell, warn: tell, error: tell }
    const metrics = createMetrics()
    const changes: number[] = []
    const lists = new PriceLists({
      lists: [entries === null ? { provider: 'vendor', entries: [] } : await readPriceList('vendor', file)],
      fileOf: () => file,
      log,
      metrics,
      nowMs: () => NOON_MS,
      onChange: ([list]) => changes.push(list?.entries.length ?? -1),
    })
    // Closed at once: each look is asked for, so that nothing hangs on a timer.
    lists.close()
    await lists.look()
    let written = 0
    const change = async (value: unknown) => {
      written += 10
      if (value === null) await rm(file)
      else {
        await write(value)
        await utimes(file, written, written)
      }
      await lists.look()
    }
    const metric = async (name: string) =>
      (await metrics.render()).split('\n').find((line) => line.startsWith(`${name}{`))
    return { lists, told, changes, change, metric }
  }

  test.each<[string, unknown]>([
    ['cut off', '[{'],
    ['with a slip of units', [entryOf({ tiers: [{ input: '0.0008', output: '0.002' }] })]],
    ['gone', null],
  ])(
    'PEERS 42: stays while the file is %s, with an alarm, and the next good one is taken',
    async (_title, bad) => {
      const { lists, told, changes, change, metric } = await running([entryOf()])
      await change(bad)
      expect(lists.lists[0]?.entries).toEqual([entryOf()])
      expect(changes).toEqual([])
      expect(told).toEqual([
        { event: 'prices.kept_last_good', fields: { provider: 'vendor', problem: expect.any(String) } },
      ])
      expect(await metric('sluice_price_list_kept')).toMatch(/ 1$/)
      await change([entryOf(), entryOf({ model: 'other' })])
      expect(changes).toEqual([2])
      expect(await metric('sluice_price_list_kept')).toMatch(/ 0$/)
    },
  )

  test('is none for a folder that comes without a file, which is said, and the first one is taken', async () => {
    const { lists, told, changes, change } = await running(null)
    expect(told).toEqual([{ event: 'prices.missing', fields: { provider: 'vendor' } }])
    await change([entryOf()])
    expect(changes).toEqual([1])
    expect(lists.lists[0]?.entries).toHaveLength(1)
  })

  test('is as old as the day on which a row was last checked', async () => {
    const { metric } = await running([
      entryOf({ checked_on: '2026-09-20' }),
      entryOf({ model: 'older', checked_on: '2026-08-01' }),
    ])
    const age = (NOON_MS - Date.parse('2026-09-20')) / 1000
    expect(await metric('sluice_price_age_seconds')).toBe(
      `sluice_price_age_seconds{provider="vendor"} ${age}`,
    )
  })
})
