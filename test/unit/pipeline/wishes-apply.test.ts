import { describe, expect, test } from 'vitest'
import { GatewayError } from '#core/errors.ts'
import type { PolicySettings } from '#core/settings.ts'
import type { Live } from '#pipeline/live.ts'
import type { Wishes } from '#pipeline/wishes.ts'
import { applyWishes, namedPolicy } from '#pipeline/wishes-apply.ts'
import { hosted, vendor } from '../settings/fixtures.ts'
import { liveWith, wishesOf } from './support.ts'

const configured = (changes: object = {}): Live =>
  liveWith([vendor, hosted], {
    fx: { USD: [{ rate: '7.10', effective_to: '2026-10-01' }] },
    providers: {
      main: { use: 'vendor', api_key: 'secret-of-vendor' },
      other: { use: 'vendor', api_key: 'secret-of-other' },
      local: { use: 'hosted', base_url: 'http://127.0.0.1:8000/v1', allow_private: true },
    },
    models: { assistant: { targets: ['main/small', 'local/qwen/qwen3-8b'] } },
    policies: { quick: { sort: 'latency' } },
    ...changes,
  })

const live = configured()
const plain = live.policy('quick')
const AT_MS = Date.UTC(2026, 0, 15)

const apply = (wish: Partial<Wishes>, policy: PolicySettings = plain, of: Live = live, atMs = AT_MS) =>
  applyWishes(of, policy, wishesOf(wish), atMs)

function refusalOf(run: () => unknown): { code: string; param: string | null; message: string } {
  try {
    run()
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, param: error.param, message: error.message }
    throw error
  }
  throw new Error('it was let through')
}

describe('a policy named by the request', () => {
  test('is that of the configuration', () => {
    expect(namedPolicy(live, 'quick')).toBe(plain)
    expect(namedPolicy(live, 'default').name).toBe('default')
  })

  test.each([
    { name: 'quik', says: 'did you mean "quick"?' },
    { name: 'constructor', says: 'known: default, quick' },
    { name: 'x'.repeat(5000), says: 'known: default, quick' },
  ])('$name is refused with those there are', ({ name, says }) => {
    const { code, param, message } = refusalOf(() => namedPolicy(live, name))
    expect({ code, param }).toEqual({ code: 'invalid_request', param: null })
    expect(message).toContain('`x-sluice-policy`')
    expect(message).toContain(says)
    expect(message.length).toBeLessThan(300)
  })

  test('of many policies not all are listed', () => {
    const policies = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`p${index}`, {}]))
    const { message } = refusalOf(() => namedPolicy(configured({ policies }), 'mine'))
    expect(message).toContain('p18, and 21 more')
  })
})

describe('applied to a policy', () => {
  test('wishes that are none of its matter leave it as it is', () => {
    expect(apply({ order: ['main'], denyDataCollection: true, allowFallbacks: false })).toBe(plain)
  })

  test('order and preferences are the request’s; name and the rest stay', () => {
    const preferences = { preferredMaxLatency: { p90: 900 }, preferredMinThroughput: { p50: 10 } }
    const wish = { sort: 'throughput', preferredMaxLatencyMs: { p50: 500 } } as const
    expect(apply(wish, { ...plain, ...preferences })).toEqual({
      ...plain,
      sort: 'throughput',
      preferredMaxLatency: { p50: 500 },
      preferredMinThroughput: { p50: 10 },
    })
    expect(apply({ preferredMinThroughput: { p90: 30 } })).toMatchObject({
      name: 'quick',
      sort: 'latency',
      preferredMinThroughput: { p90: 30 },
    })
  })

  test.each<{
    own: PolicySettings['maxPrice']
    asked: Wishes['maxPriceUsd']
    want: PolicySettings['maxPrice']
  }>([
    { own: null, asked: { input: 0.1, output: null }, want: { input: 0.71, output: null } },
    { own: null, asked: { input: 0, output: 1e-7 }, want: { input: 0, output: 0.000001 } },
    { own: { input: 4, output: 12 }, asked: { input: 1, output: 1 }, want: { input: 4, output: 7.1 } },
    { own: { input: 4, output: null }, asked: { input: null, output: 2 }, want: { input: 4, output: 14.2 } },
    { own: { input: 4, output: 12 }, asked: null, want: { input: 4, output: 12 } },
  ])('of bounds $own and $asked (USD) the tighter ones hold: $want', ({ own, asked, want }) => {
    expect(apply({ maxPriceUsd: asked }, { ...plain, maxPrice: own }).maxPrice).toEqual(want)
  })

  test('dollars need no rate where the books are in dollars', () => {
    const dollars = configured({ currency: 'USD', fx: {} })
    const asked = { input: 0.1, output: 2 }
    expect(apply({ maxPriceUsd: asked }, plain, dollars).maxPrice).toEqual(asked)
  })

  test.each([
    { name: 'no rate at all', of: configured({ fx: {} }), atMs: AT_MS },
    { name: 'none at that time', of: live, atMs: Date.UTC(2026, 11, 1) },
  ])('$name: a bound in dollars is refused', ({ of, atMs }) => {
    const asked = { input: 1, output: null }
    const refusal = refusalOf(() => apply({ maxPriceUsd: asked }, plain, of, atMs))
    expect(refusal).toMatchObject({ code: 'invalid_request', param: 'provider.max_price' })
    expect(refusal.message).toContain('no `fx` for USD')
    expect(apply({ sort: 'price' }, plain, of, atMs).sort).toBe('price')
  })
})

describe('names of providers', () => {
  test.each<Partial<Wishes>>([
    { order: ['main', 'local'] },
    { only: ['main/small'] },
    { ignore: ['local/qwen/qwen3-8b'] },
    { names: ['other/large'], order: ['other/large'] },
  ])('%j are known', (wish) => expect(apply(wish)).toBe(plain))

  test.each<{ wish: Partial<Wishes>; param: string; says: string }>([
    { wish: { order: ['mian'] }, param: 'provider.order', says: 'no provider "mian"; did you mean "main"?' },
    { wish: { only: ['main', 'nobody'] }, param: 'provider.only', says: 'no provider "nobody"' },
    {
      wish: { ignore: ['lokal/x'] },
      param: 'provider.ignore',
      says: 'no provider "lokal"; did you mean "local"?',
    },
    { wish: { ignore: ['__proto__'] }, param: 'provider.ignore', says: 'no provider "__proto__"' },
    {
      wish: { only: ['main/smal'] },
      param: 'provider.only',
      says: 'no target "main/smal"; did you mean "main/small"?',
    },
    { wish: { only: ['other/small'] }, param: 'provider.only', says: 'no target "other/small"' },
  ])('$wish is refused', ({ wish, param, says }) => {
    const refusal = refusalOf(() => apply(wish))
    expect(refusal).toMatchObject({ code: 'invalid_request', param })
    expect(refusal.message).toContain(says)
  })
})
