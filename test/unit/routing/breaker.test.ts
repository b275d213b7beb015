import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FAILURE_KINDS, type FailureKind } from '#core/errors.ts'
import {
  admits,
  atInstant,
  type BreakerState,
  CLOSED,
  onFailure,
  onNeutral,
  onSent,
  onSuccess,
} from '#routing/breaker.ts'

const RULES = { consecutive5xx: 3, baseEjectionMs: 5_000, maxEjectionMs: 60_000 }
const KINDS = Object.keys(FAILURE_KINDS) as FailureKind[]

const failed = (
  breaker: BreakerState,
  kind: FailureKind,
  nowMs: number,
  retryAfterMs: number | null = null,
): BreakerState => onFailure(atInstant(breaker, nowMs), kind, RULES, nowMs, retryAfterMs)

/** Opened at 0 by three failures; open until 5,000. */
const OPENED = [0, 0, 0].reduce<BreakerState>((breaker) => failed(breaker, 'server', 0), CLOSED)

/** Waits for the end of the ejection and fails the probe. */
function failProbe(breaker: BreakerState): BreakerState {
  const halfOpen = atInstant(breaker, breaker.untilMs)
  expect(halfOpen.state).toBe('half_open')
  return failed(onSent(halfOpen), 'server', breaker.untilMs)
}

describe('a target that fails', () => {
  test('is ejected at the third failure in a row', () => {
    const two = failed(failed(CLOSED, 'server', 0), 'timeout', 0)
    expect(two).toMatchObject({ state: 'closed', consecutiveFailures: 2 })
    expect(failed(two, 'connection', 100)).toMatchObject({
      state: 'open',
      untilMs: 5_100,
      sinceMs: 100,
      reason: 'connection',
    })
  })

  test('begins anew after a success', () => {
    const two = failed(failed(CLOSED, 'server', 0), 'server', 0)
    expect(failed(onSuccess(two), 'server', 0).state).toBe('closed')
  })

  test.each(['server', 'connection', 'timeout', 'protocol', 'truncated', 'overloaded'] as const)(
    '%s counts',
    (kind) => {
      expect(failed(CLOSED, kind, 0).consecutiveFailures).toBe(1)
    },
  )

  test.each(['moderation', 'invalid_request', 'context_length'] as const)(
    '%s says nothing of the target',
    (kind) => {
      const many = Array.from({ length: 10 }).reduce<BreakerState>(
        (breaker) => failed(breaker, kind, 0),
        CLOSED,
      )
      expect(many).toEqual(CLOSED)
    },
  )

  test.each(['rate_limit', 'quota', 'auth', 'model_unavailable'] as const)('%s ejects at once', (kind) => {
    expect(failed(CLOSED, kind, 0)).toMatchObject({ state: 'open', reason: kind })
  })

  test('a rate limit lasts as long as the vendor says, else a second', () => {
    expect(failed(CLOSED, 'rate_limit', 100, 30_000).untilMs).toBe(30_100)
    expect(failed(CLOSED, 'rate_limit', 100).untilMs).toBe(1_100)
  })

  test('an overloaded one is left alone as long as it asks, within the bound', () => {
    const two = failed(failed(CLOSED, 'overloaded', 0), 'overloaded', 0)
    expect(failed(two, 'overloaded', 0, 20_000).untilMs).toBe(20_000)
    expect(failed(two, 'overloaded', 0, 900_000).untilMs).toBe(60_000)
  })
})

describe('an ejected target', () => {
  test('takes no request until its time is up, then one at a time', () => {
    expect(admits(atInstant(OPENED, 4_999))).toBe(false)
    const halfOpen = atInstant(OPENED, 5_000)
    expect(admits(halfOpen)).toBe(true)
    expect(admits(onSent(halfOpen))).toBe(false)
  })

  test('is back after a good probe', () => {
    expect(onSuccess(onSent(atInstant(OPENED, 5_000)))).toEqual(CLOSED)
  })

  test('is ejected twice as long after each bad probe, up to the bound', () => {
    const lengths: number[] = []
    let breaker = OPENED
    for (let round = 0; round < 6; round++) {
      lengths.push(breaker.untilMs - breaker.sinceMs)
      breaker = failProbe(breaker)
    }
    expect(lengths).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000])
  })

  test('may be probed again when a probe says nothing', () => {
    expect(admits(onNeutral(onSent(atInstant(OPENED, 5_000))))).toBe(true)
    expect(admits(failed(onSent(atInstant(OPENED, 5_000)), 'invalid_request', 5_100))).toBe(true)
  })

  test('is not ejected longer by failures of requests that ran when it was ejected', () => {
    const late = Array.from({ length: 50 }).reduce<BreakerState>(
      (breaker) => failed(breaker, 'server', 1_000),
      OPENED,
    )
    expect(late).toMatchObject({ untilMs: 5_000, ejections: 1 })
  })
})

describe('a target at its rate limit', () => {
  const cooling = failed(CLOSED, 'rate_limit', 0, 30_000)

  test('stays so when another answer says less', () => {
    expect(failed(cooling, 'rate_limit', 100).untilMs).toBe(30_000)
    expect(failed(cooling, 'server', 100).untilMs).toBe(30_000)
  })

  test('stays so longer when another answer says more', () => {
    expect(failed(cooling, 'rate_limit', 100, 60_000)).toMatchObject({
      untilMs: 60_100,
      reason: 'rate_limit',
    })
  })

  test('stays so when a request that ran before is answered', () => {
    expect(onSuccess(cooling)).toEqual(cooling)
  })

  test('a storm of refusals is one ejection', () => {
    const storm = Array.from({ length: 50 }).reduce<BreakerState>(
      (breaker) => failed(breaker, 'rate_limit', 10, 1_000),
      CLOSED,
    )
    expect(storm.ejections).toBe(1)
  })
})

test('whatever happens, a target is never ejected for good', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom(...KINDS), retryAfterMs: fc.option(fc.nat(120_000)) }),
    fc.constantFrom('sent', 'success', 'neutral'),
  )
  const run = fc.array(fc.tuple(fc.nat(20_000), step), { maxLength: 60 })
  const rules = fc.record({
    consecutive5xx: fc.integer({ min: 1, max: 5 }),
    baseEjectionMs: fc.integer({ min: 1, max: 100_000 }),
    maxEjectionMs: fc.integer({ min: 1, max: 100_000 }),
  })
  fc.assert(
    fc.property(run, rules, (steps, given) => {
      let nowMs = 0
      let breaker = CLOSED
      let longestAskedMs = 1_000
      for (const [waitMs, what] of steps) {
        nowMs += waitMs
        breaker = atInstant(breaker, nowMs)
        if (what === 'sent') breaker = onSent(breaker)
        else if (what === 'success') breaker = onSuccess(breaker)
        else if (what === 'neutral') breaker = onNeutral(breaker)
        else {
          if (what.kind === 'rate_limit') longestAskedMs = Math.max(longestAskedMs, what.retryAfterMs ?? 0)
          breaker = onFailure(breaker, what.kind, given, nowMs, what.retryAfterMs)
        }
        if (breaker.state === 'open') {
          expect(breaker.untilMs).toBeGreaterThanOrEqual(nowMs)
          expect(breaker.untilMs - nowMs).toBeLessThanOrEqual(Math.max(given.maxEjectionMs, longestAskedMs))
          expect(admits(breaker)).toBe(false)
          expect(admits(atInstant(breaker, breaker.untilMs))).toBe(true)
          expect(breaker.reason).not.toBeNull()
        }
        if (breaker.state === 'closed') expect(breaker).toMatchObject({ untilMs: 0, probing: false })
      }
    }),
    { seed: 91, numRuns: 500 },
  )
})
