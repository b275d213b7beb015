import { describe, expect, test } from 'vitest'
import { admits } from '#routing/breaker.ts'
import { HealthBoard, TARGETS_MAX, TargetHealth } from '#routing/health.ts'

const RULES = { consecutive5xx: 1, baseEjectionMs: 5_000, maxEjectionMs: 60_000 }

describe('the health of a target', () => {
  test('counts what is in flight, however each attempt ends', () => {
    const health = new TargetHealth()
    for (let sent = 0; sent < 3; sent++) health.sent(0)
    expect(health.inFlight).toBe(3)
    health.succeeded()
    health.neutral()
    health.failed('server', RULES, 0, null)
    expect(health.inFlight).toBe(0)
  })

  test('lets exactly one of many waiting requests probe', () => {
    const health = new TargetHealth()
    health.sent(0)
    health.failed('server', RULES, 0, null)
    expect(admits(health.breaker(4_999))).toBe(false)
    const admitted = Array.from({ length: 20 }).filter(() => {
      const admitted = admits(health.breaker(6_000))
      if (admitted) health.sent(6_000)
      return admitted
    })
    expect(admitted).toHaveLength(1)
    health.succeeded()
    expect(health.breaker(6_001).state).toBe('closed')
  })

  test('comes back when the last resort answers', () => {
    const health = new TargetHealth()
    health.sent(0)
    health.failed('server', RULES, 0, null)
    // Every target is ejected, so this one is tried all the same.
    health.sent(1_000)
    health.succeeded()
    expect(health.breaker(1_001).state).toBe('closed')
  })

  test('keeps its cooldown when a long stream of before ends well', () => {
    const health = new TargetHealth()
    health.sent(0)
    health.sent(0)
    health.failed('rate_limit', RULES, 0, 30_000)
    health.succeeded()
    expect(admits(health.breaker(29_999))).toBe(false)
    expect(admits(health.breaker(30_000))).toBe(true)
  })
})

describe('the board', () => {
  test('knows each target by its id', () => {
    const board = new HealthBoard()
    board.of('a/x').sent(0)
    expect(board.of('a/x').inFlight).toBe(1)
    expect(board.of('a/y').inFlight).toBe(0)
  })

  test('forgets what a new configuration has no more, and what is to start afresh', () => {
    const board = new HealthBoard()
    for (const target of ['a/x', 'a/y', 'a/z']) board.of(target).sent(0)
    board.keep(new Set(['a/x', 'a/y']))
    board.forget('a/y')
    expect(['a/x', 'a/y', 'a/z'].map((target) => board.of(target).inFlight)).toEqual([1, 0, 0])
  })

  test('holds a bounded number of targets, whatever names clients invent', () => {
    const board = new HealthBoard()
    const first = board.of('a/first')
    for (let index = 1; index < TARGETS_MAX; index++) board.of(`a/${index}`)
    expect(board.of('a/first')).toBe(first)
    const last = board.of('a/last')
    expect(board.of('a/last')).toBe(last)
    expect(board.of('a/first')).not.toBe(first)
  })
})
