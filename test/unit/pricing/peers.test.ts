// Faults of prices that other gateways had: each test carries the number of its seed.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatNano } from '#core/money.ts'
import type { PriceEntry } from '#core/price.ts'
import { attemptJson } from '#http/admin-json.ts'
import { holdFor } from '#pipeline/hold.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { meter } from '#pipeline/meter.ts'
import { OutputGauge } from '#pipeline/output-gauge.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import { checkEntries, checkOverrides } from '#pricing/check.ts'
import { rate } from '#pricing/rate.ts'
import { decideUnpriced } from '#pricing/unpriced.ts'
import { attemptRow } from '../../support/ledger-rows.ts'
import { attemptEnd, encode, liveWith } from '../pipeline/support.ts'
import { vendor } from '../settings/fixtures.ts'
import { entryOf, NOON_MS, termsOf, usageOf } from './prices.ts'

const PROVIDERS = join(import.meta.dirname, '../../../providers')

function shipped(provider: string): PriceEntry[] {
  return JSON.parse(readFileSync(join(PROVIDERS, provider, 'prices.json'), 'utf8')) as PriceEntry[]
}

/** What a usage costs by the shipped list of the mainland. */
function costIn(entries: readonly PriceEntry[], model: string, input: number, output: number, at: string) {
  const catalogue = buildCatalogue({ lists: [{ provider: 'p', entries }], overrides: [] })
  const atMs = Date.parse(at)
  const price = catalogue.find({ providerName: 'p', providerId: 'p', region: 'cn', model, atMs })
  const cost = price === null ? null : rate(price, usageOf(input, output), termsOf({ atMs }))
  return cost === null ? null : formatNano(cost.amountNano)
}

describe('PEERS 39: a prompt of Doubao is billed wholly at the tier of its length', () => {
  const costOf = (input: number) =>
    costIn(shipped('doubao'), 'doubao-seed-1-6-flash-250828', input, 1_000, '2026-11-25T12:00:00+08:00')

  test.each([
    // 0.15 and 1.5 yuan per million up to 32,000; 0.3 and 3 to 128,000; 0.6 and 6 above.
    [32_000, '0.0063'],
    [32_001, '0.0126003'],
    [33_000, '0.0129'],
    [128_000, '0.0414'],
    [128_001, '0.0828006'],
  ])('%i tokens', (input, cost) => {
    expect(costOf(input)).toBe(cost)
  })
})

describe('PEERS 40: the hours of DeepSeek are those of Beijing', () => {
  const costAt = (at: string, entries = shipped('deepseek')) =>
    costIn(entries, 'deepseek-v4-flash', 100_000, 10_000, at)
  const OFF_PEAK = '0.195'
  const PEAK = '0.39'

  test.each([
    ['a Wednesday before the morning', '2026-11-25T08:59:59.999+08:00', OFF_PEAK],
    ['its first moment', '2026-11-25T09:00:00+08:00', PEAK],
    ['11:59:59', '2026-11-25T11:59:59+08:00', PEAK],
    ['the last millisecond', '2026-11-25T11:59:59.999+08:00', PEAK],
    ['12:00:00', '2026-11-25T12:00:00+08:00', OFF_PEAK],
    ['the same written elsewhere', '2026-11-25T04:00:00Z', OFF_PEAK],
    ['the afternoon', '2026-11-25T14:00:00+08:00', PEAK],
    ['its end', '2026-11-25T18:00:00+08:00', OFF_PEAK],
    ['a Saturday', '2026-11-28T10:00:00+08:00', OFF_PEAK],
    ['a Sunday', '2026-11-29T11:59:59+08:00', OFF_PEAK],
    ['a Monday in Beijing that is Sunday in Greenwich', '2026-11-29T17:30:00-08:00', PEAK],
    ['the Saturday of the first week, when all days had them', '2026-08-22T10:00:00+08:00', PEAK],
    ['the Sunday after it', '2026-08-23T10:00:00+08:00', OFF_PEAK],
    ['the last moment before there were any', '2026-08-16T23:59:59.999+08:00', '0.12'],
  ])('%s', (_title, at, cost) => {
    expect(costAt(at)).toBe(cost)
  })

  test('no source names its holidays, so National Day costs what its weekday does', () => {
    expect(
      shipped('deepseek')
        .flatMap(({ time_bands: bands = [] }) => bands)
        .filter((band) => band.except_dates),
    ).toEqual([])
    expect(costAt('2026-10-01T10:00:00+08:00')).toBe(PEAK)
  })

  test('a holiday that is written down is none of its band', () => {
    const entries = shipped('deepseek').map((entry) => ({
      ...entry,
      ...(entry.time_bands === undefined
        ? {}
        : { time_bands: entry.time_bands.map((band) => ({ ...band, except_dates: ['2026-10-01'] })) }),
    }))
    expect(costAt('2026-10-01T10:00:00+08:00', entries)).toBe(OFF_PEAK)
    expect(costAt('2026-10-01T17:59:59.999+08:00', entries)).toBe(OFF_PEAK)
    expect(costAt('2026-09-30T10:00:00+08:00', entries)).toBe(PEAK)
  })
})

describe('PEERS 41: a price that is a unit off is refused at load', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['per token', '0.000001'],
    ['per thousand tokens', '0.0008'],
    ['in thousandths', '2000'],
  ]

  test.each(cases)('%s in a list', (_title, input) => {
    const [problem] = checkEntries([entryOf({ tiers: [{ input, output: '2' }] })])
    expect(problem?.problem).toContain('is no likely price')
  })

  test.each(cases)('%s in a configuration', (_title, input) => {
    const override = { pattern: 'shop/m', entry: entryOf({ tiers: [{ input, output: '2' }] }) }
    expect(checkOverrides([override], () => [])[0]?.problem).toContain('is the unit meant?')
  })
})

describe('PEERS 43: a model that no list knows', () => {
  const live = liveWith([vendor], {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { m: { targets: ['main/unheard-of'] } },
  })
  const [target] = live.settings.models.get('m')?.targets ?? []
  if (target === undefined) throw new Error('no target')
  const facts = live.factsOf(target)
  const call = readCall('chat', encode('{"model":"m","messages":[{"role":"user","content":"hi"}]}'))

  test.each([true, false])('is not asked under a budget, strict %s', (isStrict) => {
    const gauge = new InputGauge()
    expect(
      holdFor({
        live,
        call,
        facts,
        gauge,
        atMs: NOON_MS,
        hasBudget: true,
        isStrict,
        leftNano: 1n,
        tpm: null,
        totalMs: 600_000,
      }),
    ).toMatchObject({ kind: 'excluded', reason: 'unpriced' })
  })

  test('has no cost in its row, which says unpriced and never 0', () => {
    const { cost, usage } = meter(
      { gauge: new InputGauge(), outputGauge: new OutputGauge() },
      live,
      call,
      facts,
      attemptEnd(usageOf(1000, 500)),
      NOON_MS,
    )
    expect(cost).toBeNull()
    expect(attemptJson(attemptRow({ cost, usage }))).toMatchObject({ unpriced: true, cost: null })
  })

  test('is denied, or bounded by what is known, as the rule says', () => {
    const asked = { underBudget: true, known: [1n, 3n, 2n] }
    expect(decideUnpriced({ rule: 'deny', ...asked })).toEqual({ kind: 'deny' })
    expect(decideUnpriced({ rule: 'bound', ...asked })).toEqual({ kind: 'bound', known: [1n, 3n, 2n] })
    expect(decideUnpriced({ rule: 'bound', underBudget: true, known: [] })).toEqual({ kind: 'deny' })
  })
})
