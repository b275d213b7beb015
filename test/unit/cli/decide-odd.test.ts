import { describe, expect, test } from 'vitest'
import type { DecideSession } from '#cli/decide-session.ts'
import { createRandom } from '#simulator/random.ts'
import { sessionOf } from './decide-support.ts'

const AT = Date.UTC(2026, 2, 2, 4, 0)

interface Shape {
  readonly targets: number
  readonly price?: (index: number) => string
  readonly limits?: object
  readonly policy?: object
}

const nameOf = (index: number): string => `lab/m${index}`

function configOf({ targets, price = (index) => String(index + 1), limits, policy = {} }: Shape): string {
  const names = Array.from({ length: targets }, (_, index) => nameOf(index))
  return JSON.stringify({
    providers: { lab: { use: 'hosted', base_url: 'https://lab.example' } },
    prices: Object.fromEntries(
      names.map((name, index) => [
        name,
        {
          currency: 'CNY',
          unit: 'per_million_tokens',
          tiers: [{ input: price(index), cached_input: price(index), output: price(index) }],
        },
      ]),
    ),
    models: {
      chat: {
        policy: 'quick',
        targets: names.map((target) => ({ target, ...(limits === undefined ? {} : { limits }) })),
      },
    },
    policies: {
      quick: {
        slo: { ttft_ms: 1500, tpot_ms: 50, attainment: 0.95, value: 'auto' },
        hedge: { enabled: true },
        retry: { attempts: 4 },
        ...policy,
      },
    },
  })
}

interface Answer {
  readonly id: string | number
  readonly order: readonly string[]
  readonly wait_ms?: number
  readonly hedge_after_ms: number | null
  readonly expected_cost: number | null
  readonly p_slo: number
  readonly propensity: number
}

function expectSound(answer: Answer, targets: number): void {
  const { order, expected_cost: cost, p_slo: chance, propensity, hedge_after_ms: hedgeAfterMs } = answer
  expect(order.length).toBeLessThanOrEqual(targets)
  expect(new Set(order).size).toBe(order.length)
  for (const value of [cost ?? 0, chance, propensity, hedgeAfterMs ?? 0, answer.wait_ms ?? 0]) {
    expect(value).toSatisfy(Number.isFinite)
    expect(value).toBeGreaterThanOrEqual(0)
  }
  expect(chance).toBeLessThanOrEqual(1)
  expect(propensity).toBeLessThanOrEqual(1)
}

/** Plays requests one after another against a target that does as it is told. */
class Driver {
  readonly handle: DecideSession['handle']
  readonly shape: Shape
  at = AT
  #next = 0

  constructor(shape: Shape) {
    this.shape = shape
    this.handle = sessionOf(configOf(shape)).handle
  }

  ask(changes: object = {}): Answer {
    const line = { type: 'request', id: `r${this.#next++}`, at: this.at, model: 'chat', input_tokens: 1_000 }
    const answer = this.handle({ ...line, ...changes }) as Answer
    expectSound(answer, this.shape.targets)
    return answer
  }

  tell(type: string, id: string | number, target: string, changes: object = {}): void {
    expect(this.handle({ type, id, at: this.at, target, ...changes })).toBeNull()
  }

  finish(id: string | number, target: string, changes: object = {}): void {
    const usage = { input_tokens: 1_000, cached_tokens: 0, output_tokens: 50 }
    this.tell('finished', id, target, { ...usage, ...changes })
  }

  /** A whole request at the first of its order; where it went. */
  serve(ttftMs: number, changes: object = {}): string | undefined {
    const { id, order } = this.ask(changes)
    const [target] = order
    if (target === undefined) return undefined
    this.tell('attempt_started', id, target)
    this.at += ttftMs
    this.tell('first_token', id, target)
    this.at += 1_000
    this.finish(id, target)
    return target
  }
}

/** Lines in no order at all, of requests that may exist. */
function oddLine(random: () => number, at: number, targets: number): object {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
  const id = pick(['a', 'b', 'c', 'd', 7, 8, `x${Math.floor(random() * 1_000)}`])
  const target = nameOf(Math.floor(random() * targets))
  const tokens = pick([0, 1, 12, 900, 30_000, 2_000_000, 9_007_199_254_740_991])
  const hashes = pick([[], ['p', 'q'], [1, 2, 3], ['p', 'p', 'p']])
  const type = pick([
    ...['request', 'request', 'request', 'attempt_started', 'attempt_started', 'first_byte', 'first_token'],
    ...['finished', 'failed', 'cancelled', 'hedge?'],
  ])
  const common = { type, id, at }
  switch (type) {
    case 'request':
      return {
        ...common,
        model: 'chat',
        input_tokens: tokens,
        max_output_tokens: pick([null, 0, 5, 9_007_199_254_740_991]),
        prefix_hashes: hashes,
        session: pick([null, 's', 't']),
        tried: pick([[], [target], [target, target]]),
      }
    case 'finished':
      return {
        ...common,
        target,
        input_tokens: tokens,
        cached_tokens: pick([0, tokens, 2 * 512]),
        output_tokens: pick([0, 1, 300, 9_007_199_254_740_991]),
      }
    case 'failed':
      return {
        ...common,
        target,
        error: pick(['rate_limited', 'timeout', 'server_error', 'connect', 'context_length']),
        retry_after_ms: pick([null, 0, 2_000, 1e12]),
      }
    case 'hedge?':
      return common
    default:
      return { ...common, target }
  }
}

describe('whatever a driver says, each answer is sound', () => {
  const shapes: readonly (Shape & { readonly name: string })[] = [
    { name: 'one target', targets: 1 },
    { name: '12 targets', targets: 12 },
    { name: '64 targets', targets: 64 },
    { name: 'limits', targets: 5, limits: { rpm: 30, tpm: 100_000, concurrency: 2 } },
    { name: 'nothing costs anything', targets: 4, price: () => '0' },
    { name: 'all cost the same', targets: 6, price: () => '2' },
    { name: 'by latency', targets: 6, policy: { sort: 'latency' } },
    { name: 'by weight', targets: 6, policy: { sort: 'weighted' } },
    { name: 'no SLO', targets: 3, policy: { slo: {} } },
  ]
  test.each(shapes)('$name', (shape) => {
    const { unit: random } = createRandom(17)
    const { handle } = sessionOf(configOf(shape))
    let at = AT
    for (let line = 0; line < 6_000; line++) {
      const leap = random()
      if (leap < 0.002) at = AT + Math.floor((random() - 0.5) * 1e12)
      else if (leap < 0.1) at = Math.max(0, at - Math.floor(random() * 3_000))
      else at += Math.floor(random() ** 6 * 60_000)
      const odd = oddLine(random, at, shape.targets)
      const answer = handle(odd)
      if ((odd as { type: string }).type === 'request') expectSound(answer as Answer, shape.targets)
    }
  })
})

describe('a driver that leaves things out', () => {
  test('of requests whose end it never tells, nothing stays under way', () => {
    const driver = new Driver({ targets: 1, limits: { concurrency: 2 } })
    for (let lost = 0; lost < 2; lost++) driver.tell('attempt_started', driver.ask().id, nameOf(0))
    expect(driver.ask()).toMatchObject({ order: [], wait_ms: expect.any(Number) })
    driver.at += 40 * 60_000
    expect(driver.serve(300)).toBe(nameOf(0))
  })

  test('a hedge’s loser of which nothing is told ends with the winner', () => {
    const driver = new Driver({ targets: 2, limits: { concurrency: 1 } })
    const { id } = driver.ask()
    driver.tell('attempt_started', id, nameOf(0))
    driver.tell('attempt_started', id, nameOf(1))
    driver.at += 400
    driver.tell('first_token', id, nameOf(1))
    driver.finish(id, nameOf(1))
    expect(driver.ask().order).toHaveLength(2)
  })

  test('an id that is used again is a new request, unless it names what was tried or the attempt failed', () => {
    const driver = new Driver({ targets: 2, limits: { concurrency: 1 } })
    for (let again = 0; again < 20; again++) {
      const { order } = driver.ask({ id: 'same' })
      expect(order).toHaveLength(2)
      driver.tell('attempt_started', 'same', order[0] as string)
      driver.at += 60_000
    }
    const fresh = new Driver({ targets: 2 })
    const attempts: (readonly string[])[] = []
    for (let attempt = 0; attempt < 6; attempt++) {
      const { order } = fresh.ask({ id: 'same' })
      attempts.push(order)
      if (order[0] === undefined) break
      fresh.tell('attempt_started', 'same', order[0])
      fresh.at += 10
      fresh.tell('failed', 'same', order[0], { error: 'server_error' })
    }
    expect(attempts.length).toBeLessThanOrEqual(5)
    expect(attempts.at(-1)).toEqual([])
  })

  test('without first tokens, what is finished is still learnt from', () => {
    const driver = new Driver({ targets: 2 })
    for (let request = 0; request < 50; request++) {
      const { id, order } = driver.ask()
      const target = order[0] as string
      driver.tell('attempt_started', id, target)
      driver.at += target === nameOf(0) ? 6_000 : 700
      driver.finish(id, target)
    }
    expect(driver.ask().order[0]).toBe(nameOf(1))
  })
})

describe('a clock that jumps', () => {
  /** Serves by targets of which the first is the cheapest, and says how often it was chosen. */
  function shareOfFirst(driver: Driver, requests: number, ttftMs = 300): number {
    let hits = 0
    for (let request = 0; request < requests; request++) {
      if (driver.serve(ttftMs) === nameOf(0)) hits++
      driver.at += 1_000
    }
    return hits / requests
  }

  test.each([
    { name: 'back by a day', jumpMs: -86_400_000 },
    { name: 'back by years', jumpMs: -1e11 },
    { name: 'ahead by years', jumpMs: 1e11 },
  ])('$name: limits, cooldowns and ejections do not outlast it', ({ jumpMs }) => {
    const driver = new Driver({ targets: 2, limits: { rpm: 60 } })
    shareOfFirst(driver, 20)
    for (let failure = 0; failure < 12; failure++) {
      const { id } = driver.ask()
      const target = nameOf(failure % 2)
      driver.tell('attempt_started', id, target)
      driver.at += 20
      const error = failure < 6 ? 'rate_limited' : 'server_error'
      driver.tell('failed', id, target, { error, retry_after_ms: 30_000 })
      driver.ask({ id, tried: [target] })
    }
    driver.at += jumpMs
    expect(driver.ask().order.length).toBeGreaterThan(0)
    expect(shareOfFirst(driver, 40)).toBeGreaterThan(0.7)
  })

  test('a single line of another century spoils nothing', () => {
    const driver = new Driver({ targets: 2, limits: { rpm: 60 } })
    shareOfFirst(driver, 20)
    driver.ask({ at: driver.at + 3e12 })
    driver.ask({ at: 0 })
    expect(shareOfFirst(driver, 30)).toBeGreaterThan(0.8)
  })

  test('lines a little out of order are as good as in order', () => {
    const driver = new Driver({ targets: 2 })
    for (let request = 0; request < 30; request++) {
      const { id, order } = driver.ask()
      const target = order[0] as string
      driver.tell('attempt_started', id, target)
      driver.at += 400
      driver.tell('first_token', id, target)
      driver.at += 1_000
      driver.finish(id, target)
      driver.at -= 700
    }
    expect(driver.ask().order[0]).toBe(nameOf(0))
    expect(driver.ask().p_slo).toBeGreaterThan(0.9)
  })
})

describe('targets that refuse and fail', () => {
  test('when all have refused for minutes, nobody gives up before they are back, and they are used at once then', () => {
    const driver = new Driver({ targets: 3 })
    const endAt = driver.at + 90_000
    let order: readonly string[] = []
    let asked = 0
    const tried: string[] = []
    while (driver.at < endAt) {
      const answer = driver.ask({ id: `w${asked++}`, tried: [] })
      order = answer.order
      expect(order.length > 0 || answer.wait_ms !== undefined).toBe(true)
      const [target] = order
      if (target === undefined) {
        driver.at += answer.wait_ms ?? 0
        continue
      }
      tried.push(target)
      driver.tell('attempt_started', answer.id, target)
      driver.at += 80
      driver.tell('failed', answer.id, target, { error: 'rate_limited' })
    }
    expect(tried.length).toBeLessThan(60)
    driver.at += 30_000
    expect(driver.serve(300)).toBeDefined()
  })

  test('what always fails gets next to nothing, however cheap', () => {
    const driver = new Driver({ targets: 3 })
    let failed = 0
    for (let request = 0; request < 400; request++) {
      const { id, order } = driver.ask()
      const [target] = order
      driver.at += 1_000
      if (target === nameOf(0)) {
        failed++
        driver.tell('attempt_started', id, target)
        driver.tell('failed', id, target, { error: 'server_error' })
      } else if (target !== undefined) {
        driver.tell('attempt_started', id, target)
        driver.tell('first_token', id, target)
        driver.finish(id, target)
      }
    }
    expect(failed).toBeLessThan(20)
  })
})

describe('prices', () => {
  const slow = (target: string): number => (target === nameOf(0) ? 4_000 : 400)
  function shareOfQuick(driver: Driver): number {
    let quick = 0
    for (let request = 0; request < 400; request++) {
      const { id, order } = driver.ask()
      const target = order[0] as string
      driver.tell('attempt_started', id, target)
      driver.at += slow(target)
      driver.tell('first_token', id, target)
      driver.at += 1_000
      driver.finish(id, target)
      if (request >= 100 && target !== nameOf(0)) quick++
    }
    return quick / 300
  }

  test.each([
    { name: 'of nothing at all', price: () => '0' },
    { name: 'all alike', price: () => '2' },
    { name: 'of nothing where it is slow', price: (index: number) => (index === 0 ? '0' : '1') },
  ])('$name: the SLO is met all the same', ({ price }) => {
    expect(shareOfQuick(new Driver({ targets: 2, price }))).toBeGreaterThan(0.9)
  })
})
