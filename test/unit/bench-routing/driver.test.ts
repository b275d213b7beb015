// Runs of the routing benchmark: equal luck, a well-formed protocol, oracles that are ahead.

import { describe, expect, test } from 'vitest'
import { findContender } from '../../bench/routing/contenders.ts'
import { Driver } from '../../bench/routing/driver.ts'
import { gatewayConfig } from '../../bench/routing/gateway-config.ts'
import type { Contender } from '../../bench/routing/policies/contender.ts'
import type { Line, RequestLine } from '../../bench/routing/protocol.ts'
import type { RunRecord } from '../../bench/routing/run-record.ts'
import { play } from '../../bench/routing/runs.ts'
import { attainmentOf, calibrationError } from '../../bench/routing/summary.ts'
import { emptyOutcome, World } from '../../bench/routing/world.ts'
import { fixedOrder, recorded, setupNamed } from './support.ts'

const VALUE_CNY = 0.0045
const SEED = 11

const contenderNamed = (name: string): Contender => findContender(name) as Contender
const run = (name: string, setup = 'code'): Promise<RunRecord> =>
  play(setupNamed(setup), SEED, contenderNamed(name), VALUE_CNY)

describe('luck', () => {
  test.each(['prototype', 'planner'])('the same seed gives the same run of the %s', async (name) => {
    const [one, other] = [await run(name), await run(name)]
    expect(one.costCny).toBe(other.costCny)
    expect(one.ttftMs).toEqual(other.ttftMs)
    expect(one.firstTarget).toEqual(other.firstTarget)
  })

  test('another seed gives another run', async () => {
    const other = await play(setupNamed('code'), 12, contenderNamed('random'), VALUE_CNY)
    expect(other.costCny).not.toBe((await run('random')).costCny)
  })

  test('what a policy did before does not change the luck of an attempt', () => {
    const [fresh, used] = [new World(setupNamed('calm'), SEED), new World(setupNamed('calm'), SEED)]
    new Driver(used, fixedOrder(fresh.targets.map(({ id }) => id).toReversed())).run()
    const [one, other] = [emptyOutcome(), emptyOutcome()]
    for (let request = 0; request < 200; request += 1) {
      const at = fresh.endAt + 60_000
      fresh.preview(request, 0, 0, at, one)
      used.preview(request, 0, 0, at, other)
      expect(one).toEqual(other)
    }
  })
})

describe('oracles', () => {
  test('see more than any baseline', async () => {
    const clairvoyant = await run('oracle')
    const knowing = await run('state-oracle-λ')
    const best = await run('oracle-λ')
    expect(attainmentOf(clairvoyant)).toBeGreaterThan(0.995)
    for (const name of ['random', 'cheapest-static', 'fastest-static', 'openrouter-1/p²', 'disc-ucb']) {
      const baseline = await run(name)
      const regret = (record: RunRecord): number =>
        record.costCny / record.count - VALUE_CNY * attainmentOf(record)
      expect(attainmentOf(baseline)).toBeLessThan(attainmentOf(clairvoyant))
      expect(regret(baseline)).toBeGreaterThan(regret(knowing))
      expect(regret(knowing)).toBeGreaterThan(regret(best))
    }
  })

  test('a clairvoyant meets no failure, and the state oracle keeps its word', async () => {
    expect((await run('oracle')).retries).toBe(0)
    const { predicted, predictedMet } = await run('state-oracle-λ')
    expect(calibrationError(predicted, predictedMet)).toBeLessThan(0.015)
  })
})

describe('the protocol', async () => {
  const { lines, answers, make } = recorded(contenderNamed('prototype'))
  const record = await play(
    setupNamed('mooncake'),
    SEED,
    { name: 'recorded', hasValue: true, kind: 'candidate', make },
    VALUE_CNY,
  )

  test('time never goes back, in whole milliseconds', () => {
    for (const [index, { at }] of lines.entries())
      if (at < (lines[index - 1]?.at ?? 0) || !Number.isInteger(at)) throw new Error(`line ${index}`)
  })

  test('questions are answered, and nothing else is', () => {
    for (const [index, { type, id }] of lines.entries()) {
      const answer = answers[index] ?? null
      const isQuestion = type === 'request' || type === 'hedge?'
      if ((answer !== null) !== isQuestion || (answer !== null && answer.id !== id))
        throw new Error(`line ${index}`)
    }
  })

  test('every attempt begins after its decision and ends once, losers before the winner speaks', () => {
    const open = new Map<string, Set<string>>()
    const answered = new Set<string>()
    for (const line of lines) {
      if (line.type === 'request' || line.type === 'hedge?') continue
      const running = open.get(line.id) ?? new Set()
      open.set(line.id, running)
      if (line.type === 'attempt_started') {
        expect(running.has(line.target)).toBe(false)
        running.add(line.target)
        continue
      }
      expect(running.has(line.target)).toBe(true)
      if (line.type === 'first_token') {
        expect(running.size).toBe(1)
        answered.add(line.id)
      } else {
        running.delete(line.target)
      }
    }
    expect([...open.values()].every((running) => running.size === 0)).toBe(true)
    expect(answered.size).toBe(record.count - record.isFailed.reduce((sum, failed) => sum + failed, 0))
    expect(record.hedges).toBeGreaterThan(0)
  })

  test('a further attempt is a request of the same id that tells what was tried', () => {
    const again = lines.filter(
      (line): line is RequestLine => line.type === 'request' && line.tried !== undefined,
    )
    expect(again.length).toBe(record.retries)
    expect(again.every(({ tried }) => (tried?.length ?? 0) > 0)).toBe(true)
    const started = lines.filter((line: Line) => line.type === 'attempt_started').length
    expect(started).toBe(record.count + record.retries + record.hedges)
  })
})

describe('the driver', () => {
  test('asks again after the wait, without using up an attempt', () => {
    let asked = 0
    const patient = {
      handle: (line: Line) => {
        if (line.type !== 'request') return null
        asked += 1
        return asked % 2 === 1
          ? { id: line.id, order: [], wait_ms: 500 }
          : { id: line.id, order: ['selfhost/vllm'] }
      },
    }
    const record = new Driver(new World(setupNamed('calm'), SEED), patient).run()
    expect(record.waits).toBeGreaterThan(record.count * 0.4)
  })

  test('a refusal is a failed request, and avoidable while a target is up', () => {
    const refusing = { handle: (line: Line) => (line.type === 'request' ? { id: line.id, order: [] } : null) }
    const record = new Driver(new World(setupNamed('calm'), SEED), refusing).run()
    expect(record.isFailedAvoidably.every((failed) => failed === 1)).toBe(true)
    expect(record.costCny).toBe(0)
  })

  test('a hedge that loses is billed for its input', () => {
    const order = ['selfhost/vllm', 'moonshot/kimi']
    const plain = new Driver(new World(setupNamed('calm'), SEED), fixedOrder(order)).run()
    const hedged = new Driver(new World(setupNamed('calm'), SEED), fixedOrder(order, 0)).run()
    expect(hedged.hedges).toBeGreaterThan(0.9 * hedged.count)
    expect(hedged.costCny).toBeGreaterThan(2 * plain.costCny)
    expect(hedged.isMet.reduce((sum, met) => sum + met, 0)).toBeGreaterThan(
      plain.isMet.reduce((sum, met) => sum + met, 0),
    )
  })

  test.each([
    { answer: null, what: 'no answer' },
    { answer: { id: 'r0', order: ['nowhere/none'] }, what: 'an unknown target' },
    { answer: { id: 'other', order: ['selfhost/vllm'] }, what: 'another id' },
  ])('$what is an error, not a failed request', ({ answer }) => {
    const wrong = { handle: (line: Line) => (line.type === 'request' ? answer : null) }
    expect(() => new Driver(new World(setupNamed('calm'), SEED), wrong).run()).toThrow()
  })
})

test('the configuration of a run declares prices, limits and windows of all targets', () => {
  const world = new World(setupNamed('more'), SEED)
  const config = JSON.parse(gatewayConfig(world, VALUE_CNY)) as {
    prices: Record<string, { tiers: object[]; time_bands?: { start: string }[] }>
    models: { chat: { targets: { target: string; limits?: object }[] } }
  }
  expect(config.models.chat.targets.map(({ target }) => target)).toEqual(world.targets.map(({ id }) => id))
  expect(config.models.chat.targets[0]?.limits).toEqual({ rpm: 120, tpm: 800_000 })
  expect(config.prices['deepseek/deepseek']?.time_bands?.[0]?.start).toBe('00:30')
  expect(Object.values(config.prices).filter(({ time_bands: bands }) => bands !== undefined)).toHaveLength(2)
})
