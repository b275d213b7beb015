// A rate of tokens: charged at admission with what cannot be exceeded, corrected downward as soon as the truth is known.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Provider, Quirks } from '#core/provider.ts'
import { admitAttempt, settleAttempt } from '#pipeline/admit.ts'
import type { Deps, Exchange } from '#pipeline/context.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { openLane } from '#pipeline/lane.ts'
import { billedTokensMax } from '#pipeline/output-bound.ts'
import { AdmissionDesk } from '#store/admission/desk.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { attemptRow } from '../../support/ledger-rows.ts'
import { vendor } from '../settings/fixtures.ts'
import { encode, FakeClock, liveWith } from './support.ts'

type Json = Record<string, unknown>

const MINUTE_MS = 60_000

function setUp(limits: Json, quirks: Partial<Quirks> = {}, thinksByDefault = false) {
  const clock = new FakeClock()
  const provider: Provider = {
    ...vendor,
    quirks: { ...vendor.quirks, ...quirks },
    models: thinksByDefault ? [{ match: /./, thinksByDefault }] : [],
  }
  const live = liveWith([provider], {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { m: { targets: ['main/small'] } },
    keys: [{ name: 'demo', key: 'sk-test-0123456789', ...limits }],
  })
  const [key] = live.settings.keys
  const [target] = live.settings.models.get('m')?.targets ?? []
  if (key === undefined || target === undefined) throw new Error('no key or target')
  const facts = live.factsOf(target)
  const desk = new AdmissionDesk(clock)
  const deps = {
    clock,
    metrics: createMetrics(),
    admission: desk,
    gauge: new InputGauge(),
  } as unknown as Deps
  function ask(body: Json = {}, content = 'hello') {
    const exchange = { id: 'r', live, key, lane: openLane(), limitHeaders: {}, attempts: [] }
    const call = readCall(
      'chat',
      encode(JSON.stringify({ model: 'm', messages: [{ role: 'user', content }], ...body })),
    )
    const open = exchange as unknown as Exchange
    return {
      exchange: open,
      call,
      admitted: admitAttempt(deps, open, open.lane, call, facts, live.policy('default')),
    }
  }
  function settle(exchange: Exchange, inputTokens: number, outputTokens: number): void {
    const row = attemptRow({ target: 'main/small', cost: null })
    settleAttempt(deps, exchange.lane, { ...row, usage: { ...row.usage, inputTokens, outputTokens } })
    exchange.lane.grant?.close()
  }
  const used = (): number => {
    const { tokens } = desk.rates(key?.scopes ?? [])
    return tokens === null ? 0 : tokens.limit - tokens.remaining
  }
  return { clock, desk, facts, ask, settle, used }
}

const sentBy = ({ admitted }: { admitted: ReturnType<typeof admitAttempt> }): Json => {
  if (admitted.refused !== null) throw new Error(admitted.refused.detail)
  return admitted.call.body
}

describe('the charge is an upper bound', () => {
  test('of the input its bytes, whatever the target has counted so far', () => {
    const { ask, settle, used } = setUp({ tpm: 1_000_000 })
    for (let index = 0; index < 20; index++) {
      const { exchange } = ask({ max_tokens: 1 }, 'x'.repeat(4_000))
      settle(exchange, 100, 1)
    }
    const before = used()
    ask({ max_tokens: 1 }, 'x'.repeat(4_000))
    expect(used() - before).toBeGreaterThan(4_000)
  })

  test('of an answer that its client leaves open a bound that is sent, and told', () => {
    const { ask, used } = setUp({ tpm: 1_000_000 })
    const asked = ask()
    expect(sentBy(asked)['max_tokens']).toBe(4_096)
    expect(asked.exchange.limitHeaders['x-sluice-max-tokens']).toBe('4096')
    expect(used()).toBeGreaterThan(4_096)
  })

  test('of thinking that its client leaves open as well', () => {
    const quirks = { thinking: { style: 'thinking' } } as const
    const { ask } = setUp({ tpm: 1_000_000 }, quirks, true)
    expect(sentBy(ask({ max_tokens: 100 }))['max_completion_tokens']).toBe(8_292)
    expect(sentBy(ask())['max_completion_tokens']).toBe(12_288)
  })

  test('under a small rate what is open takes an eighth of it, and what the client says stays', () => {
    const { ask } = setUp({ tpm: 16_000 })
    const bound = Number(sentBy(ask())['max_tokens'])
    expect(bound).toBeGreaterThan(1_800)
    expect(bound).toBeLessThan(2_000)
    expect(sentBy(ask({ max_tokens: 5_000 }))['max_tokens']).toBe(5_000)
  })

  test('beside a long prompt there is still an answer, and under a tiny rate what is left of it', () => {
    expect(sentBy(setUp({ tpm: 16_000 }).ask({}, 'x'.repeat(9_000)))['max_tokens']).toBe(1_024)
    const { ask, used } = setUp({ tpm: 300 })
    expect(Number(sentBy(ask())['max_tokens'])).toBeGreaterThan(100)
    expect(used()).toBe(300)
  })

  test('what nothing bounds runs alone', () => {
    const quirks = { maxTokens: 'max_tokens', thinking: { style: 'thinking' } } as const
    const { ask, settle, used } = setUp({ tpm: 8_000 }, quirks, true)
    const first = ask()
    expect(used()).toBe(8_000)
    expect(ask().admitted.refused).toMatchObject({ reason: 'limit' })
    settle(first.exchange, 10, 90)
    expect(used()).toBe(100)
  })

  test.each([
    ['clip', { type: 'video_url', video_url: { url: 'https://v.example/a.mp4' } }],
    ['file', { type: 'file', file: { file_id: 'file-1' } }],
  ])('a %s may fill the window', (_what, part) => {
    const { ask, used } = setUp({ tpm: 300_000 })
    ask({ messages: [{ role: 'user', content: [part] }] })
    expect(used()).toBeGreaterThan(131_072)
  })

  test('a key without a rate of tokens is not touched', () => {
    const { ask } = setUp({ rpm: 10 })
    const asked = ask()
    expect(asked.admitted).toMatchObject({ call: asked.call })
    expect(asked.exchange.limitHeaders['x-sluice-max-tokens']).toBeUndefined()
  })
})

test('PEERS 35: a limit of tokens charges tokens, not one per request', () => {
  const { ask, settle, used } = setUp({ tpm: 100_000 })
  const { exchange } = ask({ max_tokens: 500 })
  expect(used()).toBeGreaterThan(500)
  settle(exchange, 300, 200)
  expect(used()).toBe(500)
})

interface Arrival {
  readonly gapMs: number
  readonly runMs: number
  readonly inputBytes: number
  readonly maxTokens: number | null
  readonly thinks: boolean
  /** Shares of what may be used. */
  readonly input: number
  readonly output: number
}

const share = fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true }))
const arrival: fc.Arbitrary<Arrival> = fc.record({
  gapMs: fc.oneof(fc.constant(0), fc.nat(400), fc.nat(20_000)),
  runMs: fc.nat(3_000),
  inputBytes: fc.nat(1_200),
  maxTokens: fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 900 })),
  thinks: fc.boolean(),
  input: share,
  output: share,
})

interface Used {
  readonly atMs: number
  readonly tokens: number
}

/** Runs arrivals over and over for some minutes; each is used up to what its call as sent allows. */
function run(limits: Json, arrivals: readonly Arrival[], minutes: number, askedMax = 20_000) {
  const quirks = { thinking: { style: 'enable_thinking', budgetField: 'thinking_budget' } } as const
  const { clock, ask, settle, facts, used, desk } = setUp(limits, quirks)
  const served: Used[] = []
  const startMs = clock.nowMs()
  let refusedAt: number[] = []
  for (let index = 0; index < askedMax && clock.nowMs() < startMs + minutes * MINUTE_MS; index++) {
    const next = arrivals[index % arrivals.length] as Arrival
    const body: Json = { enable_thinking: next.thinks }
    if (next.maxTokens !== null) body['max_tokens'] = next.maxTokens
    const { exchange, admitted } = ask(body, 'x'.repeat(next.inputBytes))
    const atMs = clock.nowMs()
    if (admitted.refused === null) {
      const { call } = admitted
      const input = Math.floor(call.bytes.length * next.input)
      const output = Math.floor(billedTokensMax(call, facts) * next.output)
      clock.after(next.runMs, () => {
        settle(exchange, input, output)
        served.push({ atMs, tokens: input + output })
      })
    } else refusedAt = [...refusedAt.slice(-99), used()]
    clock.advance(next.gapMs + 1)
  }
  clock.advance(10_000)
  return { served, refusedAt, overrunTokens: desk.state.overrunTokens }
}

function mostInAMinute(served: readonly Used[], weigh: (one: Used) => number): number {
  const inOrder = served.toSorted((left, right) => left.atMs - right.atMs)
  let most = 0
  let sum = 0
  let from = 0
  for (const one of inOrder) {
    sum += weigh(one)
    while ((inOrder[from] as Used).atMs <= one.atMs - MINUTE_MS) sum -= weigh(inOrder[from++] as Used)
    most = Math.max(most, sum)
  }
  return most
}

test('whenever requests come, no minute has more of them or of their tokens than the limits', () => {
  fc.assert(
    fc.property(
      fc.array(arrival, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 5, max: 200 }),
      fc.integer({ min: 2_000, max: 60_000 }),
      (arrivals, rpm, tpm) => {
        const { served, overrunTokens } = run({ rpm, tpm }, arrivals, 3, 400)
        expect(mostInAMinute(served, () => 1)).toBeLessThanOrEqual(rpm)
        expect(mostInAMinute(served, ({ tokens }) => tokens)).toBeLessThanOrEqual(tpm)
        expect(overrunTokens).toBe(0)
      },
    ),
    { numRuns: 100 },
  )
})

test('at saturation at least 85 % of the tokens are used, and no request is refused while 85 % are free', () => {
  const arrivals: Arrival[] = Array.from({ length: 20 }, (_, index) => ({
    gapMs: 40,
    runMs: 300,
    inputBytes: 50 * (index % 7),
    // Some say how long their answer may be, others do not.
    maxTokens: index % 3 === 0 ? null : 300,
    thinks: false,
    input: 0.25,
    output: 0.2 + (index % 5) / 10,
  }))
  const { served, refusedAt } = run({ tpm: 40_000 }, arrivals, 10)
  const tokens = served.reduce((sum, one) => sum + one.tokens, 0)
  expect(tokens).toBeGreaterThanOrEqual(0.85 * 40_000 * 10)
  expect(refusedAt.length).toBeGreaterThan(0)
  expect(Math.min(...refusedAt)).toBeGreaterThanOrEqual(0.85 * 40_000)
  expect(mostInAMinute(served, (one) => one.tokens)).toBeLessThanOrEqual(40_000)
})
