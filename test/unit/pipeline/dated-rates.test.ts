// The rate in force at the attempt's start, wherever money is counted: plan, hold and bill say the same.

import { expect, test } from 'vitest'
import type { Deps } from '#pipeline/context.ts'
import { holdFor } from '#pipeline/hold.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { meter } from '#pipeline/meter.ts'
import { OutputGauge } from '#pipeline/output-gauge.ts'
import { nextStep, planCall } from '#pipeline/plan.ts'
import { Planner } from '#routing/planner.ts'
import { usageOf } from '../pricing/prices.ts'
import { vendor } from '../settings/fixtures.ts'
import { attemptEnd, encode, FakeClock, liveWith } from './support.ts'

const OCTOBER_MS = Date.parse('2026-10-01T00:00:00+08:00')
const NOVEMBER_MS = Date.parse('2026-11-01T00:00:00+08:00')

const live = liveWith([vendor], {
  providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
  models: { m: { targets: ['main/small'] } },
  prices: {
    'main/*': { currency: 'USD', unit: 'per_million_tokens', tiers: [{ input: '1', output: '1' }] },
  },
  // As written: the later one first.
  fx: {
    USD: [
      { rate: '10', effective_from: '2026-10-01', effective_to: '2026-11-01' },
      { rate: '5', effective_to: '2026-10-01' },
    ],
  },
})
const call = readCall('chat', encode('{"model":"m","messages":[{"role":"user","content":"hi"}]}'))
const [target] = live.settings.models.get('m')?.targets ?? []
if (target === undefined) throw new Error('no target')
const facts = live.factsOf(target)

function estimateAt(atMs: number): number | null {
  const clock = new FakeClock()
  clock.advance(atMs - clock.nowMs())
  const deps = { clock, planner: new Planner({ random: () => 0 }) } as unknown as Deps
  const [key] = live.settings.keys
  if (key === undefined) throw new Error('no key')
  const step = nextStep(
    deps,
    planCall({ id: 'r1', live, session: null }, key, call, atMs),
    call,
    [],
    new Set(),
  )
  const text = step.kind === 'ask' ? step.decision.candidates[0]?.estimatedCost : null
  return text === null || text === undefined ? null : Number(text)
}

function heldAt(atMs: number): bigint | null {
  const gauge = new InputGauge()
  const held = holdFor({
    live,
    call,
    facts,
    gauge,
    atMs,
    hasBudget: true,
    isStrict: true,
    leftNano: null,
    tpm: null,
    totalMs: 600_000,
  })
  return held.kind === 'claimed' ? held.claim.costNano : null
}

const billAt = (atMs: number) =>
  meter(
    { gauge: new InputGauge(), outputGauge: new OutputGauge() },
    live,
    call,
    facts,
    attemptEnd(usageOf(1000, 500)),
    atMs,
  ).cost

test.each([
  ['estimate of a plan', (atMs: number) => estimateAt(atMs)],
  ['hold', (atMs: number) => Number(heldAt(atMs))],
  ['bill', (atMs: number) => Number(billAt(atMs)?.amountNano)],
])('the %s doubles with the rate, at the millisecond at which it begins', (_name, costAt) => {
  expect(costAt(OCTOBER_MS - 1)).toBeGreaterThan(0)
  expect((costAt(OCTOBER_MS) ?? 0) / (costAt(OCTOBER_MS - 1) ?? 1)).toBeCloseTo(2, 2)
})

test('after the last rate nothing is known, which is never a price of zero', () => {
  expect(estimateAt(NOVEMBER_MS)).toBeNull()
  expect(heldAt(NOVEMBER_MS)).toBeNull()
  expect(billAt(NOVEMBER_MS)).toBeNull()
  expect(live.settings.notices).toContainEqual(
    expect.stringContaining('fx.USD has no rate from 2026-11-01 on'),
  )
})

test('a bill names its rate and since when it holds', () => {
  expect(billAt(OCTOBER_MS - 1)?.priceVersion).toMatch(/;fx=5$/)
  expect(billAt(OCTOBER_MS)?.priceVersion).toMatch(/;fx=10@2026-10-01$/)
})
