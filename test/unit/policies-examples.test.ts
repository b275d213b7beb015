// Each file of config/policies does what it is for, in the planner of the gateway and with the vendors' own prices.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Decision } from '#core/decision.ts'
import type { KeySettings } from '#core/settings.ts'
import type { Deps } from '#pipeline/context.ts'
import { ANYONE } from '#pipeline/explain.ts'
import { readCall } from '#pipeline/ingress.ts'
import type { Live } from '#pipeline/live.ts'
import { nextStep, planCall, type Step } from '#pipeline/plan.ts'
import { Planner } from '#routing/planner.ts'
import { type ProviderFolders, readProviderFolders } from '#runtime/node/providers.ts'
import { readConfig } from '#runtime/node/read-config.ts'
import { createRandom } from '#simulator/random.ts'
import { encode, FakeClock } from './pipeline/support.ts'

const FOLDER = join(import.meta.dirname, '../../config/policies')
const FILES = readdirSync(FOLDER)
const PROVIDER_KEYS = ['ARK', 'DASHSCOPE', 'DASHSCOPE_INTL', 'DEEPSEEK', 'HUNYUAN', 'QIANFAN', 'ZHIPU']
const ENV = Object.fromEntries(PROVIDER_KEYS.map((name) => [`${name}_API_KEY`, 'dummy-0123456789']))

const KEY: KeySettings = { ...ANYONE, name: 'demo' }

let folders: ProviderFolders
beforeAll(async () => {
  folders = await readProviderFolders()
})

const load = (file: string, env: Record<string, string> = ENV): Promise<Live> =>
  readConfig(join(FOLDER, file), env, folders)

type Asked = Step & { readonly kind: 'ask' }

interface Options {
  readonly session?: string
  readonly key?: KeySettings
  readonly tried?: readonly string[]
}

type Speeds = Readonly<Record<string, { readonly ttftMs: number; readonly tokensPerSecond?: number }>>

/** A gateway's planner over an example, with a clock of its own. */
class Example {
  readonly clock = new FakeClock()
  readonly planner = new Planner({ random: createRandom(7).unit })
  readonly live: Live
  readonly #deps: Deps
  #requests = 0

  constructor(live: Live) {
    this.live = live
    this.#deps = { clock: this.clock, planner: this.planner } as unknown as Deps
  }

  /** To an instant after the clock's own. */
  goTo(instant: string): void {
    this.clock.advance(Date.parse(instant) - this.clock.nowMs())
  }

  step(body: object, { session, key = KEY, tried = [] }: Options = {}): { id: string; step: Step } {
    const messages = [{ role: 'user', content: 'What is the weather like tomorrow?' }]
    const call = readCall('chat', encode(JSON.stringify({ stream: true, messages, ...body })))
    this.#requests++
    const id = `r${this.#requests}`
    const plan = planCall({ id, live: this.live, session: session ?? null }, key, call, this.clock.nowMs())
    return { id, step: nextStep(this.#deps, plan, call, tried, new Set()) }
  }

  order(body: object, options: Options = {}): readonly string[] {
    const { id, step } = this.step(body, options)
    this.planner.abandoned(id, false, this.clock.nowMs())
    return idsOf(step)
  }

  /** A whole request, answered as its target usually does. Returns the target. */
  play(body: object, of: Speeds, options: Options = {}): string {
    const { id, step } = this.step(body, options)
    const target = idsOf(step)[0] ?? 'none'
    const { ttftMs, tokensPerSecond = 60 } = of[target] ?? { ttftMs: 500 }
    this.planner.attemptStarted(id, target, null, this.clock.nowMs())
    this.clock.advance(ttftMs)
    this.planner.firstToken(id, target, this.clock.nowMs())
    this.clock.advance((1000 * 60) / tokensPerSecond)
    this.planner.finished(id, target, { cachedTokens: 0, outputTokens: 60 }, this.clock.nowMs())
    this.clock.advance(200)
    return target
  }
}

const idsOf = (step: Step): readonly string[] =>
  step.kind === 'ask' ? step.aims.map(({ facts }) => facts.target.id) : []

function decisionOf(step: Step): Decision {
  if (step.kind === 'wait') throw new Error('it waits')
  return step.decision
}

function reasonsOf(step: Step): Readonly<Record<string, string>> {
  return Object.fromEntries(decisionOf(step).excluded.map(({ target, reason }) => [target, reason]))
}

function asked(step: Step): Asked {
  if (step.kind !== 'ask') throw new Error(`it is asked nowhere: ${step.kind}`)
  return step
}

describe.each(FILES)('%s', (file) => {
  test('is taken as it stands, without any key in the environment', async () => {
    const { settings } = await load(file, {})
    expect(settings.models.size).toBeGreaterThan(0)
  })

  test('has a price for every target, and no target that nobody can choose', async () => {
    const live = await load(file)
    const [notice, ...others] = live.settings.notices
    expect(notice).toContain('only those made by `sluice keys create`')
    expect(others).toEqual([])
  })
})

test('cheapest.yaml orders by what this request costs, and leaves out what is too dear', async () => {
  const example = new Example(await load('cheapest.yaml'))
  const { step } = example.step({ model: 'assistant', max_tokens: 500 })
  expect(idsOf(step)[0]).toBe('qwen/qwen-flash')
  const costs = decisionOf(step).candidates.map(({ estimatedCost }) => Number(estimatedCost))
  expect(costs).toEqual(costs.toSorted((a, b) => a - b))
  // However slow it is: nothing is in a hurry.
  const slow = { 'qwen/qwen-flash': { ttftMs: 9_000 } }
  const went = Array.from({ length: 5 }, () => example.play({ model: 'assistant' }, slow))
  expect(new Set(went)).toEqual(new Set(['qwen/qwen-flash']))
})

test('cheapest.yaml asks nobody above its bound: a long prompt has another tier', async () => {
  const example = new Example(await load('cheapest.yaml'))
  // Above 128,000 tokens Doubao writes at 24 CNY per million and Qwen at 6 or more.
  const messages = [{ role: 'user', content: '天'.repeat(200_000) }]
  const { step } = example.step({ model: 'assistant', messages })
  const reasons = reasonsOf(step)
  expect(reasons['doubao/doubao-seed-1-6-251015']).toBe('max_price')
  expect(idsOf(step).length).toBeGreaterThan(0)
})

describe('fastest.yaml', () => {
  const speeds = {
    'qwen/qwen-flash': { ttftMs: 400, tokensPerSecond: 150 },
    'doubao/doubao-seed-1-6-flash-250828': { ttftMs: 700, tokensPerSecond: 60 },
    'ernie/ernie-4.5-turbo-128k': { ttftMs: 200, tokensPerSecond: 40 },
  }

  async function trained(): Promise<Example> {
    const example = new Example(await load('fastest.yaml'))
    for (let round = 0; round < 10; round++) {
      for (const model of Object.keys(speeds)) example.play({ model }, speeds)
    }
    return example
  }

  test('`fast` goes where the first token comes first, though it is the dearest', async () => {
    const example = await trained()
    expect(example.order({ model: 'fast' })).toEqual([
      'ernie/ernie-4.5-turbo-128k',
      'qwen/qwen-flash',
      'doubao/doubao-seed-1-6-flash-250828',
    ])
  })

  test('`fast` finds that one by itself, though the first it asks is quicker than a guess', async () => {
    const example = new Example(await load('fastest.yaml'))
    for (let round = 0; round < 60; round++) example.play({ model: 'fast' }, speeds)
    expect(example.order({ model: 'fast' })[0]).toBe('ernie/ernie-4.5-turbo-128k')
  })

  test('`writer` goes where most tokens per second come from', async () => {
    const example = await trained()
    expect(example.order({ model: 'writer' })[0]).toBe('qwen/qwen-flash')
  })
})

describe('voice-agent.yaml', () => {
  const usual = { 'qwen/qwen-flash': { ttftMs: 300 }, 'qwen/qwen-plus': { ttftMs: 400 } }

  function trained(live: Live): Example {
    const example = new Example(live)
    for (let round = 0; round < 20; round++) {
      for (const model of Object.keys(usual)) example.play({ model }, usual)
    }
    return example
  }

  test('has a hard bar for the first token, and none of its targets thinks first', async () => {
    const live = await load('voice-agent.yaml')
    expect(live.policy('voice').timeouts).toMatchObject({ ttftMs: 2_500 })
    const targets = live.settings.models.get('voice')?.targets ?? []
    expect(targets.filter((target) => live.factsOf(target).thinksByDefault)).toEqual([])
  })

  test('takes the cheapest that is in time, and leaves it within a few turns when it is late', async () => {
    const example = trained(await load('voice-agent.yaml'))
    expect(example.order({ model: 'voice' })[0]).toBe('qwen/qwen-flash')
    const late = { ...usual, 'qwen/qwen-flash': { ttftMs: 1_800 } }
    for (let round = 0; round < 3; round++) example.play({ model: 'voice' }, late)
    // One of them may be a try whether it has become quick again.
    const went = Array.from({ length: 5 }, () => example.order({ model: 'voice' })[0])
    expect(went.filter((target) => target === 'qwen/qwen-flash').length).toBeLessThanOrEqual(1)
  })

  test('asks a second target before the bar when the first one hangs', async () => {
    const example = trained(await load('voice-agent.yaml'))
    const { id, step } = example.step({ model: 'voice' })
    const { hedgeAfterMs } = asked(step)
    const first = idsOf(step)[0] ?? ''
    expect(hedgeAfterMs).toBeGreaterThan(0)
    expect(hedgeAfterMs).toBeLessThan(700)
    example.planner.attemptStarted(id, first, null, example.clock.nowMs())
    example.clock.advance(hedgeAfterMs ?? 0)
    const second = example.planner.hedge(id, example.clock.nowMs())?.target
    expect(example.live.settings.models.get('voice')?.targets.map((target) => target.id)).toContain(second)
    expect(second).not.toBe(first)
  })
})

describe('batch-at-night.yaml', () => {
  // A Wednesday and a Sunday, in Beijing.
  test.each([
    { at: '2026-11-25T02:00:00+08:00', first: 'local/qwen3-32b', why: 'own hardware is idle' },
    { at: '2026-11-25T12:30:00+08:00', first: 'deepseek/deepseek-v4-pro', why: 'a lunch break' },
    { at: '2026-11-25T10:00:00+08:00', first: 'zhipu/glm-5.1', why: 'DeepSeek bills twice as much' },
    { at: '2026-11-25T20:00:00+08:00', first: 'deepseek/deepseek-v4-pro', why: 'the evening' },
    { at: '2026-11-29T10:00:00+08:00', first: 'deepseek/deepseek-v4-pro', why: 'a Sunday' },
  ])('`batch` goes to $first at $at: $why', async ({ at, first }) => {
    const example = new Example(await load('batch-at-night.yaml'))
    example.goTo(at)
    expect(example.order({ model: 'batch', max_tokens: 1_000 })[0]).toBe(first)
  })

  test('`night` is refused by day, for its price, and served at night by the same planner', async () => {
    const example = new Example(await load('batch-at-night.yaml'))
    example.goTo('2026-11-25T10:00:00+08:00')
    const { step } = example.step({ model: 'night' })
    expect(reasonsOf(step)).toEqual({ 'deepseek/deepseek-v4-pro': 'max_price' })
    expect(step).toMatchObject({ kind: 'refuse', error: { code: 'no_target' } })
    example.goTo('2026-11-26T02:00:00+08:00')
    expect(example.order({ model: 'night' })).toEqual(['deepseek/deepseek-v4-pro'])
  })

  test('both have patience', async () => {
    const live = await load('batch-at-night.yaml')
    for (const name of ['cheapest_now', 'only_when_cheap']) {
      expect(live.policy(name).retry.attempts).toBe(6)
      expect(live.policy(name).timeouts.totalMs).toBe(3_600_000)
    }
  })
})

describe('tools-only.yaml', () => {
  const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }]

  test('sends a request with tools never where they would be lost, whatever has failed', async () => {
    const example = new Example(await load('tools-only.yaml'))
    const { step } = example.step({ model: 'agent', tools })
    expect(idsOf(step)).toHaveLength(3)
    expect(idsOf(step)).not.toContain('local/qwen3-8b')
    expect(reasonsOf(step)).toEqual({ 'local/qwen3-8b': 'capability' })
    for (const [place] of idsOf(step).entries()) {
      const tried = idsOf(step).slice(0, place + 1)
      expect(example.order({ model: 'agent', tools }, { tried })).not.toContain('local/qwen3-8b')
    }
  })

  test('uses the cheapest for turns without tools', async () => {
    const example = new Example(await load('tools-only.yaml'))
    expect(example.order({ model: 'agent' })).toContain('local/qwen3-8b')
  })
})

describe('data-in-country.yaml', () => {
  const abroad = 'qwen-intl/qwen-plus'
  const unknown = 'ernie/ernie-4.5-turbo-128k'

  test('leaves out what is abroad or of which nothing is known, with the reason', async () => {
    const example = new Example(await load('data-in-country.yaml'))
    const { step } = example.step({ model: 'assistant' })
    expect(idsOf(step).toSorted()).toEqual(['local/qwen3-32b', 'qwen/qwen-plus'])
    expect(reasonsOf(step)).toEqual({ [abroad]: 'data_policy', [unknown]: 'data_policy' })
    expect(
      example.order({ model: 'assistant' }, { tried: ['qwen/qwen-plus', 'local/qwen3-32b'] }),
    ).not.toContain(abroad)
  })

  test('lets no request ask for it: not by an order, and not by name with a key of the team', async () => {
    const example = new Example(await load('data-in-country.yaml'))
    expect(example.order({ model: 'assistant', provider: { order: ['qwen-intl'] } })).not.toContain(abroad)
    const team = example.live.settings.teams.get('inland')
    const key = { ...KEY, team: 'inland', dataPolicies: team?.dataPolicies ?? [] }
    const { step } = example.step({ model: abroad }, { key })
    expect(step).toMatchObject({ kind: 'refuse', error: { code: 'no_target' } })
  })
})

test('sticky-sessions.yaml shares sessions out by weight, and each stays where it went', async () => {
  const example = new Example(await load('sticky-sessions.yaml'))
  const homes = new Map<string, string>()
  for (let index = 0; index < 60; index++) {
    homes.set(`s${index}`, example.play({ model: 'companion' }, {}, { session: `s${index}` }))
  }
  for (let turn = 0; turn < 2; turn++) {
    for (const [session, home] of homes) {
      // A target that is slow now is no reason to leave.
      const slow = { [home]: { ttftMs: 4_000 } }
      expect(example.play({ model: 'companion' }, slow, { session })).toBe(home)
    }
  }
  const counts = Object.groupBy(homes.values(), (home) => home)
  expect(Object.keys(counts)).toHaveLength(3)
  // 0.5 of 60, give or take four standard deviations.
  expect(Math.abs((counts['qwen/qwen-plus']?.length ?? 0) - 30)).toBeLessThan(16)
})

test('sticky-sessions.yaml moves a session when its target fails, and leaves it there', async () => {
  const example = new Example(await load('sticky-sessions.yaml'))
  const home = example.play({ model: 'companion' }, {}, { session: 'one' })
  const { id, step } = example.step({ model: 'companion' }, { session: 'one' })
  expect(idsOf(step)[0]).toBe(home)
  const now = (): number => example.clock.nowMs()
  example.planner.attemptStarted(id, home, null, now())
  example.planner.failed(id, home, 'server', null, now())
  example.planner.abandoned(id, true, now())
  example.clock.advance(10)
  const other = example.order({ model: 'companion' }, { session: 'one', tried: [home] })[0] ?? ''
  expect(other).not.toBe(home)
  const moved = example.step({ model: 'companion' }, { session: 'one', tried: [home] })
  const target = idsOf(moved.step)[0] ?? ''
  example.planner.attemptStarted(moved.id, target, null, now())
  example.clock.advance(300)
  example.planner.firstToken(moved.id, target, now())
  example.planner.finished(moved.id, target, { cachedTokens: 0, outputTokens: 9 }, now())
  example.clock.advance(1_000)
  for (let turn = 0; turn < 3; turn++) {
    expect(example.play({ model: 'companion' }, {}, { session: 'one' })).toBe(target)
  }
})

test('interactive.yaml takes the cheapest that is usually in time, not the cheapest', async () => {
  const example = new Example(await load('interactive.yaml'))
  const speeds = {
    'doubao/doubao-seed-1-6-flash-250828': { ttftMs: 1_600 },
    'qwen/qwen-flash': { ttftMs: 1_500 },
    'ernie/ernie-4.5-turbo-128k': { ttftMs: 350 },
  }
  for (let round = 0; round < 40; round++) example.play({ model: 'chat' }, speeds)
  const went = Array.from({ length: 20 }, () => example.play({ model: 'chat' }, speeds))
  const inTime = went.filter((target) => target === 'ernie/ernie-4.5-turbo-128k')
  expect(inTime.length).toBeGreaterThanOrEqual(17)
})

test('own-first.yaml asks a vendor only when the own model is no use', async () => {
  const example = new Example(await load('own-first.yaml'))
  expect(example.order({ model: 'assistant' })).toEqual(['local/qwen3-8b', 'qwen/qwen-flash'])
  expect(example.order({ model: 'assistant' }, { tried: ['local/qwen3-8b'] })[0]).toBe('qwen/qwen-flash')
})
