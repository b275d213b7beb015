// Admission of attempts over time, with a clock that is moved by hand.

import { beforeEach, expect, test } from 'vitest'
import { admitAttempt, extendHold, releaseAttempt, settleAttempt } from '#pipeline/admit.ts'
import type { Deps, Exchange } from '#pipeline/context.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { openLane } from '#pipeline/lane.ts'
import { AdmissionDesk } from '#store/admission/desk.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { attemptRow } from '../../support/ledger-rows.ts'
import { vendor } from '../settings/fixtures.ts'
import { encode, FakeClock, liveWith } from './support.ts'

const MINUTE_MS = 60_000

let clock: FakeClock

beforeEach(() => {
  clock = new FakeClock()
})

function setUp(key: object, rest: object = {}, price: object = { input: '2', output: '8' }) {
  const live = liveWith([vendor], {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { m: { targets: ['main/small'] } },
    prices: { 'main/*': { currency: 'CNY', unit: 'per_million_tokens', tiers: [price] } },
    keys: [{ name: 'demo', key: 'sk-test-0123456789', ...key }],
    ...rest,
  })
  const desk = new AdmissionDesk(clock)
  const [settings] = live.settings.keys
  const [target] = live.settings.models.get('m')?.targets ?? []
  if (settings === undefined || target === undefined) throw new Error('no key or target')
  for (const scope of desk.unseeded(settings.scopes)) desk.seed(scope, [])
  const facts = live.factsOf(target)
  const deps = {
    clock,
    metrics: createMetrics(),
    admission: desk,
    gauge: new InputGauge(),
  } as unknown as Deps
  const policy = live.policy('default')
  const call = readCall(
    'chat',
    encode('{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}'),
  )
  const open = (): Exchange =>
    ({
      id: 'req',
      live,
      key: settings,
      lane: openLane(),
      limitHeaders: {},
      attempts: [],
    }) as unknown as Exchange
  const admit = (exchange = open()) => admitAttempt(deps, exchange, exchange.lane, call, facts, policy)
  const settle = (exchange: Exchange, inputTokens: number, outputTokens: number): void => {
    const row = attemptRow({ target: 'main/small', usageSource: 'provider', cost: null })
    settleAttempt(deps, exchange.lane, { ...row, usage: { ...row.usage, inputTokens, outputTokens } })
  }
  return { desk, deps, policy, call, open, admit, settle }
}

test('a key without limits gets the same call back and holds nothing', () => {
  const { admit, call, open, desk } = setUp({})
  const exchange = open()
  expect(admit(exchange)).toEqual({ call, atMs: clock.nowMs(), refused: null })
  expect(exchange.lane.grant).toBeNull()
  expect(desk.state.heldNano).toBe(0n)
})

test('requests over ten minutes stay within the limit in each minute, and use at least 85 % of it', () => {
  const { admit } = setUp({ rpm: 30 })
  const instants: number[] = []
  for (let step = 0; step < 1_200; step++) {
    if (admit().refused === null) instants.push(clock.nowMs())
    clock.advance(500)
  }
  for (const first of instants) {
    expect(instants.filter((at) => at >= first && at < first + MINUTE_MS).length).toBeLessThanOrEqual(30)
  }
  expect(instants.length).toBeGreaterThanOrEqual(0.85 * 30 * 10)
})

test('tokens over ten minutes stay within the limit in each minute, and use at least 85 % of it', () => {
  const { admit, open, settle } = setUp({ tpm: 6_000 })
  const used: { readonly atMs: number; readonly tokens: number }[] = []
  for (let step = 0; step < 1_200; step++) {
    const exchange = open()
    const atMs = clock.nowMs()
    if (admit(exchange).refused === null) {
      clock.advance(100)
      const tokens = 40 + (step % 80)
      settle(exchange, 30, tokens - 30)
      exchange.lane.grant?.close()
      used.push({ atMs, tokens })
    }
    clock.advance(400)
  }
  const sum = (from: number, to: number): number =>
    used.filter(({ atMs }) => atMs >= from && atMs < to).reduce((all, { tokens }) => all + tokens, 0)
  for (const { atMs } of used) expect(sum(atMs, atMs + MINUTE_MS)).toBeLessThanOrEqual(6_000)
  expect(sum(0, Number.POSITIVE_INFINITY)).toBeGreaterThanOrEqual(0.85 * 6_000 * 10)
})

test('the wait that a refusal names is right: just before it there is no room, and then there is', () => {
  const { admit } = setUp({ rpm: 2 })
  admit()
  clock.advance(20_000)
  admit()
  const { refused } = admit()
  expect(refused).toMatchObject({ reason: 'limit', isFinal: true, error: { code: 'rate_limit_exceeded' } })
  const waitMs = refused?.error.retryAfterMs ?? 0
  clock.advance(waitMs - 200)
  expect(admit().refused).not.toBeNull()
  clock.advance(200)
  expect(admit().refused).toBeNull()
})

test('headers name the tightest of the limits of key and team', () => {
  const { admit, open } = setUp({ rpm: 100, tpm: 50_000, team: 't' }, { teams: { t: { rpm: 7 } } })
  const exchange = open()
  admit(exchange)
  expect(exchange.limitHeaders).toMatchObject({
    'x-ratelimit-limit-requests': '7',
    'x-ratelimit-remaining-requests': '6',
    'x-ratelimit-reset-requests': '60.4s',
    'x-ratelimit-limit-tokens': '50000',
  })
})

test('what an upstream reports beyond the claim is booked and counted', async () => {
  const { admit, open, settle, deps, desk } = setUp({ tpm: 1_000 })
  const exchange = open()
  admit(exchange)
  settle(exchange, 500, 450)
  expect(desk.rates(exchange.key?.scopes ?? []).tokens?.remaining).toBe(50)
  expect(await deps.metrics.render()).toMatch(/sluice_limit_overrun_tokens_total [1-9]/)
})

test('a hold lives as long as its attempt may take and a minute more, from when the attempt itself begins', () => {
  const { admit, open, desk, deps, policy } = setUp({ max_budget: '1' })
  const exchange = open()
  admit(exchange)
  clock.advance(30_000)
  extendHold(deps, exchange.lane, policy)
  clock.advance(policy.timeouts.totalMs + MINUTE_MS - 1)
  expect(desk.state.heldNano).toBeGreaterThan(0n)
  clock.advance(2_000)
  expect(desk.state.heldNano).toBe(0n)
})

test('an attempt that was not sent gives back its money and its tokens', () => {
  const { admit, open, desk } = setUp({ max_budget: '1', tpm: 1_000 })
  const exchange = open()
  admit(exchange)
  releaseAttempt(exchange.lane)
  expect(desk.state.heldNano).toBe(0n)
  expect(desk.rates(exchange.key?.scopes ?? []).tokens?.remaining).toBe(1_000)
})

test('a budget that cannot be read yet is our 503, not a refusal for money', () => {
  const { open, deps, call, policy } = setUp({ max_budget: '1' })
  const unread = { ...deps, admission: new AdmissionDesk(clock) }
  const exchange = open()
  const [target] = exchange.live.settings.models.get('m')?.targets ?? []
  if (target === undefined) throw new Error('no target')
  const { refused } = admitAttempt(
    unread,
    exchange,
    exchange.lane,
    call,
    exchange.live.factsOf(target),
    policy,
  )
  expect(refused?.error).toMatchObject({ code: 'store_unavailable', status: 503 })
})
