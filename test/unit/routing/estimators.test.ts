import { describe, expect, test } from 'vitest'
import { Noise } from '#routing/noise.ts'
import { normalCdf, normalDensity } from '#routing/normal.ts'
import { Odds } from '#routing/odds.ts'
import { OutputLength } from '#routing/output-length.ts'
import { PrefixLog } from '#routing/prefixes.ts'
import { Recent } from '#routing/recent.ts'
import { SpeedModel } from '#routing/speed.ts'
import { DEFAULT_PRIOR, TtftModel, type Waiting } from '#routing/ttft.ts'
import { Worth } from '#routing/worth.ts'
import { createRandom } from '#simulator/random.ts'
import { NO_SLO } from './policy.ts'

const START = 1_700_000_000_000

test.each([
  [0, 0.5],
  [1, 0.841345],
  [-1.96, 0.024998],
  [7, 1],
  [-7, 0],
])('P(Z ≤ %d) is %d', (z, chance) => {
  expect(normalCdf(z)).toBeCloseTo(chance, 4)
  expect(normalDensity(0)).toBeCloseTo(0.39894, 4)
})

describe('time to first token', () => {
  const random = createRandom(3)
  const gauss = (): number => {
    let sum = -6
    for (let draw = 0; draw < 12; draw++) sum += random.unit()
    return sum
  }

  function answer(model: TtftModel, tokens: number, inFlight: number, ttftMs: number, atMs: number): void {
    const logUsual = model.logUsual(tokens, inFlight)
    const request: Waiting = {
      sentAtMs: atMs,
      logUsualHit: logUsual,
      logUsualMiss: logUsual,
      hitShare: 0,
      hasBytes: false,
    }
    model.sent(request)
    const level = model.answered(request, ttftMs, atMs + ttftMs)
    model.learn(tokens, inFlight, ttftMs, level)
  }

  function trained(shape: (tokens: number, inFlight: number) => number): TtftModel {
    const model = new TtftModel(DEFAULT_PRIOR)
    for (let index = 0; index < 800; index++) {
      const tokens = Math.floor(200 + random.unit() ** 3 * 16_000)
      const inFlight = Math.floor(random.unit() * 20)
      answer(
        model,
        tokens,
        inFlight,
        shape(tokens, inFlight) * Math.exp(0.25 * gauss()),
        START + index * 2_000,
      )
    }
    return model
  }

  test.each([
    {
      name: 'linear prefill and quadratic load',
      shape: (t: number, f: number) => (400 + t * 0.08) * (1 + (f / 16) ** 2),
    },
    {
      name: 'steeper prefill, load that is free at first',
      shape: (t: number, f: number) => (300 + 160 * (t / 2_000) ** 1.3) * (1 + 4 * Math.max(0, f / 20 - 0.6)),
    },
  ])('is learnt for $name', ({ shape }) => {
    const model = trained(shape)
    const nowMs = START + 800 * 2_000
    for (const [tokens, inFlight] of [
      [500, 2],
      [4_000, 2],
      [12_000, 4],
      [1_000, 16],
    ] as const) {
      const median = shape(tokens, inFlight)
      const chance = model.chance(model.levelNow(nowMs), model.logUsual(tokens, inFlight), median)
      expect(chance).toBeGreaterThan(0.25)
      expect(chance).toBeLessThan(0.75)
    }
  })

  test('what is usual stays what it is, though loads and lengths vary and times straggle upwards', () => {
    const model = new TtftModel(DEFAULT_PRIOR)
    for (let index = 0; index < 3_000; index++) {
      const tokens = Math.floor(100 + random.unit() ** 3 * 8_000)
      const inFlight = Math.floor(random.unit() * 12)
      const straggles = random.unit() < 0.012 ? 3 + 5 * random.unit() : 1
      const medianMs = (550 + tokens * 0.08) * (1 + (inFlight / 18) ** 2)
      answer(model, tokens, inFlight, medianMs * Math.exp(0.3 * gauss()) * straggles, START + index * 600)
    }
    expect(Math.exp(model.logUsual(1_000, 0)) / 630).toBeGreaterThan(0.7)
    expect(Math.exp(model.logUsual(1_000, 0)) / 630).toBeLessThan(1.4)
  })

  test('one straggler is no slow-down, three in a row are; one quick answer ends it', () => {
    const model = trained(() => 500)
    const chance = (atMs: number): number =>
      model.chance(model.levelNow(atMs), model.logUsual(1_000, 1), 1_000)
    const atMs = START + 1_600_000
    answer(model, 1_000, 1, 2_500, atMs)
    expect(chance(atMs + 3_000)).toBeGreaterThan(0.85)
    for (const afterMs of [500, 1_000, 1_500]) answer(model, 1_000, 1, 2_500, atMs + afterMs)
    expect(chance(atMs + 4_000)).toBeLessThan(0.2)
    answer(model, 1_000, 1, 500, atMs + 4_000)
    expect(chance(atMs + 5_000)).toBeGreaterThan(0.8)
  })

  test('silence that was given up stays evidence, unless younger requests were answered', () => {
    const silent = (model: TtftModel, sentAtMs: number): Waiting => {
      const logUsual = model.logUsual(1_000, 1)
      const request = {
        sentAtMs,
        logUsualHit: logUsual,
        logUsualMiss: logUsual,
        hitShare: 0,
        hasBytes: false,
      }
      model.sent(request)
      return request
    }
    const model = trained(() => 500)
    const atMs = START + 2_000_000
    for (const request of [silent(model, atMs), silent(model, atMs + 100), silent(model, atMs + 200)])
      model.gaveUp(request, atMs + 2_500)
    expect(model.chance(model.levelNow(atMs + 2_600), model.logUsual(1_000, 1), 1_000)).toBeLessThan(0.3)
    const other = trained(() => 500)
    const stuck = silent(other, atMs)
    answer(other, 1_000, 1, 500, atMs + 1_000)
    other.gaveUp(stuck, atMs + 9_000)
    expect(other.chance(other.levelNow(atMs + 9_000), other.logUsual(1_000, 1), 1_000)).toBeGreaterThan(0.85)
  })

  test('whose own silence is weighed apart is not weighed twice', () => {
    const model = trained(() => 500)
    const atMs = START + 2_000_000
    const logUsual = model.logUsual(1_000, 1)
    const request = {
      sentAtMs: atMs,
      logUsualHit: logUsual,
      logUsualMiss: logUsual,
      hitShare: 0,
      hasBytes: false,
    }
    model.sent(request)
    const chance = (level: Float64Array): number => model.chance(level, logUsual, 1_000)
    const beside = chance(model.levelBeside(request, atMs + 1_500))
    expect(beside).toBeGreaterThan(0.85)
    expect(chance(model.levelNow(atMs + 1_500))).toBeLessThan(beside - 0.1)
  })

  test('what has not been heard of for long is trusted less, and then as usual again', () => {
    const model = trained(() => 500)
    for (let slow = 0; slow < 6; slow++) answer(model, 1_000, 1, 3_000, START + 2_000_000 + slow * 500)
    const chance = (afterMs: number): number =>
      model.chance(model.levelNow(START + 2_010_000 + afterMs), model.logUsual(1_000, 1), 1_000)
    expect(chance(0)).toBeLessThan(0.1)
    expect(chance(120_000)).toBeGreaterThan(0.2)
    expect(chance(1_800_000)).toBeGreaterThan(0.8)
  })
})

describe('noise', () => {
  test('is normal with stragglers until more is known', () => {
    const noise = new Noise()
    expect(noise.cdf(0)).toBeCloseTo(0.49, 1)
    expect(noise.cdf(0.3)).toBeCloseTo(0.83, 1)
    expect(noise.cdf(1)).toBeLessThan(0.999)
    expect(noise.cdf(9)).toBe(1)
    expect(noise.cdf(-9)).toBe(0)
  })

  test('of two modes is learnt: who is not among the quick ones is likely among the slow', () => {
    const noise = new Noise()
    for (let answer = 0; answer < 600; answer++) {
      const mode = answer % 6 === 0 ? 0.65 : -0.13
      noise.learn(mode + 0.02 * ((answer % 7) - 3), 1, answer)
    }
    expect(noise.cdf(0.3)).toBeCloseTo(5 / 6, 1)
    const amongSlow = (noise.cdf(0.85) - noise.cdf(0.4)) / (1 - noise.cdf(0.4))
    expect(amongSlow).toBeGreaterThan(0.8)
    expect(noise.density(-0.13)).toBeGreaterThan(10 * noise.density(0.3))
  })

  test('a chance over levels is the sum over each', () => {
    const noise = new Noise()
    const weights = Float64Array.of(0.2, 0.5, 0.3)
    const sum = [0, 0.14, 0.28].reduce(
      (total, level, index) => total + (weights[index] ?? 0) * noise.cdf(0.2 - level),
      0,
    )
    expect(noise.chanceBelow(weights, 3, 0, 0.2)).toBeCloseTo(sum, 6)
  })
})

describe('odds of failures', () => {
  test('rise with each in a row, fall with successes and with time', () => {
    const odds = new Odds()
    for (let second = 0; second < 60; second++) odds.observe(false, START + second * 1_000)
    const before = odds.expected(START + 60_000)
    odds.observe(true, START + 60_000)
    odds.observe(true, START + 60_100)
    odds.observe(true, START + 60_200)
    const after = odds.expected(START + 60_200)
    expect(before).toBeLessThan(0.01)
    expect(after).toBeGreaterThan(0.7)
    expect(odds.expected(START + 360_000)).toBeLessThan(0.4)
    odds.observe(false, START + 61_000)
    odds.observe(false, START + 61_100)
    expect(odds.expected(START + 61_100)).toBeLessThan(0.35)
  })
})

test('an answer whose tokens came all at once is a quick one', () => {
  const speed = new SpeedModel(40)
  for (let index = 0; index < 6; index++) speed.learn(4, 0)
  expect(speed.chance(10)).toBeGreaterThan(0.99)
})

test('speed is learnt from long answers only', () => {
  const speed = new SpeedModel(40)
  speed.learn(2, 5_000)
  expect(speed.tokensPerSecond()).toBeCloseTo(40)
  for (let index = 0; index < 20; index++) speed.learn(101, 1_000)
  expect(speed.tokensPerSecond()).toBeCloseTo(100)
  expect(speed.chance(50)).toBeGreaterThan(0.99)
  expect(speed.chance(5)).toBeLessThan(0.01)
})

test('answers are as long as those to prompts of that length', () => {
  const length = new OutputLength()
  for (let index = 0; index < 100; index++) {
    length.learn(300, 50)
    length.learn(9_000, 700)
  }
  expect(length.expect(300, null)).toBeLessThan(80)
  expect(length.expect(9_000, null)).toBeGreaterThan(600)
  expect(length.expect(9_000, 100)).toBe(100)
})

describe('prefixes', () => {
  test('what came last is kept, what came long before is forgotten', () => {
    const recent = new Recent<number, number>(100)
    for (let key = 0; key < 1_000; key++) {
      recent.set(key, key)
      recent.set(0, key)
    }
    for (let key = 901; key < 1_000; key++) expect(recent.get(key)).toBe(key)
    expect(recent.get(0)).toBe(999)
    let kept = 0
    for (let key = 0; key < 1_000; key++) if (recent.has(key)) kept++
    expect(kept).toBeLessThanOrEqual(200)
  })

  test('the longest that was sent counts, by its age', () => {
    const log = new PrefixLog()
    log.sent(['a', 'b', 'c'], START)
    expect(log.expect(['a', 'b', 'x', 'y'], 2_000, START + 5)).toEqual({ tokens: 1_024, ageMs: 5 })
    expect(log.expect(['z'], 512, START).tokens).toBe(0)
    expect(log.expect(['a', 'b', 'c'], 1_300, START).tokens).toBe(1_300)
  })

  test('hit rates are learnt by age', () => {
    const log = new PrefixLog()
    for (let index = 0; index < 50; index++) {
      log.learn({ tokens: 1_024, ageMs: 1_000 }, 1_024)
      log.learn({ tokens: 1_024, ageMs: 900_000 }, 0)
    }
    expect(log.hitRate(1_000)).toBeGreaterThan(0.9)
    expect(log.hitRate(900_000)).toBeLessThan(0.1)
  })
})

describe('what an SLO is worth', () => {
  const slo = { ...NO_SLO, attainment: 0.95 }
  function run(worth: Worth, chance: (multiple: number) => number, best: number, requests: number): void {
    for (let index = 0; index < requests; index++) {
      worth.requested(1, best)
      const promised = chance(worth.value(slo))
      worth.chose(promised, slo)
      worth.ended(promised > 0.5, promised)
    }
  }

  test('is as declared, or found so that the attainment is met', () => {
    expect(new Worth().value({ ...slo, value: 0.3 })).toBe(0.3)
    const worth = new Worth()
    for (let index = 0; index < 5_000; index++) {
      worth.requested(1, 0.99)
      const promised = Math.min(0.99, 0.85 + worth.value(slo) * 0.01)
      worth.chose(promised, slo)
      worth.ended((index % 100) / 100 < promised, promised)
    }
    expect(worth.value(slo)).toBeGreaterThan(7)
    expect(worth.value(slo)).toBeLessThan(13)
    expect(worth.state(slo)).toMatchObject({ isUnreachable: false, isDeclared: false })
  })

  test('is not spent on what cannot be reached, and that is said', () => {
    const worth = new Worth()
    for (let index = 0; index < 5_000; index++) {
      worth.requested(1, 0.8)
      worth.chose(0.795, slo)
      worth.ended((index % 100) / 100 < 0.795, 0.795)
    }
    expect(worth.state(slo).isUnreachable).toBe(true)
    expect(worth.value(slo)).toBeLessThan(5)
  })

  test('is something even where nothing costs anything', () => {
    const worth = new Worth()
    for (let index = 0; index < 500; index++) {
      worth.requested(0, 0.99)
      worth.chose(0.9, slo)
      worth.ended(true, 0.9)
    }
    expect(worth.value(slo)).toBeGreaterThan(0)
  })

  test('stays within bounds', () => {
    const worth = new Worth()
    run(worth, () => 0.99, 0.999, 5_000)
    expect(worth.value(slo)).toBeGreaterThan(0.04)
  })
})
