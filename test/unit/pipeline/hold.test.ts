// Claims of attempts, and the bounds that make them true.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Provider, Quirks } from '#core/provider.ts'
import { type Held, holdFor } from '#pipeline/hold.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { costOf } from '#pipeline/meter.ts'
import { vendor } from '../settings/fixtures.ts'
import { encode, liveWith } from './support.ts'

type Json = Record<string, unknown>

const AT_MS = 1_790_000_000_000
const TOTAL_MS = 600_000
const FLAT = { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '2', output: '8' }] }

interface Setting {
  readonly quirks?: Partial<Quirks>
  readonly thinksByDefault?: boolean
  readonly price?: Json
  readonly target?: Json
  readonly fx?: Json
}

function setUp(setting: Setting) {
  const provider: Provider = {
    ...vendor,
    quirks: { ...vendor.quirks, ...setting.quirks },
    models: setting.thinksByDefault === true ? [{ match: /./, thinksByDefault: true }] : [],
  }
  const live = liveWith([provider], {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { m: { targets: [{ target: 'main/small', ...setting.target }] } },
    prices: { 'main/*': setting.price ?? FLAT },
    ...(setting.fx === undefined ? {} : { fx: setting.fx }),
  })
  const [target] = live.settings.models.get('m')?.targets ?? []
  if (target === undefined) throw new Error('no target')
  return { live, facts: live.factsOf(target) }
}

const callOf = (body: Json = {}) =>
  readCall(
    'chat',
    encode(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...body })),
  )

function hold(
  body: Json,
  setting: Setting & {
    readonly leftNano?: bigint | null
    readonly isStrict?: boolean
    readonly hasBudget?: boolean
    readonly tpm?: number
  },
): Held {
  return holdFor({
    ...setUp(setting),
    call: callOf(body),
    gauge: new InputGauge(),
    atMs: AT_MS,
    totalMs: TOTAL_MS,
    hasBudget: setting.hasBudget ?? true,
    isStrict: setting.isStrict ?? true,
    leftNano: setting.leftNano ?? null,
    tpm: setting.tpm ?? null,
  })
}

/** What is sent upstream of the bound: the members of the call's bytes. */
function sent(held: Held): Json {
  if (held.kind !== 'claimed') throw new Error(held.reason)
  const body = JSON.parse(new TextDecoder().decode(held.call.bytes)) as Json
  expect(body).toEqual(held.call.body)
  const { model: _model, messages: _messages, ...rest } = body
  return rest
}

describe('strict bounds', () => {
  const budget = { style: 'enable_thinking', budgetField: 'thinking_budget' } as const
  const on = { style: 'thinking' } as const
  const cases: readonly (readonly [string, Json, Setting, Json | string])[] = [
    ['an open answer', {}, {}, { max_tokens: 4096 }],
    ['max_tokens', { max_tokens: 9 }, {}, { max_tokens: 9 }],
    ['max_completion_tokens', { max_completion_tokens: 9 }, {}, { max_completion_tokens: 9 }],
    [
      'both fields, of which vendors refuse two',
      { max_tokens: 9, max_completion_tokens: 7 },
      {},
      { max_completion_tokens: 7 },
    ],
    [
      'a vendor that knows max_tokens only',
      { max_completion_tokens: 9 },
      { quirks: { maxTokens: 'max_tokens' } },
      { max_tokens: 9 },
    ],
    [
      'a window below what is asked for',
      { max_tokens: 999_999_999 },
      { target: { context_window: 32_000 } },
      { max_tokens: 32_000 },
    ],
    ['an absurd length', { max_tokens: 999_999_999 }, {}, { max_tokens: 131_072 }],
    [
      'thinking where max_tokens is about the answer',
      { max_tokens: 100, thinking: { type: 'enabled' } },
      { quirks: { thinking: on } },
      { max_completion_tokens: 8_292, thinking: { type: 'enabled' } },
    ],
    [
      'thinking within max_completion_tokens',
      { max_completion_tokens: 100, thinking: { type: 'enabled' } },
      { quirks: { thinking: on } },
      { max_completion_tokens: 100, thinking: { type: 'enabled' } },
    ],
    [
      'thinking by default',
      {},
      { quirks: { thinking: on }, thinksByDefault: true },
      { max_completion_tokens: 12_288 },
    ],
    [
      'thinking that is switched off',
      { max_tokens: 100, thinking: { type: 'disabled' } },
      { quirks: { thinking: on }, thinksByDefault: true },
      { max_tokens: 100, thinking: { type: 'disabled' } },
    ],
    [
      'a budget of thinking apart',
      { max_tokens: 100, enable_thinking: true },
      { quirks: { maxTokens: 'max_tokens', thinking: budget } },
      { max_tokens: 100, enable_thinking: true, thinking_budget: 8_192 },
    ],
    [
      'a budget of thinking that the client gives',
      { max_tokens: 100, enable_thinking: true, thinking_budget: 200 },
      { quirks: { maxTokens: 'max_tokens', thinking: budget } },
      { max_tokens: 100, enable_thinking: true, thinking_budget: 200 },
    ],
    [
      'thinking that nothing bounds',
      { max_tokens: 100, thinking: { type: 'enabled' } },
      { quirks: { maxTokens: 'max_tokens', thinking: on } },
      'unbounded',
    ],
    [
      'a model that thinks whatever it is told',
      { max_tokens: 100, enable_thinking: false },
      { quirks: { maxTokens: 'max_tokens' }, thinksByDefault: true },
      'unbounded',
    ],
  ]

  test.each(cases)('%s', (_name, body, setting, wanted) => {
    const held = hold(body, setting)
    if (typeof wanted === 'string') expect(held).toMatchObject({ kind: 'excluded', reason: wanted })
    else expect(sent(held)).toEqual(wanted)
  })

  test('what cannot be afforded is clamped, thinking and answer in proportion', () => {
    const quirks = { maxTokens: 'max_tokens', thinking: budget } as const
    const body = { max_tokens: 1_000, enable_thinking: true, thinking_budget: 3_000 }
    const held = hold(body, { quirks, leftNano: 3_500_000n })
    const { max_tokens: answer, thinking_budget: thinking } = sent(held)
    expect(Number(answer) + Number(thinking)).toBeLessThan(420)
    expect(Number(thinking) / Number(answer)).toBeCloseTo(3, 1)
    expect(held).toMatchObject({ maxTokens: Number(answer) + Number(thinking) })
  })

  test('less than a few words is not worth it: the claim stays above what is left', () => {
    const held = hold({ max_tokens: 1_000 }, { leftNano: 1_000n })
    expect(held.kind === 'claimed' && held.claim.costNano > 1_000n).toBe(true)
  })

  test('several answers are paid for each', () => {
    const one = hold({ max_tokens: 100 }, {})
    const three = hold({ max_tokens: 100, n: 3 }, {})
    if (one.kind !== 'claimed' || three.kind !== 'claimed') throw new Error('no claim')
    expect(three.claim.costNano - one.claim.costNano).toBeGreaterThanOrEqual(200n * 8_000n)
  })
})

test.each([
  ['an input that is written to the cache', { input: '2', cache_write: '2.5', output: '0' }, 2_500_000n],
  ['hits of the cache that cost more than input', { input: '2', cached_input: '3', output: '0' }, 3_000_000n],
  ['pictures', { input: '2', image_input: '4', output: '0' }, 4_000_000n],
  ['a price whose sum ends in half a nano', { input: '0.0015', output: '0' }, 1_500n],
])('%s is held for at its price', (_name, tier, micro) => {
  for (const content of ['odd', 'even']) {
    const messages = [{ role: 'user', content }]
    const held = hold({ max_tokens: 1, messages }, { price: { ...FLAT, tiers: [tier] } })
    if (held.kind !== 'claimed') throw new Error(held.reason)
    const pico = micro * BigInt(held.claim.tokens - 1)
    expect(held.claim.costNano).toBe((pico + 999n) / 1_000n)
  }
})

describe('soft holds', () => {
  test('nothing is edited, and what may come beyond the hold is said', () => {
    const held = hold({ max_tokens: 64_000 }, { isStrict: false })
    if (held.kind !== 'claimed') throw new Error(held.reason)
    expect(sent(held)).toEqual({ max_tokens: 64_000 })
    expect(held.claim.worstNano - held.claim.costNano).toBe(BigInt(64_000 - 4_096) * 8_000n)
  })

  test('a target whose thinking nothing bounds may be asked, and its worst is its whole window', () => {
    const quirks = { maxTokens: 'max_tokens', thinking: { style: 'thinking' } } as const
    const held = hold({ max_tokens: 100, thinking: { type: 'enabled' } }, { quirks, isStrict: false })
    if (held.kind !== 'claimed') throw new Error(held.reason)
    expect(held.claim.worstNano).toBeGreaterThan(131_072n * 8_000n)
  })

  test('a price that is not known excludes the target', () => {
    expect(
      hold({}, { isStrict: false, price: { ...FLAT, currency: 'USD' }, fx: { USD: '7.1' } }),
    ).toMatchObject({
      kind: 'claimed',
    })
    expect(hold({}, { isStrict: false, price: { ...FLAT, effective_from: '2099-01-01' } })).toMatchObject({
      reason: 'unpriced',
    })
  })
})

test('whatever an upstream that keeps the bound may bill, it is not above the claim', () => {
  const tokens = fc.nat(20_000)
  const share = fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true }))
  const decimal = fc.nat(99_999).map((value) => (value / 1_000).toFixed(3))
  const tier = fc.record({
    input: decimal,
    output: decimal,
    cached_input: decimal,
    cache_write: decimal,
    thinking_output: decimal,
  })
  fc.assert(
    fc.property(
      fc.record({ first: tier, second: tier, last: tier, limit: fc.integer({ min: 1, max: 4_000 }) }),
      fc.constantFrom('CNY', 'USD'),
      tokens,
      fc.record({
        input: share,
        cached: share,
        written: share,
      }),
      fc.record({ output: share, reasons: fc.boolean() }),
      fc.integer({ min: 1, max: 3_000 }),
      (prices, currency, leftTokens, input, output, length) => {
        const { first, second, last, limit } = prices
        const price = {
          currency,
          unit: 'per_million_tokens',
          tiers: [
            { ...first, input_tokens_up_to: limit, output_tokens_up_to: 200 },
            { ...second, input_tokens_up_to: limit },
            last,
          ],
        }
        const setting = setUp({ price, fx: { USD: '7.123456' } })
        const call = callOf({ max_tokens: length, messages: [{ role: 'user', content: 'x'.repeat(limit) }] })
        const held = holdFor({
          ...setting,
          call,
          gauge: new InputGauge(),
          atMs: AT_MS,
          totalMs: TOTAL_MS,
          tpm: null,
          hasBudget: true,
          isStrict: true,
          leftNano: BigInt(leftTokens) * 50_000n,
        })
        if (held.kind !== 'claimed') throw new Error(held.reason)
        const bound = Number(held.call.body['max_tokens'])
        const outputTokens = Math.floor(bound * output.output)
        const inputTokens = Math.floor((held.claim.tokens - bound) * input.input)
        const cachedInputTokens = Math.floor(inputTokens * input.cached)
        const cacheWriteTokens = Math.floor((inputTokens - cachedInputTokens) * input.written)
        const usage = {
          inputTokens,
          cachedInputTokens,
          cacheWriteTokens,
          outputTokens,
          reasoningTokens: output.reasons ? outputTokens : 0,
        }
        const cost = costOf(setting.live, held.call, setting.facts, usage, null, AT_MS)
        expect(cost?.amountNano).toBeLessThanOrEqual(held.claim.costNano)
        expect(inputTokens + outputTokens).toBeLessThanOrEqual(held.claim.tokens)
      },
    ),
  )
})
