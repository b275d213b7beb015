// Attempts that a crash cut off, of targets that no price of tokens can rate.

import { describe, expect, test } from 'vitest'
import type { KeyFields } from '#core/keys.ts'
import { NO_USAGE } from '#core/usage.ts'
import { KeyRing } from '#pipeline/key-ring.ts'
import { recoverRow } from '#pipeline/recovered.ts'
import { compileStoredKey } from '#settings/stored-keys.ts'
import { openAttempt, requestRow, START_MS } from '../../support/ledger-rows.ts'
import { storedKey } from '../../support/stored-keys.ts'
import { vendor } from '../settings/fixtures.ts'
import { liveWith } from './support.ts'

const price = { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '20', output: '80' }] }

interface Caller {
  /** Of a key of the file. */
  readonly limits?: object
  /** Of a key of the store. */
  readonly fields?: KeyFields
  readonly tags?: Readonly<Record<string, string>>
}

function recovered(unpriced: string, caller: Caller, prices: object = { 'main/known': price }) {
  const { limits, fields, tags = {} } = caller
  const live = liveWith([vendor], {
    unpriced,
    prices,
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { m: { targets: ['main/new', 'main/known'] } },
    teams: { growth: { max_budget: '1' } },
    keys: [{ name: limits === undefined ? 'other' : 'demo', key: 'sk-test-0123456789', ...limits }],
  })
  const ring = new KeyRing(compileStoredKey, () => 0)
  if (fields !== undefined) ring.apply([storedKey({ name: 'demo', fields })])
  const usage = {
    inputTokens: 1_000,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
  }
  return recoverRow(live, ring, openAttempt({ model: 'm', target: 'main/new', usage, tags }), AT_ONCE).cost
}

/** The crash came with the attempt's start, and the start after it with the crash. */
const AT_ONCE = { request: requestRow({ model: 'm' }), aliveAtMs: START_MS, nowMs: START_MS }

const BUDGET: Caller = { limits: { max_budget: '1' } }

test.each<[string, Caller]>([
  ['a key of the file', BUDGET],
  ['a key of the store', { fields: { max_budget: '1' } }],
  ['a team, also when the key is gone', { tags: { team: 'growth' } }],
])(
  'bound: under a budget of %s their input is charged at the price that it was held at',
  (_whose, caller) => {
    expect(recovered('bound', caller)).toMatchObject({
      amountNano: 20_000_000n,
      priceVersion: 'unpriced;bound',
    })
  },
)

test.each([
  ['under a budget', BUDGET],
  ['without one', {}],
])('a call is charged as one, %s', (_what, caller) => {
  const perCall = { currency: 'CNY', unit: 'per_call', tiers: [{ price: '0.5' }] }
  expect(recovered('deny', caller, { 'main/*': perCall })).toMatchObject({
    amountNano: 500_000_000n,
    lines: [{ item: 'call', quantity: 1, price: '0.5', amount: '0.5' }],
  })
})

describe('a model by the GPU second', () => {
  const byTime = { currency: 'CNY', unit: 'per_gpu_second', gpus: 4, tiers: [{ price: '0.01' }] }

  /** What is booked of it; instants in ms after its start, `usual` as it was opened with. */
  function timed(aliveMs: number, nowMs: number, usual: number | null, policy = 'short') {
    const live = liveWith([vendor], {
      prices: { 'main/*': byTime },
      policies: { short: { timeouts: { total_ms: 60_000 } }, long: { timeouts: { total_ms: 600_000 } } },
      providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
      models: { m: { policy: 'short', targets: ['main/new'] } },
    })
    const { decision } = requestRow({})
    const other = usual === null ? {} : { other: { gpuMs: usual } }
    const open = openAttempt({
      model: 'm',
      target: 'main/new',
      usage: { ...NO_USAGE, inputTokens: 10, outputTokens: 400, ...other },
      estimateError: { inputTokens: 7, outputTokens: 8 },
    })
    const row = recoverRow(live, new KeyRing(compileStoredKey, () => 0), open, {
      request: requestRow({ model: 'm', decision: decision === null ? null : { ...decision, policy } }),
      aliveAtMs: START_MS + aliveMs,
      nowMs: START_MS + nowMs,
    })
    return { row, gpuMs: row.usage.other?.gpuMs, bound: row.estimateError?.gpuMs }
  }

  test('costs the time that it may have run, with a bound', () => {
    const { row } = timed(2_000, 5_000, 3_000)
    expect(row).toMatchObject({
      outcome: 'interrupted',
      usageSource: 'recovered',
      usage: { outputTokens: 400, other: { gpuMs: 3_000 } },
      estimateError: { inputTokens: 7, outputTokens: 8, gpuMs: 2_000 },
      cost: { amountNano: 120_000_000n, lines: [{ item: 'gpu_second', quantity: 12, amount: '0.12' }] },
    })
  })

  test.each<[string, number, number, number | null, number, number]>([
    ['what such answers take', 2_000, 50_000, 10_000, 10_000, 40_000],
    ['not less than the instance lived on', 20_000, 50_000, 10_000, 20_000, 30_000],
    ['not more than has passed', 2_000, 5_000, 10_000, 5_000, 3_000],
    ['not more than it was allowed', 0, 3_600_000, 3_600_000, 61_000, 61_000],
    ['the most it can be, where nobody knows what they take', 2_000, 5_000, null, 5_000, 3_000],
    ['the same after a long silence', 0, 3_600_000, null, 61_000, 61_000],
    ['nothing where a clock went back', -5_000, -1_000, null, 0, 0],
  ])('that is %s', (_what, aliveMs, nowMs, usual, gpuMs, bound) => {
    expect(timed(aliveMs, nowMs, usual)).toMatchObject({ gpuMs, bound })
  })

  test('by the policy that it was planned by, or its model’s where that is gone', () => {
    expect(timed(0, 3_600_000, null, 'long').gpuMs).toBe(601_000)
    expect(timed(0, 3_600_000, null, 'gone').gpuMs).toBe(61_000)
  })
})

test.each<[string, string, Caller, object?]>([
  ['no budget counts them', 'bound', { limits: {} }],
  ['no budget counts them, of a key of the store', 'bound', { fields: {} }],
  ['nobody knows their key', 'bound', {}],
  ['the rule is to charge nothing', 'allow_flagged', BUDGET],
  ['nothing is known of like models', 'bound', BUDGET, {}],
])('nothing is charged where %s', (_why, unpriced, limits, prices = { 'main/known': price }) => {
  expect(recovered(unpriced, limits, prices)).toBeNull()
})
