// Attempts that a crash cut off, of targets that no price can rate.

import { expect, test } from 'vitest'
import { boundOfRecovered } from '#pipeline/recovered.ts'
import { openAttempt } from '../../support/ledger-rows.ts'
import { vendor } from '../settings/fixtures.ts'
import { liveWith } from './support.ts'

const price = { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '20', output: '80' }] }

function recovered(unpriced: string, limits: object, prices: object = { 'main/known': price }) {
  const live = liveWith([vendor], {
    unpriced,
    prices,
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { m: { targets: ['main/new', 'main/known'] } },
    keys: [{ name: 'demo', key: 'sk-test-0123456789', ...limits }],
  })
  const [target] = live.settings.models.get('m')?.targets ?? []
  if (target === undefined) throw new Error('no target')
  const usage = {
    inputTokens: 1_000,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
  }
  return boundOfRecovered(live, live.factsOf(target), openAttempt({ model: 'm', target: 'main/new', usage }))
}

const BUDGET = { max_budget: '1' }

test('bound: their input is charged at the price that it was held at', () => {
  expect(recovered('bound', BUDGET)).toMatchObject({
    amountNano: 20_000_000n,
    priceVersion: 'unpriced;bound',
  })
})

test('a call is charged as one', () => {
  const perCall = { currency: 'CNY', unit: 'per_call', tiers: [{ price: '0.5' }] }
  expect(recovered('deny', BUDGET, { 'main/*': perCall })?.amountNano).toBe(500_000_000n)
})

test.each([
  ['no budget counts them', 'bound', {}],
  ['the rule is to charge nothing', 'allow_flagged', BUDGET],
  ['nothing is known of like models', 'bound', BUDGET, {}],
])('nothing is charged where %s', (_why, unpriced, limits, prices = { 'main/known': price }) => {
  expect(recovered(unpriced, limits, prices)).toBeNull()
})
