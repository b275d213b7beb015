// What is held beside plain tokens: searches and tools, snapshots, prices that are for no tokens, unknown ones.

import { describe, expect, test } from 'vitest'
import type { PriceEntry } from '#core/price.ts'
import type { Provider, Quirks } from '#core/provider.ts'
import { type Held, holdFor } from '#pipeline/hold.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { compileLive } from '#pipeline/live.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import { costOfHold } from '#pricing/ceiling.ts'
import { settingsOf, vendor } from '../settings/fixtures.ts'
import { encode } from './support.ts'

type Json = Record<string, unknown>

const AT_MS = 1_790_000_000_000
const FLAT: Json = { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '2', output: '8' }] }

interface Setting {
  readonly quirks?: Partial<Quirks>
  readonly isStrict?: boolean
  readonly config?: Json
  readonly list?: readonly Json[]
  readonly targets?: readonly unknown[]
  readonly totalMs?: number
}

function hold(body: Json, setting: Setting = {}): Held {
  const provider: Provider = { ...vendor, quirks: { ...vendor.quirks, ...setting.quirks } }
  const settings = settingsOf(
    {
      providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
      models: { m: { targets: setting.targets ?? ['main/small'] } },
      ...setting.config,
    },
    {},
    new Map([['vendor', provider]]),
  )
  const entries = (setting.list ?? []) as unknown as readonly PriceEntry[]
  const lists = [{ provider: 'vendor', entries }]
  const live = compileLive(settings, buildCatalogue({ lists, overrides: settings.prices, currency: 'CNY' }))
  const [target] = settings.models.get('m')?.targets ?? []
  if (target === undefined) throw new Error('no target')
  const messages = [{ role: 'user', content: 'hi' }]
  return holdFor({
    live,
    facts: live.factsOf(target),
    call: readCall('chat', encode(JSON.stringify({ model: 'm', messages, ...body }))),
    gauge: new InputGauge(),
    atMs: AT_MS,
    totalMs: setting.totalMs ?? 600_000,
    hasBudget: true,
    isStrict: setting.isStrict ?? false,
    leftNano: null,
    tpm: null,
  })
}

function claimOf(held: Held) {
  if (held.kind !== 'claimed') throw new Error(held.detail)
  return held.claim
}

const priced = (price: Json): Json => ({ prices: { 'main/*': price } })

describe('searches and tools', () => {
  const SEARCH: Json = {
    ...FLAT,
    tiers: [{ input: '0', output: '0' }],
    items: [
      { item: 'search_call', price: '0.004' },
      { item: 'tool_call', price: '0.001' },
      { item: 'search_call', price: '9', effective_from: '2099-01-01' },
    ],
  }
  const setting = { quirks: { searchFields: ['web_search', 'enable_search'] }, config: priced(SEARCH) }
  const SEARCHES = 8n * 4_000_000n
  const TOOLS = 16n * 1_000_000n

  test.each<[string, Json, bigint]>([
    ['nothing is switched on', { enable_search: false, web_search: { enable: false } }, 0n],
    ['a switch', { enable_search: true }, SEARCHES],
    ['a switch with settings', { web_search: { search_mode: 'auto' } }, SEARCHES],
    ["a client's own tools", { tools: [{ type: 'function', function: { name: 'f' } }] }, 0n],
    ["a provider's tool", { tools: [{ type: 'web_search', web_search: {} }] }, SEARCHES + TOOLS],
  ])('are held for at a cap: %s', (_title, body, wanted) => {
    expect(claimOf(hold(body, setting))).toMatchObject({ costNano: wanted, worstNano: wanted })
  })

  test('what they find is input, and is held for too', () => {
    const dear = { ...setting, config: priced(FLAT) }
    const found = claimOf(hold({ enable_search: true }, dear)).costNano - claimOf(hold({}, dear)).costNano
    // The switch itself is a few bytes of the body.
    expect(Number(found)).toBeGreaterThan(16_384 * 2_000)
    expect(Number(found)).toBeLessThan(16_384 * 2_000 + 30 * 2_000)
  })

  test('leave a target out of a strict budget: nothing caps them', () => {
    for (const body of [{ enable_search: true }, { tools: [{ type: 'web_search' }] }])
      expect(hold(body, { ...setting, isStrict: true })).toMatchObject({ reason: 'unbounded' })
    expect(hold({ enable_search: false }, { ...setting, isStrict: true })).toMatchObject({ kind: 'claimed' })
  })

  test('are no matter where the dialect has no such switch', () => {
    expect(claimOf(hold({ enable_search: true }, { config: priced(SEARCH) })).costNano).toBe(0n)
  })

  test('a model that always searches is held for without a switch', () => {
    const searches = { ...setting, quirks: { searches: true } as const }
    expect(claimOf(hold({}, searches)).costNano).toBe(SEARCHES)
  })
})

describe('an alias may be answered by any of its snapshots', () => {
  const list = [
    { model: 'small', ...FLAT },
    { model: 'small-2026-03-01', ...FLAT, tiers: [{ input: '2', output: '40' }] },
    {
      model: 'small-2027-03-01',
      ...FLAT,
      tiers: [{ input: '2', output: '900' }],
      effective_from: '2099-01-01',
    },
    { model: 'small-turbo', ...FLAT, tiers: [{ input: '2', output: '900' }] },
    { model: 'small-2026-04-01', ...FLAT, region: 'intl', tiers: [{ input: '2', output: '900' }] },
  ]

  test('and is held for at the dearest of them that is in force in its region', () => {
    const plain = claimOf(hold({ max_tokens: 1_000 }, { isStrict: true, list: list.slice(0, 1) }))
    const held = claimOf(hold({ max_tokens: 1_000 }, { isStrict: true, list }))
    expect(held.costNano - plain.costNano).toBe(1_000n * (40_000n - 8_000n))
  })

  test("the configuration's own price is the price, whoever answers", () => {
    const held = claimOf(hold({ max_tokens: 1_000 }, { isStrict: true, list, config: priced(FLAT) }))
    const plain = claimOf(hold({ max_tokens: 1_000 }, { isStrict: true, config: priced(FLAT) }))
    expect(held.costNano).toBe(plain.costNano)
  })
})

describe('a clip or a file may fill the window, whatever its bytes say', () => {
  const tiers = [
    { input_tokens_up_to: 32_000, input: '2', output: '8' },
    { input: '4', output: '16' },
  ]
  const list = [{ ...FLAT, model: 'small', tiers, context_window: 128_000 }]

  test.each([
    ['file', { type: 'file', file: { file_id: 'file-1' } }],
    ['video', { type: 'video_url', video_url: { url: 'https://v.example/a.mp4' } }],
    ['sound', { type: 'input_audio', input_audio: { data: 'https://v.example/a.mp3', format: 'mp3' } }],
  ])('%s: the bound that is said counts it at the tier that it may reach', (_what, part) => {
    const messages = [{ role: 'user', content: [part] }]
    const { worstNano } = claimOf(hold({ messages, max_tokens: 1_000 }, { list }))
    expect(worstNano).toBe(128_000n * 4_000n + 1_000n * 16_000n)
    const text = claimOf(hold({ max_tokens: 1_000 }, { list }))
    expect(text.worstNano).toBeLessThan(1_000_000n + 1_000n * 8_000n)
  })
})

describe('prices that are for no tokens', () => {
  test.each([false, true])(
    'GPU seconds are held for as long as the attempt may take (strict: %s)',
    (isStrict) => {
      const price = { currency: 'CNY', unit: 'per_gpu_second', gpus: 4, tiers: [{ price: '0.002' }] }
      const held = claimOf(hold({}, { isStrict, totalMs: 30_000, config: priced(price) }))
      // Half a minute and a second for late timers, on four GPUs.
      expect(held).toMatchObject({ costNano: 31n * 4n * 2_000_000n, worstNano: 31n * 4n * 2_000_000n })
    },
  )

  test.each([
    ['per_call', '0.5', 500_000_000n],
    ['per_image', '0.5', 1_000_000_000n],
    ['per_second', '0.001', 601_000_000n],
  ])('%s is held for at a stated bound', (unit, amount, wanted) => {
    const price = { currency: 'CNY', unit, tiers: [{ price: amount }] }
    expect(claimOf(hold({ n: 2 }, { config: priced(price) })).costNano).toBe(wanted)
  })

  test('characters are held for as many as the body has and an answer may', () => {
    const price = { currency: 'CNY', unit: 'per_10k_chars', tiers: [{ price: '1' }] }
    expect(claimOf(hold({}, { config: priced(price) })).costNano).toBeGreaterThan(3_276_800n)
  })

  test('what an upstream may make at will is no target of a strict budget', () => {
    const price = { currency: 'CNY', unit: 'per_image', tiers: [{ price: '1' }] }
    expect(hold({}, { isStrict: true, config: priced(price) })).toMatchObject({ reason: 'unbounded' })
  })
})

describe('PEERS 29: the length of an answer is clamped to what the model can make', () => {
  const list = [{ model: 'small', ...FLAT, context_window: 128_000, max_output: 8_192 }]

  test('a soft hold knows that 999,999,999 tokens will not come', () => {
    const { costNano, worstNano } = claimOf(hold({ max_tokens: 999_999_999 }, { list }))
    expect(worstNano - costNano).toBe(4_096n * 8_000n)
  })

  test('a strict one sends it', () => {
    const held = hold({ max_tokens: 999_999_999 }, { list, isStrict: true })
    expect(held).toMatchObject({ maxTokens: 8_192, call: { body: { max_tokens: 8_192 } } })
  })

  test('thinking may come on top of it', () => {
    const thinking = { thinking: { style: 'enable_thinking', budgetField: 'thinking_budget' } } as const
    const body = { max_tokens: 999_999, enable_thinking: true, thinking_budget: 9_000 }
    const quirks = { ...thinking, maxTokens: 'max_tokens' } as const
    const held = hold(body, { list, isStrict: true, quirks })
    expect(held).toMatchObject({ call: { body: { max_tokens: 8_192, thinking_budget: 9_000 } } })
  })
})

describe('a price that is not known', () => {
  const dear = { ...FLAT, tiers: [{ input: '2', output: '80' }] }
  const others = {
    targets: ['main/small', 'main/cheap', 'main/dear'],
    config: { prices: { 'main/cheap': FLAT, 'main/dear': dear } },
  }
  const withRule = (unpriced: string, setting: Setting = others): Setting => ({
    ...setting,
    config: { ...setting.config, unpriced },
  })

  test('deny: the target is not asked', () => {
    expect(hold({}, others)).toMatchObject({ reason: 'unpriced' })
    expect(hold({}, withRule('deny'))).toMatchObject({ reason: 'unpriced' })
  })

  test("bound: it is held for at the dearest price of the model's other targets", () => {
    const wanted = claimOf(hold({ max_tokens: 100 }, { config: priced(dear) })).costNano
    expect(claimOf(hold({ max_tokens: 100 }, withRule('bound'))).costNano).toBe(wanted)
  })

  test("bound: where none of them has one, at the dearest of its provider's list", () => {
    const list = [
      { model: 'other', ...dear },
      { model: 'past', ...dear, tiers: [{ input: '9', output: '900' }], effective_to: '2020-01-01' },
    ]
    const wanted = claimOf(hold({ max_tokens: 100 }, { config: priced(dear) })).costNano
    expect(claimOf(hold({ max_tokens: 100 }, withRule('bound', { list }))).costNano).toBe(wanted)
    expect(hold({}, withRule('bound', {}))).toMatchObject({ reason: 'unpriced' })
  })

  test('allow_flagged: it is served without a hold, also under a strict budget', () => {
    for (const isStrict of [false, true]) {
      const held = hold({}, { ...withRule('allow_flagged'), isStrict })
      expect(claimOf(held)).toMatchObject({ costNano: 0n, worstNano: 0n })
      expect(held).toMatchObject({ maxTokens: null })
    }
  })

  test('what cannot be rated afterwards is charged what was held, or what was used at that price', () => {
    const held = hold({ max_tokens: 100 }, { config: priced(FLAT) })
    if (held.kind !== 'claimed' || held.money === null) throw new Error('nothing is held')
    const usage = {
      inputTokens: 1,
      cachedInputTokens: 0,
      cacheWriteTokens: 0,
      outputTokens: 1,
      reasoningTokens: 0,
    }
    const cost = costOfHold(held.money, usage, 'CNY')
    expect(cost).toMatchObject({ amountNano: held.claim.costNano, priceVersion: 'unpriced;bound' })
    expect(costOfHold(held.money, { ...usage, outputTokens: 1_000_000 }, 'CNY')?.amountNano).toBe(
      8_000_002_000n,
    )
    expect(costOfHold(held.money, { ...usage, inputTokens: 0, outputTokens: 0 }, 'CNY')).toBeNull()
    expect(costOfHold(null, usage, 'CNY')).toBeNull()
  })
})
