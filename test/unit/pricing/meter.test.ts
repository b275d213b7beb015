// What an attempt is metered at where the price is by time, under contract or paid ahead.

import { describe, expect, test } from 'vitest'
import { formatNano } from '#core/money.ts'
import type { AttemptEnd } from '#pipeline/attempt-end.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { compileLive } from '#pipeline/live.ts'
import { costOf, meter } from '#pipeline/meter.ts'
import { OutputGauge } from '#pipeline/output-gauge.ts'
import { BalanceBook, balancesOf } from '#pricing/balance-book.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import { attemptEnd, encode, liveWith } from '../pipeline/support.ts'
import { vendor } from '../settings/fixtures.ts'
import { NOON_MS, usageOf } from './prices.ts'

const FLAT = { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '2', output: '8' }] }

function setUp(price: object) {
  const { settings } = liveWith([vendor], {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { assistant: { targets: ['main/small'] } },
    prices: { 'main/small': price },
  })
  const gauges = { gauge: new InputGauge(), outputGauge: new OutputGauge() }
  const balances = new BalanceBook(balancesOf(settings.prices))
  const live = compileLive(settings, buildCatalogue({ lists: [], overrides: settings.prices, balances }))
  const [target] = settings.models.get('assistant')?.targets ?? []
  if (target === undefined) throw new Error('no target')
  const facts = live.factsOf(target)
  const call = readCall('chat', encode('{"model":"assistant","messages":[{"role":"user","content":"hi"}]}'))
  return {
    balances,
    metered: (end: Partial<AttemptEnd> = {}) =>
      meter(gauges, live, call, facts, attemptEnd(usageOf(1000, 500), end), NOON_MS),
    running: () => costOf(live, call, facts, usageOf(1000, 500), null, NOON_MS),
  }
}

describe('a model priced by the seconds of its GPUs', () => {
  const { metered, running } = setUp({
    currency: 'CNY',
    unit: 'per_gpu_second',
    gpus: 2,
    tiers: [{ price: '0.002' }],
  })

  test('costs the time of the attempt', () => {
    const { cost, usage } = metered()
    expect(usage.other).toEqual({ gpuMs: 2500 })
    expect(cost?.lines).toEqual([{ item: 'gpu_second', quantity: 5, price: '0.002', amount: '0.01' }])
  })

  test('costs nothing where it was refused, and is not unknown then', () => {
    expect(metered({ httpStatus: 429, outcome: 'failed' }).cost?.amountNano).toBe(0n)
  })

  test('is not known while it runs', () => {
    expect(running()).toBeNull()
  })
})

describe('a balance', () => {
  test('is taken once, at the end of an attempt, and not by a look at the running cost', () => {
    const balance = { id: 'pack', kind: 'package', unit: 'tokens', amount: 2000 }
    const { balances, metered, running } = setUp({ ...FLAT, balances: [balance] })
    const left = () => balances.of('main', 'small', null, NOON_MS)[0]?.remaining
    expect(running()).not.toBeNull()
    expect(left()).toBe(2000)
    expect(metered().cost?.amountNano).toBe(0n)
    expect(left()).toBe(500)
    // 1,000 input tokens use the rest, 500 of them are billed, and so is the output.
    const { cost } = metered()
    expect(cost === null ? null : formatNano(cost.amountNano)).toBe('0.005')
    expect(left()).toBe(0)
  })
})

test('a contract of the configuration is billed, with its line', () => {
  const { metered } = setUp({ ...FLAT, discounts: [{ discount: '0.85' }] })
  const { cost } = metered()
  expect(cost?.lines.at(-1)).toEqual({ item: 'discount', quantity: 1, price: '-0.0009', amount: '-0.0009' })
  expect(cost?.amountNano).toBe(5_100_000n)
})
