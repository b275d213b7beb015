import { describe, expect, test } from 'vitest'
import type { Decision } from '#core/decision.ts'
import type { GatewayError } from '#core/errors.ts'
import type { Capability, Provider } from '#core/provider.ts'
import type { KeySettings } from '#core/settings.ts'
import type { Deps } from '#pipeline/context.ts'
import { ANYONE } from '#pipeline/explain.ts'
import { readCall } from '#pipeline/ingress.ts'
import type { Live } from '#pipeline/live.ts'
import { nextStep, planCall, type Step } from '#pipeline/plan.ts'
import { Planner } from '#routing/planner.ts'
import { vendor } from '../settings/fixtures.ts'
import { encode, FakeClock, liveWith } from './support.ts'

const KEY: KeySettings = { ...ANYONE, name: 'demo' }
const PRICE = { currency: 'CNY', unit: 'per_million_tokens' }

const limited: Provider = { ...vendor, id: 'limited', cannot: ['tools', 'n'] as readonly Capability[] }
const legacy: Provider = { ...vendor, id: 'legacy', completionsPath: '/completions' }

function setUp(config: object = {}) {
  const live = liveWith([vendor, limited, legacy], {
    providers: {
      main: { use: 'vendor', api_key: 'secret-of-vendor' },
      less: { use: 'limited', api_key: 'secret-of-vendor' },
      old: { use: 'legacy', api_key: 'secret-of-vendor' },
      off: { use: 'vendor', api_key: '' },
    },
    models: {
      assistant: { targets: ['main/dear', 'main/cheap'] },
      mixed: { targets: ['less/x', 'main/cheap'] },
      poor: { targets: ['less/x', 'less/y'] },
      dead: { targets: ['off/x'] },
      small: { targets: [{ target: 'main/cheap', context_window: 50 }] },
      texts: { targets: ['main/cheap', 'old/cheap'] },
    },
    prices: {
      'main/dear': { ...PRICE, tiers: [{ input: '10', output: '10' }] },
      'main/cheap': { ...PRICE, tiers: [{ input: '1', output: '2' }] },
      'less/*': { ...PRICE, tiers: [{ input: '0.1', output: '0.1' }] },
      'old/*': { ...PRICE, tiers: [{ input: '1', output: '2' }] },
    },
    ...config,
  })
  const clock = new FakeClock()
  const planner = new Planner({ random: () => 0.5 })
  const deps = { clock, planner } as unknown as Deps
  return { live, clock, planner, deps }
}

let requests = 0

function plan(deps: Deps, live: Live, body: object, api: 'chat' | 'completions' = 'chat'): Step {
  const messages = [{ role: 'user', content: 'hi' }]
  const call = readCall(api, encode(JSON.stringify(api === 'chat' ? { messages, ...body } : body)))
  requests++
  const planned = planCall({ id: `r${requests}`, live, session: null }, KEY, call, deps.clock.nowMs())
  return nextStep(deps, planned, call, [], new Set())
}

const ids = (step: Step): string[] =>
  step.kind === 'ask' ? step.aims.map(({ facts }) => facts.target.id) : []

function decisionOf(step: Step): Decision {
  if (step.kind === 'wait') throw new Error('it waits')
  return step.decision
}

function refusalOf(
  step: Step,
): Pick<GatewayError, 'code' | 'param' | 'message' | 'retryAfterMs' | 'shouldRetry'> {
  if (step.kind !== 'refuse') throw new Error('it was not refused')
  return step.error
}

describe('a plan', () => {
  test('has the cheapest target first, with its estimate in the books’ currency', () => {
    const { deps, live } = setUp()
    const planned = plan(deps, live, { model: 'assistant', max_tokens: 100 })
    expect(ids(planned)).toEqual(['main/cheap', 'main/dear'])
    const [cheap, dear] = decisionOf(planned).candidates.map((one) => Number(one.estimatedCost))
    expect(cheap).toBeGreaterThan(0.0002)
    expect(cheap).toBeLessThan(dear ?? 0)
  })

  test('leaves out targets that cannot do what is asked for', () => {
    const { deps, live } = setUp()
    const planned = plan(deps, live, { model: 'mixed', tools: [{ type: 'function' }] })
    expect(ids(planned)).toEqual(['main/cheap'])
    expect(decisionOf(planned).excluded).toMatchObject([{ target: 'less/x', reason: 'capability' }])
    expect(ids(plan(deps, live, { model: 'mixed' }))).toEqual(['less/x', 'main/cheap'])
  })

  test('asks a stream-only target for an unstreamed answer: it is collected', () => {
    const { deps } = setUp()
    const live = liveWith([{ ...vendor, cannot: ['unstreamed'] }], {
      providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
      models: { m: { targets: ['main/x'], policy: 'any' } },
      policies: { any: { sort: 'latency' } },
    })
    expect(ids(plan(deps, live, { model: 'm' }))).toEqual(['main/x'])
  })

  test('gives a prompt that chat has no words for to targets with an endpoint of their own', () => {
    const { deps, live } = setUp()
    expect(ids(plan(deps, live, { model: 'texts', prompt: [1, 2] }, 'completions'))).toEqual(['old/cheap'])
    expect(ids(plan(deps, live, { model: 'texts', prompt: 'hi' }, 'completions')).toSorted()).toEqual([
      'main/cheap',
      'old/cheap',
    ])
  })
})

describe('when nothing is left the client is told why', () => {
  const { deps, live, planner, clock } = setUp()

  test('no target has a key', () => {
    expect(refusalOf(plan(deps, live, { model: 'dead' }))).toMatchObject({
      code: 'no_target',
      shouldRetry: false,
    })
  })

  test('no target can do it: which field asks for it', () => {
    const refusal = refusalOf(plan(deps, live, { model: 'poor', n: 2 }))
    expect(refusal).toMatchObject({ code: 'unsupported_parameter', param: 'n' })
    expect(refusal.message).toContain('"poor"')
  })

  test('no window is large enough', () => {
    const messages = [{ role: 'user', content: 'word '.repeat(1_000) }]
    expect(refusalOf(plan(deps, live, { model: 'small', messages }))).toMatchObject({
      code: 'context_length_exceeded',
      param: 'messages',
    })
  })

  test('no target takes such a prompt', () => {
    const planned = plan(deps, live, { model: 'assistant', prompt: [1, 2] }, 'completions')
    expect(refusalOf(planned)).toMatchObject({ code: 'unsupported_parameter', param: 'prompt' })
  })

  test('every target is at its rate limit: how long until the first is back', () => {
    for (const [id, waitMs] of [
      ['main/dear', 39_000],
      ['main/cheap', 34_000],
    ] as const) {
      expect(ids(plan(deps, live, { model: id }))).toEqual([id])
      const request = `r${requests}`
      planner.attemptStarted(request, id, null, clock.nowMs())
      planner.failed(request, id, 'rate_limit', waitMs, clock.nowMs())
    }
    clock.advance(1_000)
    expect(refusalOf(plan(deps, live, { model: 'assistant' }))).toMatchObject({
      code: 'upstream_rate_limited',
      retryAfterMs: 33_000,
    })
    clock.advance(33_000)
    expect(ids(plan(deps, live, { model: 'assistant' }))).toEqual(['main/cheap'])
  })

  test('the decision is recorded all the same', () => {
    const planned = plan(deps, live, { model: 'poor', n: 2 })
    expect(decisionOf(planned).excluded.map((one) => one.reason)).toEqual(['capability', 'capability'])
  })
})
