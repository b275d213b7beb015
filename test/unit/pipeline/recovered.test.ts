// Attempts that a crash cut off, of targets that no price can rate.

import { expect, test } from 'vitest'
import type { KeyFields } from '#core/keys.ts'
import { KeyRing } from '#pipeline/key-ring.ts'
import { recoverRow } from '#pipeline/recovered.ts'
import { compileStoredKey } from '#settings/stored-keys.ts'
import { openAttempt } from '../../support/ledger-rows.ts'
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
  return recoverRow(live, ring, openAttempt({ model: 'm', target: 'main/new', usage, tags })).cost
}

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

test('a call is charged as one', () => {
  const perCall = { currency: 'CNY', unit: 'per_call', tiers: [{ price: '0.5' }] }
  expect(recovered('deny', BUDGET, { 'main/*': perCall })?.amountNano).toBe(500_000_000n)
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
