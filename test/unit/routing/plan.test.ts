import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FailureKind } from '#core/errors.ts'
import type { Nano } from '#core/money.ts'
import type { Capability } from '#core/provider.ts'
import type { PolicySettings } from '#core/settings.ts'
import { type BreakerState, CLOSED } from '#routing/breaker.ts'
import { type Candidate, makePlan, type Plan, type PlanInput } from '#routing/plan.ts'
import { NO_SLO, policyWith } from './policy.ts'

const POLICY = policyWith()

interface Given {
  readonly price?: number | null
  readonly p90?: number | null
  readonly weight?: number
  readonly priority?: number
  readonly window?: number | null
  readonly enabled?: boolean
  readonly lacks?: readonly Capability[]
  readonly breaker?: BreakerState
}

function candidate(id: string, given: Given = {}): Candidate {
  const { price = 1, p90 = null, weight = 1, priority = 0, window = null, lacks = [] } = given
  const target = { id, provider: 'p', model: id, weight, priority, contextWindow: window, capabilities: null }
  return {
    target,
    enabled: given.enabled ?? true,
    ruledOut: null,
    lacks: (capability) => lacks.includes(capability),
    contextWindow: window,
    estimateNano: price === null ? null : (BigInt(price) as Nano),
    breaker: given.breaker ?? CLOSED,
    ttftP90Ms: p90,
    samples: p90 === null ? 0 : 20,
  }
}

const open = (reason: FailureKind, untilMs: number): BreakerState => ({
  ...CLOSED,
  state: 'open',
  reason,
  untilMs,
  ejections: 1,
})
const PROBED: BreakerState = { ...CLOSED, state: 'half_open', reason: 'server', untilMs: 5, probing: true }

function plan(
  candidates: readonly Candidate[],
  policy: Partial<PolicySettings> = {},
  rest: Partial<PlanInput> = {},
): Plan {
  return makePlan({
    policy: { ...POLICY, ...policy },
    candidates,
    needs: [{ capability: 'stream', param: 'stream' }],
    inputTokensEstimate: 1_000,
    inputTokensFloor: 300,
    random: () => 0.5,
    ...rest,
  })
}

const order = (made: Plan): string[] => made.targets.map((target) => target.id)
const reasons = (made: Plan): string[] => made.decision.candidates.map((one) => one.reason)
const excluded = (made: Plan): Record<string, string> =>
  Object.fromEntries(made.decision.excluded.map((one) => [one.target, one.reason]))

describe('the order', () => {
  const three = [
    candidate('dear', { price: 30, p90: 100, priority: 1 }),
    candidate('cheap', { price: 10, p90: 900, priority: 2 }),
    candidate('middle', { price: 20, p90: 300, priority: 0 }),
  ]
  test.each([
    { sort: 'price', want: ['cheap', 'middle', 'dear'], why: ['cheapest', 'dearer', 'dearer'] },
    { sort: 'latency', want: ['dear', 'middle', 'cheap'], why: ['fastest', 'slower', 'slower'] },
    { sort: 'priority', want: ['middle', 'dear', 'cheap'], why: ['priority', 'priority', 'priority'] },
  ] as const)('by $sort', ({ sort, want, why }) => {
    const made = plan(three, { sort })
    expect(order(made)).toEqual(want)
    expect(reasons(made)).toEqual(why)
    expect(made.decision).toMatchObject({ policy: 'quick', sort, sloRelaxed: false, excluded: [] })
  })

  test('by price, the lower priority number first at the same price', () => {
    const made = plan([candidate('b', { priority: 2 }), candidate('a', { priority: 1 })])
    expect(order(made)).toEqual(['a', 'b'])
    expect(reasons(made)).toEqual(['cheapest', 'same_price'])
  })

  test('by latency, an unobserved target first, so that it becomes known; among those by price', () => {
    const unknown = [
      candidate('known', { p90: 1 }),
      candidate('dear', { price: 9 }),
      candidate('cheap', { price: 2 }),
    ]
    const made = plan(unknown, { sort: 'latency' })
    expect(order(made)).toEqual(['cheap', 'dear', 'known'])
    expect(reasons(made)).toEqual(['fastest', 'same_latency', 'slower'])
  })

  test('by priority, unpriced targets last within their number', () => {
    const some = [
      candidate('unpriced', { price: null }),
      candidate('priced', { price: 9 }),
      candidate('first', { priority: -1 }),
    ]
    expect(order(plan(some, { sort: 'priority' }))).toEqual(['first', 'priced', 'unpriced'])
  })

  test('by weight, in proportion, without repeats', () => {
    const weighted = [
      candidate('a', { weight: 1 }),
      candidate('b', { weight: 3 }),
      candidate('c', { weight: 6 }),
    ]
    const points = Array.from({ length: 1_000 }, (_, index) => (index + 0.5) / 1_000)
    const firsts = points.map(
      (point) => order(plan(weighted, { sort: 'weighted' }, { random: () => point }))[0],
    )
    const share = (id: string): number => firsts.filter((first) => first === id).length
    expect([share('a'), share('b'), share('c')]).toEqual([100, 300, 600])
  })

  test('by weight, a target of weight 0 is tried only after all others', () => {
    const weighted = [
      candidate('spare', { weight: 0 }),
      candidate('a', { weight: 1 }),
      candidate('b', { weight: 1 }),
    ]
    for (const point of [0, 0.3, 0.6, 0.999999]) {
      const made = plan(weighted, { sort: 'weighted' }, { random: () => point })
      expect(order(made).at(-1)).toBe('spare')
      expect(order(made)).toHaveLength(3)
    }
  })
})

describe('who is left out, and why', () => {
  const cases: readonly {
    name: string
    given: Given
    policy?: Partial<PolicySettings>
    reason: string
    detail: string
  }[] = [
    { name: 'without a key', given: { enabled: false }, reason: 'disabled', detail: 'key' },
    {
      name: 'without what the request needs',
      given: { lacks: ['stream'] },
      reason: 'capability',
      detail: 'stream (stream)',
    },
    {
      name: 'with too small a window',
      given: { window: 999 },
      reason: 'context_length',
      detail: '1000 input tokens, window 999',
    },
    {
      name: 'without a price where price decides',
      given: { price: null },
      reason: 'unpriced',
      detail: 'price',
    },
    {
      name: 'at its rate limit',
      given: { breaker: open('rate_limit', 7) },
      reason: 'cooling_down',
      detail: 'rate_limit until 7',
    },
    {
      name: 'ejected',
      given: { breaker: open('server', 7) },
      reason: 'breaker_open',
      detail: 'server until 7',
    },
    { name: 'being probed', given: { breaker: PROBED }, reason: 'breaker_open', detail: 'probe' },
    {
      name: 'too slow, where that is refused',
      given: { p90: 501 },
      policy: { slo: { ...NO_SLO, ttftMs: 500 }, onNoCandidate: 'reject' },
      reason: 'slo_ttft',
      detail: '501 ms over 500 ms',
    },
  ]
  test.each(cases)('one $name: $reason', ({ given, policy, reason, detail }) => {
    const made = plan([candidate('good'), candidate('bad', given)], policy)
    expect(order(made)).toEqual(['good'])
    expect(made.decision.excluded).toEqual([
      { target: 'bad', reason, detail: expect.stringContaining(detail) },
    ])
  })

  test('an unpriced target takes part where the price does not decide', () => {
    for (const sort of ['latency', 'priority', 'weighted'] as const)
      expect(plan([candidate('a', { price: null })], { sort }).decision.candidates).toMatchObject([
        { target: 'a', estimatedCost: null },
      ])
  })

  test('a window just large enough is enough', () => {
    expect(order(plan([candidate('a', { window: 1_000 })]))).toEqual(['a'])
  })

  test('an estimate alone refuses nobody: where no window fits it, only what surely cannot be is refused', () => {
    const small = [candidate('tiny', { window: 299 }), candidate('small', { window: 300 })]
    expect(order(plan(small))).toEqual(['small'])
    expect(excluded(plan(small))).toEqual({ tiny: 'context_length' })
  })

  test('a large window of a target that cannot serve the request anyway does not tighten the rule', () => {
    const small = candidate('small', { window: 900 })
    for (const given of [{ enabled: false }, { lacks: ['stream'] as const }, { price: null }])
      expect(order(plan([small, candidate('large', { window: 1_000_000, ...given })]))).toEqual(['small'])
  })
})

describe('a bar for the time to first token', () => {
  const slo = { ...NO_SLO, ttftMs: 500 }
  const fast = candidate('fast', { price: 30, p90: 500 })
  const slow = candidate('slow', { price: 10, p90: 800 })
  const slower = candidate('slower', { price: 5, p90: 900 })

  test('keeps the cheapest that is quick enough first; the slow ones stand behind, fastest first', () => {
    const made = plan([slower, slow, fast], { slo })
    expect(order(made)).toEqual(['fast', 'slow', 'slower'])
    expect(reasons(made)).toEqual(['cheapest', 'slo_missed', 'slo_missed'])
    expect(made.decision.sloRelaxed).toBe(false)
  })

  test('lets an unobserved target pass', () => {
    expect(order(plan([slow, candidate('new', { price: 50 })], { slo }))).toEqual(['new', 'slow'])
  })

  test('gives way to the fastest where all miss it, and says so', () => {
    const made = plan([slower, slow], { slo })
    expect(order(made)).toEqual(['slow', 'slower'])
    expect(made.decision.sloRelaxed).toBe(true)
  })

  test('rejects where the policy wants that', () => {
    const made = plan([slower, slow], { slo, onNoCandidate: 'reject' })
    expect(order(made)).toEqual([])
    expect(excluded(made)).toEqual({ slow: 'slo_ttft', slower: 'slo_ttft' })
  })

  test('rejects rather than trying an ejected target while a slow one is well', () => {
    const ejected = candidate('ejected', { breaker: open('server', 5) })
    expect(order(plan([slow, ejected], { slo, onNoCandidate: 'reject' }))).toEqual([])
  })
})

describe('with every target ejected', () => {
  test('the one that is back soonest is tried first: refusing all would be the greater outage', () => {
    const all = [
      candidate('late', { breaker: open('server', 900) }),
      candidate('soon', { breaker: open('timeout', 100) }),
    ]
    const made = plan(all)
    expect(order(made)).toEqual(['soon', 'late'])
    expect(reasons(made)).toEqual(['panic', 'panic'])
  })

  test('one at its rate limit is not', () => {
    const made = plan([candidate('a', { breaker: open('rate_limit', 100) })])
    expect(order(made)).toEqual([])
    expect(excluded(made)).toEqual({ a: 'cooling_down' })
  })
})

test('every target is either in the plan or left out with a reason, once', () => {
  const given = fc.record({
    price: fc.option(fc.nat(100)),
    p90: fc.option(fc.nat(1_000)),
    weight: fc.nat(5),
    priority: fc.nat(2),
    window: fc.option(fc.nat(2_000)),
    enabled: fc.boolean(),
    lacks: fc.constantFrom<readonly Capability[]>([], ['stream'], ['tools']),
    breaker: fc.constantFrom(CLOSED, PROBED, open('server', 5), open('rate_limit', 9)),
  })
  const policy = fc.record({
    sort: fc.constantFrom('price', 'latency', 'priority', 'weighted'),
    slo: fc.record({ ttftMs: fc.option(fc.nat(1_000)) }),
    onNoCandidate: fc.constantFrom('fastest', 'reject'),
  })
  fc.assert(
    fc.property(
      fc.array(given, { maxLength: 8 }),
      policy,
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (givens, rules, point) => {
        const made = plan(
          givens.map((one, index) => candidate(`t${index}`, one)),
          rules as Partial<PolicySettings>,
          { random: () => point },
        )
        const named = [...order(made), ...made.decision.excluded.map((one) => one.target)]
        expect(named.toSorted()).toEqual(givens.map((_one, index) => `t${index}`).toSorted())
        expect(made.decision.candidates.map((one) => one.target)).toEqual(order(made))
        for (const target of made.targets) {
          const one = givens[Number(target.id.slice(1))]
          expect(one?.enabled).toBe(true)
          expect(one?.lacks).not.toContain('stream')
          expect(one?.breaker.reason).not.toBe('rate_limit')
        }
      },
    ),
    { seed: 97, numRuns: 1_000 },
  )
})
