// The parts of the routing benchmark's world: chance, limits, caches, prices, shifts.

import { describe, expect, test } from 'vitest'
import { EventQueue } from '../../bench/routing/event-queue.ts'
import { FITTING, factorShare, MISSPECIFIED } from '../../bench/routing/physics.ts'
import { listCost, PrefixCache } from '../../bench/routing/prefix-cache.ts'
import { DRAW, draw, normalQuantile, normalShare } from '../../bench/routing/random.ts'
import { planShifts } from '../../bench/routing/shifts.ts'
import { MIXED_POOL, type SimulatedTarget } from '../../bench/routing/targets.ts'
import { TokenBucket } from '../../bench/routing/token-bucket.ts'
import { loadTrace } from '../../bench/routing/traces.ts'
import { emptyOutcome, START_AT, World } from '../../bench/routing/world.ts'
import { setupNamed } from './support.ts'

const targetNamed = (id: string): SimulatedTarget =>
  MIXED_POOL.find((target) => target.id === id) as SimulatedTarget

describe('chance', () => {
  test('follows from its names alone and is even', () => {
    expect(draw(11, 5, 3, 0, DRAW.noise)).toBe(draw(11, 5, 3, 0, DRAW.noise))
    const numbers = Array.from({ length: 20_000 }, (_, index) => draw(11, index, 3, 0, DRAW.noise))
    const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length
    expect(mean).toBeCloseTo(0.5, 2)
    expect(numbers.filter((value) => value < 0.01).length / numbers.length).toBeCloseTo(0.01, 2)
  })

  test('differs by seed, request, target, ordinal and purpose', () => {
    const numbers = [
      draw(11, 5, 3, 0, DRAW.noise),
      draw(12, 5, 3, 0, DRAW.noise),
      draw(11, 6, 3, 0, DRAW.noise),
      draw(11, 5, 4, 0, DRAW.noise),
      draw(11, 5, 3, 1, DRAW.noise),
      draw(11, 5, 3, 0, DRAW.tail),
    ]
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  test.each([0.001, 0.02, 0.3, 0.5, 0.9, 0.999])('the quantile of %f is undone by the share', (share) => {
    expect(normalShare(normalQuantile(share))).toBeCloseTo(share, 6)
  })

  test.each([FITTING, MISSPECIFIED])('the $name noise has the shares that oracles are told', (physics) => {
    const target = { ...targetNamed('qianfan/ernie-speed-pro'), tailShare: 0 }
    const count = 20_000
    for (const bar of [0.7, 1, 1.5, 2.2]) {
      let under = 0
      for (let index = 0; index < count; index += 1) {
        const factor = physics.noise(
          target,
          draw(1, index, 0, 0, DRAW.noise),
          draw(1, index, 0, 0, DRAW.mode),
        )
        if (factor <= bar) under += 1
      }
      expect(under / count).toBeCloseTo(factorShare(physics, target, bar), 1.7)
    }
  })
})

describe('events', () => {
  test('come out by time, and in the order of entry at one instant', () => {
    const queue = new EventQueue()
    const entered = Array.from({ length: 3000 }, (_, index) => ({
      at: Math.floor(draw(1, index, 0, 0, DRAW.trace) * 500),
      index,
    }))
    for (const { at, index } of entered) queue.push(at, 1, index)
    const left: number[] = []
    while (queue.nextAt < Number.POSITIVE_INFINITY) queue.pop((_, __, subject) => left.push(subject))
    const sorted = entered.toSorted((one, other) => one.at - other.at || one.index - other.index)
    expect(left).toEqual(sorted.map(({ index }) => index))
  })
})

describe('a token bucket', () => {
  test('lets a burst through and then its rate', () => {
    const bucket = new TokenBucket(60, 10, 0)
    for (let taken = 0; taken < 10; taken += 1) {
      expect(bucket.has(1, 0)).toBe(true)
      bucket.take(1, 0)
    }
    expect(bucket.has(1, 999)).toBe(false)
    expect(bucket.waitMs(1, 0)).toBe(1000)
    expect(bucket.has(1, 1000)).toBe(true)
  })

  test('never fills above its burst, may owe, and never lets more than a burst through', () => {
    const bucket = new TokenBucket(600, 10, 0)
    expect(bucket.has(101, 3_600_000)).toBe(false)
    expect(bucket.waitMs(101, 0)).toBe(Number.POSITIVE_INFINITY)
    bucket.take(150, 0)
    expect(bucket.waitMs(10, 0)).toBe(6000)
  })
})

describe('a prefix cache', () => {
  const prefix = Int32Array.from([0, 1, 2, 3])

  test('holds what was stored until its time is over', () => {
    const cache = new PrefixCache(10, 1000)
    expect(cache.heldTokens(prefix, 2000, 5)).toBe(0)
    cache.store(Int32Array.from([0, 1, 7]), 5)
    expect(cache.heldTokens(prefix, 2000, 6)).toBe(1024)
    expect(cache.heldTokens(prefix, 2000, 1005)).toBe(0)
  })

  test('holds no more tokens than the prompt has', () => {
    const cache = new PrefixCache(10, 1000)
    cache.store(prefix, 0)
    expect(cache.heldTokens(prefix, 1800, 1)).toBe(1800)
  })

  test('a later block counts only with those before it', () => {
    const cache = new PrefixCache(10, 1000)
    cache.store(Int32Array.from([1, 2]), 0)
    expect(cache.heldTokens(prefix, 2000, 1)).toBe(0)
  })
})

describe('prices', () => {
  test.each([
    { inputTokens: 32_000, expected: (32_000 * 0.8 + 100 * 8) / 1e6 },
    { inputTokens: 32_001, expected: (32_001 * 1.2 + 100 * 16) / 1e6 },
    { inputTokens: 200_000, expected: (200_000 * 2.4 + 100 * 24) / 1e6 },
  ])('the tier of $inputTokens tokens prices all of the request', ({ inputTokens, expected }) => {
    expect(listCost(targetNamed('ark/doubao-seed'), inputTokens, 0, 100)).toBeCloseTo(expected, 12)
  })

  test('cached tokens have a price of their own', () => {
    expect(listCost(targetNamed('bailian/qwen-flash'), 10_000, 4000, 0)).toBeCloseTo(
      (6000 * 0.15 + 4000 * 0.03) / 1e6,
      12,
    )
  })

  test('off-peak prices and price rises hold from their minute on', () => {
    const world = new World(setupNamed('more'), 11)
    const deepseek = world.targets.findIndex(({ id }) => id === 'deepseek/deepseek')
    const offPeakAt = START_AT + 45 * 60_000
    expect(world.priceFactor(deepseek, offPeakAt - 1)).toBe(1)
    expect(world.priceFactor(deepseek, offPeakAt)).toBe(0.5)
    const rise = world.shifts.find(({ kind }) => kind === 'price')
    expect(rise).toBeDefined()
    if (rise === undefined) return
    expect(world.priceFactor(rise.target, rise.startAt - 1)).toBe(1)
    expect(world.priceFactor(rise.target, rise.startAt)).toBe(3)
    expect(rise.startAt % 60_000).toBe(0)
  })
})

describe('shifts', () => {
  test.each([1, 2, 11, 12, 13])('seed %d gives four on distinct targets, one after another', (seed) => {
    const shifts = planShifts(MIXED_POOL, seed, 0, 57 * 60_000, false)
    expect(shifts.map(({ kind }) => kind).sort()).toEqual(['outage', 'slow', 'slow', 'storm'])
    expect(new Set(shifts.map(({ target }) => target)).size).toBe(4)
    for (const [index, shift] of shifts.entries())
      expect(shift.startAt).toBeGreaterThanOrEqual(shifts[index - 1]?.endAt ?? 0)
  })

  test('a slow target is slow, one in outage answers nothing, a storm rejects most', () => {
    const world = new World(setupNamed('code'), 11)
    const outcome = emptyOutcome()
    for (const { kind, target, startAt, endAt } of world.shifts) {
      const middle = (startAt + endAt) / 2
      if (kind === 'slow') {
        const ratio = world.medianMs(target, 1000, endAt - 1) / world.medianMs(target, 1000, endAt + 1)
        expect(ratio).toBeGreaterThan(4)
        continue
      }
      let refused = 0
      for (let request = 0; request < 500; request += 1) {
        world.preview(request, target, 0, middle, outcome)
        if (outcome.error !== null) refused += 1
      }
      if (kind === 'outage') expect(refused).toBe(500)
      if (kind === 'storm') expect(refused / 500).toBeCloseTo(0.8, 1)
    }
  })
})

describe('traces', () => {
  test.each([
    { name: 'azure-code', count: 8819, hasPrefixes: false },
    { name: 'mooncake', count: 12_031, hasPrefixes: true },
    { name: 'azure-conv-like', count: 19_366, hasPrefixes: false },
  ] as const)('$name is whole and in order', ({ name, count, hasPrefixes }) => {
    const trace = loadTrace(name)
    expect(trace.count).toBe(count)
    expect(trace.prefixes !== null).toBe(hasPrefixes)
    for (let index = 1; index < count; index += 1)
      if ((trace.arrivalMs[index] ?? 0) < (trace.arrivalMs[index - 1] ?? 0)) throw new Error(`${index}`)
  })

  test('prefix blocks cover the prompt', () => {
    const { prefixes, inputTokens } = loadTrace('mooncake')
    expect(prefixes?.[1]?.slice(0, 3)).toEqual(Int32Array.from([0, 14, 15]))
    for (const [index, prefix] of (prefixes ?? []).entries())
      if (prefix.length !== Math.ceil((inputTokens[index] ?? 0) / 512)) throw new Error(`${index}`)
  })
})
