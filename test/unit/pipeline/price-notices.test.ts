import { expect, test } from 'vitest'
import { priceNotices } from '#pipeline/price-notices.ts'
import { vendor } from '../settings/fixtures.ts'
import { liveWith } from './support.ts'

const PRICE = { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '1', output: '2' }] }
const NOW_MS = Date.parse('2026-11-25T00:00:00Z')

test('names each target that a policy by price can never choose, and what would help', () => {
  const live = liveWith([vendor], {
    providers: {
      main: { use: 'vendor', api_key: 'secret-of-vendor' },
      off: { use: 'vendor', api_key: '' },
    },
    fx: { USD: '7.1' },
    prices: {
      'main/large-model': PRICE,
      'main/abroad': { ...PRICE, currency: 'USD' },
      'main/elsewhere': { ...PRICE, region: 'intl' },
    },
    models: {
      assistant: {
        targets: [
          'main/large-model',
          'main/large-modle',
          'main/abroad',
          'main/elsewhere',
          'main/q',
          'off/unknown',
        ],
      },
      again: { targets: ['main/large-modle'] },
      fast: { policy: 'quick', targets: ['main/unheard-of'] },
    },
    policies: { quick: { sort: 'latency' } },
  })
  const end = 'never chosen under sort: value (model "assistant", policy "default")'
  expect(priceNotices(live, NOW_MS)).toEqual([
    `target "main/large-modle" has no price; did you mean "large-model"?; ${end}`,
    `target "main/elsewhere" has no price in region "cn"; give it one under prices; ${end}`,
    `target "main/q" has no price; give it one under prices; ${end}`,
  ])
})

test('says which rate is missing for a price that the books cannot say', () => {
  const live = liveWith([vendor], {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    fx: { USD: '7.1' },
    prices: { 'main/x': { ...PRICE, currency: 'USD' } },
    models: { assistant: { targets: ['main/x'] } },
  })
  const notices = priceNotices({ ...live, rateOf: () => null }, NOW_MS)
  expect(notices).toEqual([
    'target "main/x" is priced in USD: it needs fx.USD; never chosen under sort: value (model "assistant", policy "default")',
  ])
})
