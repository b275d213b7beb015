import { describe, expect, test } from 'vitest'
import type { PlannerTarget } from '#routing/request.ts'
import { flatQuote, Play, QUICK, shareOf, target, UNPRICED } from './planner-driver.ts'
import { NO_SLO } from './policy.ts'

const cheap = target('a/cheap', { quote: flatQuote(0.2, 0.05, 0.6) })
const dear = target('b/dear', { quote: flatQuote(2, 0.4, 8) })
const both = [cheap, dear]
const quick = { ttftMs: 500 }

function excludedReasons(play: Play): Record<string, string> {
  const explained = play.planner.explainLast(play.nowMs)
  return Object.fromEntries(explained?.excluded.map((entry) => [entry.target, entry.reason]) ?? [])
}

describe('what cannot serve a request is left out, with the reason', () => {
  const cases: readonly {
    readonly name: string
    readonly bad: Partial<PlannerTarget>
    readonly reason: string
    readonly request?: object
    readonly policy?: object
  }[] = [
    { name: 'a capability', bad: { lacks: (need) => need === 'tools' }, reason: 'capability' },
    { name: 'a window', bad: { contextWindow: 1_099 }, reason: 'context_length' },
    { name: 'no price', bad: { quote: UNPRICED }, reason: 'unpriced' },
    {
      name: 'a price above the bound',
      bad: { quote: flatQuote(5, 1, 1) },
      reason: 'max_price',
      policy: { maxPrice: { input: 4, output: null } },
    },
    { name: 'having been tried', bad: {}, reason: 'tried', request: { tried: ['b/bad'] } },
    {
      name: 'a prompt beyond its limit',
      bad: { limits: { rpm: null, tpm: 600, concurrency: null } },
      reason: 'quota',
    },
  ]
  test.each(cases)('$name', ({ bad, reason, request, policy }) => {
    const play = new Play([target('a/good'), target('b/bad', bad)], { ...QUICK, ...policy })
    const decision = play.decide({ needs: ['tools'], outputTokensMax: 100, ...request })
    expect(decision.order).toEqual(['a/good'])
    expect(excludedReasons(play)).toEqual({ 'b/bad': reason })
  })

  test('a request that nothing can serve is refused, and waiting is no use', () => {
    const play = new Play([target('a', { contextWindow: 10 })])
    expect(play.decide()).toMatchObject({ order: [], waitMs: null })
  })

  test('an unpriced target takes part where the price does not decide', () => {
    const play = new Play([target('a', { quote: UNPRICED })], { ...QUICK, sort: 'latency' })
    expect(play.decide()).toMatchObject({ order: ['a'], expectedCost: Number.NaN })
  })
})

describe('the order', () => {
  const slow = target('c/slow', { quote: flatQuote(0.1, 0.1, 0.1), priority: 1 })
  const behave = (id: string) =>
    id === 'c/slow' ? { ttftMs: 1_200, tokensPerSecond: 90 } : { ttftMs: id === 'a/cheap' ? 500 : 700 }
  test.each([
    { sort: 'price', first: 'c/slow' },
    { sort: 'latency', first: 'a/cheap' },
    { sort: 'throughput', first: 'c/slow' },
    { sort: 'priority', first: 'a/cheap' },
  ] as const)('by $sort', ({ sort, first }) => {
    const play = new Play([slow, cheap, dear], { ...QUICK, sort, slo: NO_SLO })
    for (let round = 0; round < 3; round++)
      for (const { id } of play.targets) {
        const request = play.request()
        play.planner.decide(request, play.nowMs)
        play.attempt(request.id, id, behave(id), play.nowMs)
        play.nowMs += 5_000
      }
    expect(play.decide().order[0]).toBe(first)
  })

  test('by weight, in proportion', () => {
    const play = new Play([target('a', { weight: 3 }), target('b')], {
      ...QUICK,
      sort: 'weighted',
      slo: NO_SLO,
    })
    expect(shareOf(play, 400, 'a', () => quick)).toBeCloseTo(0.75, 1)
  })

  test('by value: the cheap one while it is in time, the dear one when it is worth it', () => {
    const play = new Play(both)
    expect(shareOf(play, 50, 'a/cheap', () => quick)).toBeGreaterThan(0.9)
    const slowed = (id: string) => (id === 'a/cheap' ? { ttftMs: 2_500 } : quick)
    shareOf(play, 5, 'a/cheap', slowed)
    expect(shareOf(play, 50, 'b/dear', slowed)).toBeGreaterThan(0.85)
    expect(
      shareOf(new Play(both, { ...QUICK, slo: { ...QUICK.slo, value: 0 } }), 50, 'a/cheap', slowed),
    ).toBe(1)
  })

  test('what is preferred goes before what is not, and excludes nobody', () => {
    const play = new Play(both, { ...QUICK, sort: 'price', preferredMaxLatency: { p50: 1_000 } })
    for (let round = 0; round < 12; round++) play.run((id) => (id === 'a/cheap' ? { ttftMs: 1_400 } : quick))
    expect(play.decide().order).toEqual(['b/dear', 'a/cheap'])
  })

  test.each([
    { sort: 'latency' as const, of: { ttftMs: 350 }, others: { ttftMs: 500 } },
    {
      sort: 'throughput' as const,
      of: { ttftMs: 500, tokensPerSecond: 120 },
      others: { ttftMs: 500, tokensPerSecond: 60 },
    },
  ])(
    'sort: $sort finds the quickest, though the first one is quicker than a guess',
    ({ sort, of, others }) => {
      const slower = ({ ttftMs, tokensPerSecond = 60 }: { ttftMs: number; tokensPerSecond?: number }) => ({
        ttftMs: ttftMs * 1.1,
        tokensPerSecond: tokensPerSecond / 1.1,
      })
      const pool = ['a', 'b', 'c'].map((id) => target(id))
      const policy = { ...QUICK, sort, slo: { ...QUICK.slo, ttftMs: null, tpotMs: null } }
      const play = new Play(pool, policy)
      const tries = new Map<string, number>()
      for (let round = 0; round < 100; round++) {
        const { target: id = '' } = play.run((asked) =>
          asked === 'c' ? of : asked === 'b' ? slower(others) : others,
        )
        tries.set(id, (tries.get(id) ?? 0) + 1)
      }
      expect(play.decide().order[0]).toBe('c')
      expect(tries.get('b') ?? 0).toBeLessThanOrEqual(5)
      const still = new Play(pool, { ...policy, explore: { maxShare: 0 } })
      for (let round = 0; round < 20; round++) expect(still.run(() => others).target).toBe('a')
    },
  )

  test('a session stays where it is, if the policy says so', () => {
    const play = new Play([cheap, target('c/cheaper', { quote: flatQuote(0.1, 0.1, 0.1) })], {
      ...QUICK,
      sort: 'price',
      affinity: 'session',
      explore: { maxShare: 0 },
    })
    const request = play.request({ session: 's' })
    play.planner.decide(request, play.nowMs)
    play.attempt(request.id, 'a/cheap', quick, play.nowMs)
    play.nowMs += 5_000
    expect(play.decide({ session: 's' }).order[0]).toBe('a/cheap')
    expect(play.decide({ session: 't' }).order[0]).toBe('c/cheaper')
  })

  test('a session goes on where its answer came from, though another one refused within the same millisecond', () => {
    const play = new Play([target('a'), target('b')], { ...QUICK, sort: 'price', affinity: 'session' })
    const request = play.request({ session: 's' })
    play.planner.decide(request, play.nowMs)
    play.attempt(request.id, 'a', { error: 'connection', afterMs: 0 }, play.nowMs)
    play.planner.decide({ ...request, tried: ['a'] }, play.nowMs)
    play.attempt(request.id, 'b', quick, play.nowMs)
    play.nowMs += 5_000
    expect(play.decide({ session: 's' }).order[0]).toBe('b')
    expect(play.decide({ session: 't' }).order[0]).toBe('a')
  })

  test('a target that nobody knows is no reason to refuse, however short the bar', () => {
    const short = { ...QUICK, slo: { ...QUICK.slo, ttftMs: 300 }, onNoCandidate: 'reject' as const }
    const play = new Play(both, short)
    expect(play.decide().order).toHaveLength(2)
    for (let round = 0; round < 20; round++) play.run((id) => ({ ttftMs: id === 'b/dear' ? 100 : 2_000 }))
    expect(play.decide().order[0]).toBe('b/dear')
  })

  test('nothing that meets the SLO may be a reason to refuse', () => {
    const late = () => ({ ttftMs: 4_000 })
    const play = new Play(both, { ...QUICK, onNoCandidate: 'reject' })
    for (let round = 0; round < 30; round++) play.run(late)
    expect(play.decide()).toMatchObject({ order: [], waitMs: null })
  })
})

describe('what is observed', () => {
  test('cached prefixes make a target cheaper and quicker than it was', () => {
    const play = new Play([target('a')])
    const prefixes = ['x', 'y', 'z', 'w']
    const asked = { prefixes, inputTokens: 2_048 }
    const before = play.decide(asked).expectedCost
    for (let round = 0; round < 8; round++) play.run(() => ({ ttftMs: 400, cachedTokens: 2_048 }), asked)
    expect(play.decide(asked).expectedCost).toBeLessThan(before * 0.6)
    expect(play.decide({ ...asked, prefixes: ['q', 'r', 's', 't'] }).expectedCost).toBeGreaterThan(
      before * 0.8,
    )
  })

  test('requests that are waited for too long are evidence before they end', () => {
    const play = new Play(both, { ...QUICK, explore: { maxShare: 0 } })
    for (let round = 0; round < 20; round++) play.run(() => quick)
    const trusting = play.decide().pSlo
    for (let silent = 0; silent < 3; silent++) {
      const request = play.request()
      play.planner.decide(request, play.nowMs)
      play.planner.attemptStarted(request.id, 'a/cheap', null, play.nowMs)
      play.nowMs += 300
    }
    play.nowMs += 900
    const decision = play.decide()
    expect(trusting).toBeGreaterThan(0.9)
    expect(decision.order[0]).toBe('b/dear')
    expect(play.planner.targetStatus(cheap, play.nowMs).slowness).toBeGreaterThan(2)
  })

  test('a first byte says that it thinks and does not hang', () => {
    const play = new Play([cheap], { ...QUICK, explore: { maxShare: 0 } })
    for (let round = 0; round < 20; round++) play.run(() => quick)
    const before = play.decide().pSlo
    const request = play.request()
    play.planner.decide(request, play.nowMs)
    play.planner.attemptStarted(request.id, 'a/cheap', null, play.nowMs)
    play.planner.firstByte(request.id, 'a/cheap')
    play.nowMs += 5_000
    expect(play.decide().pSlo).toBeGreaterThan(before - 0.05)
  })

  test('each failure in a row weighs more, the third ejects; a single probe goes through when the time is up', () => {
    const play = new Play(both, { ...QUICK, explore: { maxShare: 0 } })
    for (let round = 0; round < 20; round++) play.run(() => quick)
    for (let failure = 0; failure < 3; failure++) {
      const request = play.request()
      play.planner.decide(request, play.nowMs)
      play.attempt(request.id, 'a/cheap', { error: 'server' }, play.nowMs)
      const { failureChance } = play.planner.targetStatus(cheap, play.nowMs)
      expect(failureChance).toBeGreaterThan([0.02, 0.4, 0.8][failure] ?? 1)
      play.nowMs += 100
    }
    const status = play.planner.targetStatus(cheap, play.nowMs)
    expect(status).toMatchObject({ state: 'open', cooldowns: [{ reason: 'server' }] })
    expect(play.decide().order).toEqual(['b/dear'])
    play.nowMs += 5_000
    expect(play.decide().order).toContain('a/cheap')
    const probe = play.request()
    play.planner.decide(probe, play.nowMs)
    play.planner.attemptStarted(probe.id, 'a/cheap', null, play.nowMs)
    expect(play.decide().order).toEqual(['b/dear'])
  })
})

test('requests whose end nobody tells are forgotten after half an hour', () => {
  const play = new Play([cheap])
  for (let second = 0; second < 4_000; second++) {
    const request = play.request()
    play.planner.decide(request, play.nowMs)
    play.planner.attemptStarted(request.id, 'a/cheap', null, play.nowMs)
    play.nowMs += 1_000
  }
  expect(play.planner.calls).toBeLessThanOrEqual(1_801)
  expect(play.planner.targetStatus(cheap, play.nowMs).inFlight).toBeLessThanOrEqual(1_801)
})

describe('limits', () => {
  test('a refusal is waited out, and uses no attempt up', () => {
    const play = new Play([cheap])
    play.run(() => ({ error: 'rate_limit', retryAfterMs: 3_000 }), {}, 50)
    const decision = play.decide()
    expect(decision.order).toEqual([])
    expect(decision.waitMs).toBeGreaterThan(1_000)
    play.nowMs += 3_000
    expect(play.decide().order).toEqual(['a/cheap'])
  })

  test('what does not fit a limit at all is said to, though the target cools down, too', () => {
    const play = new Play([target('a', { limits: { rpm: null, tpm: 600, concurrency: null } }), dear])
    const small = play.request({ inputTokens: 50 })
    play.planner.decide(small, play.nowMs)
    play.attempt(small.id, 'a', { error: 'rate_limit', retryAfterMs: 9_000 }, play.nowMs)
    play.decide()
    expect(excludedReasons(play)).toEqual({ a: 'quota' })
  })

  test('a declared rate is kept to, whatever was refused', () => {
    const play = new Play([target('a', { limits: { rpm: 60, tpm: null, concurrency: null } }), dear])
    let sent = 0
    for (let index = 0; index < 200; index++) if (play.run(() => quick, {}, 100).target === 'a') sent++
    expect(sent).toBeLessThanOrEqual(31)
    expect(sent).toBeGreaterThan(20)
  })

  test('providers share what is theirs', () => {
    const sharedLimits = { id: 'provider:p', limits: { rpm: 6, tpm: null, concurrency: null } }
    const play = new Play([target('p/a', { sharedLimits }), target('p/b', { sharedLimits })])
    play.run(() => quick, {}, 10)
    expect(play.decide()).toMatchObject({ order: [], waitMs: 2_000 })
  })
})

describe('retries', () => {
  test('attempts are counted, and the last refusal is final', () => {
    const play = new Play([cheap, dear, target('c'), target('d')])
    const request = play.request()
    const tried: string[] = []
    for (let attempt = 0; attempt < 3; attempt++) {
      const [chosen] = play.planner.decide({ ...request, tried: [...tried] }, play.nowMs).order
      expect(tried).not.toContain(chosen)
      tried.push(chosen ?? '')
      play.attempt(request.id, chosen ?? '', { error: 'server' }, play.nowMs)
    }
    expect(play.planner.decide({ ...request, tried }, play.nowMs)).toMatchObject({ order: [], waitMs: null })
  })

  test('after a prompt that was too long only larger windows are tried', () => {
    const play = new Play([
      target('s', { contextWindow: 8_000, quote: flatQuote(0.1, 0.1, 0.1) }),
      target('m', { contextWindow: 8_000 }),
      target('l', { contextWindow: 32_000, quote: flatQuote(3, 3, 3) }),
    ])
    const request = play.request()
    play.planner.decide(request, play.nowMs)
    play.attempt(request.id, 's', { error: 'context_length' }, play.nowMs)
    expect(play.planner.decide({ ...request, tried: ['s'] }, play.nowMs).order).toEqual(['l'])
  })

  test('with everything failing there is hardly more than one attempt a request', () => {
    const play = new Play([cheap, dear, target('c')])
    const failing = { error: 'server' } as const
    const attemptsOf = (requests: number): number => {
      let attempts = 0
      for (let index = 0; index < requests; index++) {
        const request = play.request()
        const tried: string[] = []
        for (;;) {
          const [chosen] = play.planner.decide({ ...request, tried: [...tried] }, play.nowMs).order
          if (chosen === undefined) break
          attempts++
          tried.push(chosen)
          play.attempt(request.id, chosen, failing, play.nowMs)
        }
        play.nowMs += 20
      }
      return attempts
    }
    attemptsOf(20)
    expect(attemptsOf(1_000)).toBeLessThanOrEqual(1_100)
  })
})

describe('hedging', () => {
  const hedging = { ...QUICK, hedge: { enabled: true, maxExtraCost: 0.05, maxShare: 0.05 } }
  function late(policy = hedging): {
    readonly play: Play
    readonly id: string
    readonly after: number | null
  } {
    const play = new Play(both, { ...policy, explore: { maxShare: 0 } })
    for (let round = 0; round < 10; round++) {
      for (const [id, ttftMs] of [
        ['a/cheap', 450],
        ['b/dear', 300],
      ] as const) {
        const { id: trained } = play.decide()
        play.attempt(trained, id, { ttftMs }, play.nowMs)
        play.nowMs += 2_000
      }
    }
    const request = play.request()
    const { hedgeAfterMs } = play.planner.decide(request, play.nowMs)
    play.planner.attemptStarted(request.id, 'a/cheap', null, play.nowMs)
    return { play, id: request.id, after: hedgeAfterMs }
  }

  test('is asked for while a second target can still be in time', () => {
    expect(late().after).toBeGreaterThan(300)
    expect(late().after).toBeLessThan(1_200)
    expect(late({ ...hedging, hedge: { ...hedging.hedge, enabled: false } }).after).toBeNull()
  })

  test('goes to another target, once, while the first is silent', () => {
    const { play, id } = late()
    play.nowMs += 900
    expect(play.planner.hedge(id, play.nowMs)).toEqual({ target: 'b/dear', account: null })
    play.planner.attemptStarted(id, 'b/dear', null, play.nowMs)
    expect(play.planner.hedge(id, play.nowMs)).toBeNull()
  })

  test.each([
    {
      name: 'goes to one that has never been asked, where that may be quick enough',
      value: 0.05,
      hedged: 'b/new',
    },
    { name: 'stays off where so doubtful a rescue does not pay', value: 0.0005, hedged: undefined },
  ])('$name', ({ value, hedged }) => {
    const slo = { ...hedging.slo, ttftMs: 800, value }
    const play = new Play([cheap, target('b/new')], { ...hedging, slo, explore: { maxShare: 0 } })
    for (let round = 0; round < 20; round++) play.run(() => ({ ttftMs: 250 }))
    const request = play.request()
    const { order, hedgeAfterMs } = play.planner.decide(request, play.nowMs)
    expect(order).toEqual(['a/cheap', 'b/new'])
    play.planner.attemptStarted(request.id, 'a/cheap', null, play.nowMs)
    expect(play.planner.hedge(request.id, play.nowMs + (hedgeAfterMs ?? 400))?.target).toBe(hedged)
    // What is expected of it is said to be nobody's answers.
    expect(play.planner.explainLast(play.nowMs).candidates[1]).toMatchObject({ target: 'b/new', samples: 0 })
  })

  test('is not worth it early, where a miss is worth little, or after an answer', () => {
    const early = late()
    expect(early.play.planner.hedge(early.id, early.play.nowMs + 10)).toBeNull()
    const worthless = late({ ...hedging, slo: { ...hedging.slo, value: 0.0001 } })
    expect(worthless.play.planner.hedge(worthless.id, worthless.play.nowMs + 900)).toBeNull()
    const answered = late()
    answered.play.planner.firstToken(answered.id, 'a/cheap', answered.play.nowMs + 400)
    expect(answered.play.planner.hedge(answered.id, answered.play.nowMs + 900)).toBeNull()
  })
})

describe('exploration', () => {
  const slowed = (id: string) => (id === 'a/cheap' ? { ttftMs: 4_000 } : quick)

  test('tries cheaper targets only, rarely, and says with which probability', () => {
    const play = new Play(both)
    let explored = 0
    for (let index = 0; index < 400; index++) {
      const { decision } = play.run(slowed)
      if (!decision.explore) continue
      explored++
      expect(decision.order[0]).toBe('a/cheap')
      expect(decision.propensity).toBe(0.5)
    }
    expect(explored).toBeGreaterThan(3)
    expect(explored / 400).toBeLessThanOrEqual(0.05)
  })

  test('finds out that a target has recovered within two minutes', () => {
    const play = new Play(both)
    shareOf(play, 50, 'a/cheap', () => quick)
    shareOf(play, 100, 'a/cheap', slowed)
    shareOf(play, 30, 'a/cheap', () => quick)
    expect(shareOf(play, 30, 'a/cheap', () => quick)).toBeGreaterThan(0.8)
  })

  test('tries again even what has never been quick', () => {
    const play = new Play(both)
    shareOf(play, 100, 'a/cheap', slowed)
    shareOf(play, 90, 'a/cheap', () => quick)
    expect(shareOf(play, 30, 'a/cheap', () => quick)).toBeGreaterThan(0.8)
  })

  test('asks an ejected target that was the best choice though it is not cheaper, once its time is up', () => {
    const sure = target('s/sure', { quote: flatQuote(2, 2, 2) })
    const slack = target('t/slack', { quote: flatQuote(1.9, 1.9, 1.9) })
    const behave = (id: string) => ({ ttftMs: id === 's/sure' ? 400 : 1_450 })
    const play = new Play([sure, slack], QUICK)
    expect(shareOf(play, 60, 's/sure', behave)).toBeGreaterThan(0.5)
    const outage = (id: string) => (id === 's/sure' ? ({ error: 'server' } as const) : behave(id))
    shareOf(play, 90, 's/sure', outage)
    shareOf(play, 30, 's/sure', behave)
    expect(shareOf(play, 30, 's/sure', behave)).toBeGreaterThan(0.5)
  })

  test.each([
    { saving: 'next to nothing', input: 1.9, most: 4 },
    { saving: 'much', input: 0.2, most: 20 },
  ])('tries a slow target the less the less it would save: $saving', ({ input, most }) => {
    const slow = target('a/cheap', { quote: flatQuote(input, input, 4 * input) })
    const play = new Play([slow, target('b/dear', { quote: flatQuote(2, 2, 8) })])
    for (let index = 0; index < 20; index++) play.run(slowed)
    let tries = 0
    for (let index = 0; index < 400; index++) if (play.run(slowed).decision.explore) tries++
    expect(tries).toBeLessThanOrEqual(most)
    if (most > 4) expect(tries).toBeGreaterThan(5)
  })

  test('can be switched off', () => {
    const play = new Play(both, { ...QUICK, explore: { maxShare: 0 } })
    for (let index = 0; index < 200; index++) expect(play.run(slowed).decision.propensity).toBe(1)
  })
})

test('a decision explains itself: the runner-up, by how much it lost, and what would have put it first', () => {
  const play = new Play(both, { ...QUICK, explore: { maxShare: 0 } })
  for (let index = 0; index < 20; index++) play.run(() => quick)
  play.decide()
  const explained = play.planner.explainLast(play.nowMs)
  expect(explained).toMatchObject({
    policy: 'quick',
    sort: 'value',
    value: 0.02,
    explored: false,
    excluded: [],
  })
  expect(explained?.candidates.map((entry) => entry.target)).toEqual(['a/cheap', 'b/dear'])
  expect(explained.runnerUp).toMatchObject({ target: 'b/dear', by: 'utility' })
  expect(explained?.runnerUp?.lostBy).toBeGreaterThan(0)
  const [lower] = explained.counterfactuals
  expect(lower).toMatchObject({ quantity: 'p_slo', target: 'a/cheap', above: null })
  expect(lower?.below).toBeLessThan(explained.candidates[0]?.pSlo ?? 0)
})

test('the same seed and the same events give the same decisions', () => {
  const seen = [0, 1].map(() => {
    const play = new Play(both, { ...QUICK, hedge: { enabled: true, maxExtraCost: 0.1, maxShare: 0.1 } }, 5)
    const behave = (id: string) => (id === 'a/cheap' ? { ttftMs: 1_600 } : quick)
    return Array.from({ length: 200 }, () => play.run(behave).decision)
  })
  expect(seen[0]).toEqual(seen[1])
})
