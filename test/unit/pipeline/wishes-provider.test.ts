import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GatewayError } from '#core/errors.ts'
import { PERCENTILES, type Percentiles } from '#core/settings.ts'
import type { Wishes } from '#pipeline/wishes.ts'
import { readWishes } from '#pipeline/wishes-read.ts'
import { wishesOf } from './support.ts'

const read = (provider: unknown): Wishes | null => readWishes({ provider }, 'assistant', null)

function refusalOf(provider: unknown): { code: string; param: string | null; message: string } {
  try {
    read(provider)
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, param: error.param, message: error.message }
    throw error
  }
  throw new Error('it was let through')
}

describe('provider', () => {
  test.each<{ provider: object; wish: Partial<Wishes> }>([
    { provider: {}, wish: {} },
    { provider: { order: ['a', 'b/m', 'a'] }, wish: { order: ['a', 'b/m'] } },
    { provider: { order: [] }, wish: {} },
    { provider: { ignore: [] }, wish: {} },
    { provider: { only: ['a'], ignore: ['a/m'] }, wish: { only: ['a'], ignore: ['a/m'] } },
    { provider: { only: ['a'], order: ['a/m'] }, wish: { only: ['a'], order: ['a/m'] } },
    { provider: { only: ['a/m'], order: ['a'] }, wish: { only: ['a/m'], order: ['a'] } },
    { provider: { allow_fallbacks: false }, wish: { allowFallbacks: false } },
    { provider: { require_parameters: true }, wish: { requireParameters: true } },
    { provider: { data_collection: 'deny' }, wish: { denyDataCollection: true } },
    { provider: { data_collection: 'allow' }, wish: {} },
    { provider: { sort: 'latency' }, wish: { sort: 'latency' } },
    { provider: { sort: { by: 'throughput', partition: 'model' } }, wish: { sort: 'throughput' } },
    { provider: { sort: { by: null } }, wish: {} },
    { provider: { max_price: { prompt: 1 } }, wish: { maxPriceUsd: { input: 1, output: null } } },
    {
      provider: { max_price: { prompt: '0.25', completion: 0 } },
      wish: { maxPriceUsd: { input: 0.25, output: 0 } },
    },
    { provider: { max_price: {} }, wish: {} },
    { provider: { preferred_max_latency: 1.5 }, wish: { preferredMaxLatencyMs: { p50: 1500 } } },
    {
      provider: { preferred_max_latency: { p90: 3, p99: 5, p50: null } },
      wish: { preferredMaxLatencyMs: { p90: 3000, p99: 5000 } },
    },
    { provider: { preferred_max_latency: {} }, wish: {} },
    { provider: { preferred_min_throughput: 50 }, wish: { preferredMinThroughput: { p50: 50 } } },
    { provider: { preferred_min_throughput: { p75: 20 } }, wish: { preferredMinThroughput: { p75: 20 } } },
    {
      provider: {
        order: null,
        only: null,
        ignore: null,
        allow_fallbacks: null,
        require_parameters: null,
        data_collection: null,
        sort: null,
        max_price: null,
        preferred_max_latency: null,
        preferred_min_throughput: null,
      },
      wish: {},
    },
  ])('$provider → $wish', ({ provider, wish }) => expect(read(provider)).toEqual(wishesOf(wish)))
})

const FAR_TOO_MANY = Array.from({ length: 101 }, (_, index) => `p${index}`)

describe('provider is refused with what was found and what would be right', () => {
  test.each<{ provider: unknown; param: string; says: string }>([
    { provider: 'a', param: 'provider', says: 'an object; found the string "a"' },
    { provider: ['a'], param: 'provider', says: 'found an array' },
    {
      provider: { ordr: [] },
      param: 'provider.ordr',
      says: 'did you mean `order`? `provider` takes `order`, `only`',
    },
    { provider: { allow_fallback: true }, param: 'provider.allow_fallback', says: '`allow_fallbacks`?' },
    { provider: { zdr: true }, param: 'provider.zdr', says: 'not supported; `provider` takes' },
    { provider: { only: 'a' }, param: 'provider.only', says: 'an array of strings; found the string "a"' },
    { provider: { ignore: [''] }, param: 'provider.ignore[0]', says: 'a name; found the string ""' },
    { provider: { order: ['a', 1] }, param: 'provider.order[1]', says: 'found the number 1' },
    { provider: { only: ['a'.repeat(513)] }, param: 'provider.only[0]', says: '512 characters' },
    { provider: { only: FAR_TOO_MANY }, param: 'provider.only', says: 'at most 100' },
    { provider: { allow_fallbacks: 'no' }, param: 'provider.allow_fallbacks', says: 'a boolean' },
    { provider: { require_parameters: 1 }, param: 'provider.require_parameters', says: 'a boolean' },
    { provider: { data_collection: 'no' }, param: 'provider.data_collection', says: '"allow" or "deny"' },
    { provider: { data_collection: false }, param: 'provider.data_collection', says: 'boolean false' },
    { provider: { sort: 'cheap' }, param: 'provider.sort', says: '"price" or "throughput" or "latency"' },
    { provider: { sort: ['price'] }, param: 'provider.sort', says: 'found an array' },
    { provider: { sort: { by: 'value' } }, param: 'provider.sort.by', says: 'found the string "value"' },
    { provider: { sort: { on: 'price' } }, param: 'provider.sort.on', says: '`by`, `partition`' },
    {
      provider: { sort: { by: 'price', partition: 'none' } },
      param: 'provider.sort.partition',
      says: '"model"; found the string "none"',
    },
    { provider: { max_price: 1 }, param: 'provider.max_price', says: '`prompt` and `completion`' },
    { provider: { max_price: { request: 1 } }, param: 'provider.max_price.request', says: 'not supported' },
    { provider: { max_price: { image: 1 } }, param: 'provider.max_price.image', says: 'not supported' },
    { provider: { max_price: { promt: 1 } }, param: 'provider.max_price.promt', says: 'mean `prompt`?' },
    {
      provider: { max_price: { prompt: -1 } },
      param: 'provider.max_price.prompt',
      says: 'found the number -1',
    },
    {
      provider: { max_price: { prompt: '1e3' } },
      param: 'provider.max_price.prompt',
      says: 'decimal string',
    },
    { provider: { max_price: { prompt: '' } }, param: 'provider.max_price.prompt', says: 'decimal string' },
    { provider: { max_price: { completion: '-1' } }, param: 'provider.max_price.completion', says: '"-1"' },
    {
      provider: { max_price: { completion: Number.POSITIVE_INFINITY } },
      param: 'provider.max_price.completion',
      says: 'found the number Infinity',
    },
    { provider: { preferred_max_latency: 0 }, param: 'provider.preferred_max_latency', says: 'above 0' },
    {
      provider: { preferred_max_latency: '1' },
      param: 'provider.preferred_max_latency',
      says: 'an object of p50',
    },
    {
      provider: { preferred_max_latency: { p95: 1 } },
      param: 'provider.preferred_max_latency.p95',
      says: 'did you mean `p',
    },
    {
      provider: { preferred_min_throughput: { p90: -5 } },
      param: 'provider.preferred_min_throughput.p90',
      says: 'found the number -5',
    },
    {
      provider: { preferred_min_throughput: true },
      param: 'provider.preferred_min_throughput',
      says: 'true',
    },
  ])('$provider', ({ provider, param, says }) => {
    const refusal = refusalOf(provider)
    expect(refusal).toMatchObject({ code: 'invalid_request', param })
    expect(refusal.message).toContain(says)
  })

  test('a member of the prototype chain is no exception', () => {
    expect(refusalOf(JSON.parse('{"__proto__":{"only":["a"]}}')).param).toBe('provider.__proto__')
  })

  test('what a client sent is clipped', () => {
    const { param, message } = refusalOf({ ['x'.repeat(5000)]: 1 })
    expect(param?.length).toBeLessThan(120)
    expect(message.length).toBeLessThan(500)
  })
})

describe('lists that contradict each other are refused by the rule', () => {
  test.each<{ provider: object; param: string; says: string }>([
    { provider: { only: [] }, param: 'provider.only', says: 'no provider is left' },
    { provider: { order: [], allow_fallbacks: false }, param: 'provider.order', says: 'no provider is left' },
    {
      provider: { only: ['a', 'b'], ignore: ['b'] },
      param: 'provider.ignore',
      says: '"b" is in `provider.only` and in `provider.ignore`',
    },
    { provider: { only: ['a/m'], ignore: ['a'] }, param: 'provider.ignore', says: '"a/m" is in' },
    {
      provider: { order: ['a'], ignore: ['a'] },
      param: 'provider.order',
      says: '"a" is in `provider.order` and in `provider.ignore`',
    },
    { provider: { order: ['a/m'], ignore: ['a'] }, param: 'provider.order', says: '"a/m" is in' },
    {
      provider: { order: ['a', 'b'], only: ['a'] },
      param: 'provider.order',
      says: '"b" is in `provider.order` but not in `provider.only`',
    },
    { provider: { order: ['a/m'], only: ['a/n'] }, param: 'provider.order', says: '"a/m" is in' },
  ])('$provider', ({ provider, param, says }) => {
    const refusal = refusalOf(provider)
    expect(refusal).toMatchObject({ code: 'invalid_request', param })
    expect(refusal.message).toContain(says)
  })
})

const junk = fc.jsonValue({ maxDepth: 2 })
const names = fc.oneof(junk, fc.array(fc.constantFrom('a', 'b', 'a/m', ''), { maxLength: 3 }))
const numbers = fc.oneof(junk, fc.double(), fc.constantFrom('1', '0.5', '-1'))
const bars = fc.oneof(numbers, fc.record({ p50: numbers, p90: numbers }, { requiredKeys: [] }))
const anyProvider = fc.record(
  {
    order: names,
    only: names,
    ignore: names,
    allow_fallbacks: fc.oneof(junk, fc.boolean()),
    require_parameters: junk,
    data_collection: fc.oneof(junk, fc.constantFrom('allow', 'deny')),
    sort: fc.oneof(junk, fc.constantFrom('price', 'latency'), fc.record({ by: junk, partition: junk })),
    max_price: fc.oneof(junk, fc.record({ prompt: numbers, completion: numbers }, { requiredKeys: [] })),
    preferred_max_latency: bars,
    preferred_min_throughput: bars,
    other: junk,
  },
  { requiredKeys: [] },
)

test('no body whatever gets anything but wishes or an answer that says what is wrong', () => {
  const models = fc.oneof(
    junk,
    fc.array(fc.constantFrom('a', 'b:floor', 'c:nitro', ':floor'), { maxLength: 3 }),
  )
  const bodies = fc.record({ models, provider: fc.oneof(junk, anyProvider) }, { requiredKeys: [] })
  const model = fc.constantFrom('a', 'a:floor', 'a:nitro', 'a:b')
  const policy = fc.option(fc.string({ maxLength: 5 }))
  fc.assert(
    fc.property(bodies, model, policy, (body, asked, header) => {
      try {
        readWishes({ model: asked, ...body }, asked, header)
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error
        expect(error.status).toBe(400)
        expect(error.param !== null || error.message.includes('x-sluice-policy')).toBe(true)
      }
    }),
    { seed: 505, numRuns: 500 },
  )
})

const positive = fc.double({ min: 0.001, max: 1000, noNaN: true })
const cutoffs = fc.option(
  fc
    .record(Object.fromEntries(PERCENTILES.map((name) => [name, positive])), { requiredKeys: [] })
    .filter((bar) => Object.keys(bar).length > 0),
)
const amount = fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }))

test('what is well-formed is read as it was meant', () => {
  const meant = fc.record({
    sort: fc.option(fc.constantFrom<'price' | 'throughput' | 'latency'>('price', 'throughput', 'latency')),
    only: fc.option(fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 })),
    allowFallbacks: fc.boolean(),
    requireParameters: fc.boolean(),
    denyDataCollection: fc.boolean(),
    maxPriceUsd: fc.option(fc.record({ input: amount, output: amount })),
    latencySeconds: cutoffs,
    preferredMinThroughput: cutoffs,
  })
  fc.assert(
    fc.property(meant, ({ latencySeconds, ...wish }) => {
      const { maxPriceUsd: price } = wish
      const provider = {
        sort: wish.sort,
        only: wish.only,
        order: wish.only,
        allow_fallbacks: wish.allowFallbacks,
        require_parameters: wish.requireParameters,
        data_collection: wish.denyDataCollection ? 'deny' : 'allow',
        max_price: price === null ? null : { prompt: price.input, completion: price.output },
        preferred_max_latency: latencySeconds,
        preferred_min_throughput: wish.preferredMinThroughput,
      }
      const isPriced = price !== null && (price.input !== null || price.output !== null)
      expect(read(provider)).toEqual(
        wishesOf({
          ...wish,
          order: wish.only,
          maxPriceUsd: isPriced ? price : null,
          preferredMaxLatencyMs: latencySeconds === null ? null : inMs(latencySeconds),
        }),
      )
    }),
    { seed: 506, numRuns: 200 },
  )
})

function inMs(seconds: Readonly<Record<string, number | undefined>>): Percentiles {
  return Object.fromEntries(Object.entries(seconds).map(([name, bar]) => [name, (bar ?? 0) * 1000]))
}
