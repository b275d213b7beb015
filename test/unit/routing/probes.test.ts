// What single requests at a doubtful target tell of it: which of them may be a probe, and what their silence says.

import { describe, expect, test } from 'vitest'
import { flatQuote, Play, QUICK, target } from './planner-driver.ts'

const cheap = target('a/cheap', { quote: flatQuote(0.2, 0.05, 0.6) })
const dear = target('b/dear', { quote: flatQuote(2, 0.4, 8) })
const quick = { ttftMs: 500 }
/** Takes 14.9 s where it takes 100 ms a thousand tokens; it is given up after 15 s. */
const HUGE = { inputTokens: 146_000, windowTokens: 146_000 }

/** A play in which both are known for prompts of all lengths. */
function known(): Play {
  const play = new Play([cheap, dear])
  for (let round = 0; round < 60; round++) {
    const inputTokens = [500, 2_000, 8_000, 30_000, 146_000][round % 5] ?? 0
    for (const { id } of play.targets) send(play, id, { ttftMs: 300 + inputTokens / 10 }, inputTokens)
    play.nowMs += 20_000
  }
  return play
}

function send(play: Play, id: string, behaviour: Parameters<Play['attempt']>[2], inputTokens = 1_000): void {
  const request = play.request({ inputTokens, windowTokens: inputTokens })
  play.planner.decide(request, play.nowMs)
  play.attempt(request.id, id, behaviour, play.nowMs)
}

function eject(play: Play): void {
  for (let failure = 0; failure < 3; failure++) send(play, 'a/cheap', { error: 'server' })
  expect(play.planner.breakerState('a/cheap', play.nowMs)).toBe('open')
  play.nowMs += 5_100
}

test('the timeout of a prompt that usually takes as long is not held against the target; that of a short one is', () => {
  const play = known()
  for (let round = 0; round < 4; round++) {
    send(play, 'a/cheap', { error: 'timeout', afterMs: 15_000 }, HUGE.inputTokens)
    play.nowMs += 15_000
  }
  const { state, failureChance } = play.planner.targetStatus(cheap, play.nowMs)
  expect(state).toBe('closed')
  expect(failureChance).toBeLessThan(0.1)
  for (let round = 0; round < 3; round++) send(play, 'a/cheap', { error: 'timeout', afterMs: 15_000 })
  expect(play.planner.breakerState('a/cheap', play.nowMs + 15_000)).toBe('open')
})

test('a prompt that would hardly answer before it is given up is no probe of an ejected target', () => {
  const play = known()
  eject(play)
  expect(play.decide(HUGE).order).toEqual(['b/dear'])
  expect(play.planner.explainLast(play.nowMs).excluded).toMatchObject([
    { target: 'a/cheap', reason: 'breaker_open', detail: 'a prompt that takes so long is no probe of it' },
  ])
  expect(play.decide().order).toContain('a/cheap')
})

test('with nothing else left, such a prompt may go there all the same', () => {
  const play = known()
  eject(play)
  const alone = new Play([cheap])
  const request = { ...alone.request(HUGE), id: 'alone' }
  expect(play.planner.decide(request, play.nowMs).order).toEqual(['a/cheap'])
})

describe('a failure at once and silence speak for the same outage', () => {
  function doubtOf(failures: number): number {
    const play = known()
    for (let round = 0; round < 10; round++) send(play, 'a/cheap', quick)
    play.nowMs += 1_000
    for (let index = 0; index < failures; index++) send(play, 'a/cheap', { error: 'connection', afterMs: 10 })
    const waiting = play.request()
    play.planner.decide(waiting, play.nowMs)
    play.planner.attemptStarted(waiting.id, 'a/cheap', null, play.nowMs)
    play.nowMs += 900
    return play.planner.targetStatus(cheap, play.nowMs).slowness
  }

  test('so that both together weigh more than either', () => {
    expect(doubtOf(1)).toBeGreaterThan(1.1 * doubtOf(0))
  })
})

describe('where nothing in time is to be refused', () => {
  const late = { ttftMs: 4_000 }
  const strict = { ...QUICK, onNoCandidate: 'reject' as const, explore: { maxShare: 0 } }
  const sorts = ['value', 'latency', 'price'] as const

  test.each(sorts)('sort: %s goes on asking, one request at a time and rarely', (sort) => {
    const play = new Play([cheap, dear], { ...strict, sort })
    for (let round = 0; round < 20; round++) play.run(() => late)
    let served = 0
    for (let round = 0; round < 600; round++) if (play.run(() => late, {}, 500).target !== undefined) served++
    expect(served).toBeGreaterThan(5)
    expect(served).toBeLessThanOrEqual(30)
  })

  test('a probe says that it is one, and no other is sent beside it', () => {
    const play = new Play([cheap, dear], strict)
    for (let round = 0; round < 20; round++) play.run(() => late)
    play.nowMs += 60_000
    const probe = play.request()
    const decision = play.planner.decide(probe, play.nowMs)
    expect(decision).toMatchObject({ explore: true, propensity: 1 })
    expect(decision.order).toHaveLength(1)
    const [chosen = ''] = decision.order
    expect(play.planner.explainLast(play.nowMs)).toMatchObject({
      explored: true,
      sloRelaxed: true,
      candidates: [{ target: chosen, reason: 'explored' }],
    })
    play.planner.attemptStarted(probe.id, chosen, null, play.nowMs)
    for (let second = 0; second < 60; second++)
      expect(play.planner.decide(play.request(), play.nowMs + second * 1_000).order).toEqual([])
    play.planner.failed(probe.id, chosen, 'server', null, play.nowMs + 60_000)
    expect(play.planner.decide({ ...probe, tried: [chosen] }, play.nowMs + 60_000).order).toEqual([])
  })

  test.each(sorts)('sort: %s finds out within two minutes that a target has recovered', (sort) => {
    const play = new Play([cheap, dear], { ...strict, sort })
    for (let round = 0; round < 40; round++) play.run(() => quick)
    for (let round = 0; round < 600; round++) play.run(() => late, {}, 500)
    for (let round = 0; round < 60; round++) play.run(() => quick)
    let served = 0
    for (let round = 0; round < 20; round++) if (play.run(() => quick).target !== undefined) served++
    expect(served).toBe(20)
  })
})
