import { describe, expect, test } from 'vitest'
import { FAILURE_KINDS, type FailureKind, type UpstreamFailure } from '#core/errors.ts'
import { ATTEMPTS_MAX, RETRY_WAIT_MS_MAX } from '#core/limits.ts'
import type { PolicySettings } from '#core/settings.ts'
import { decideNext, type Next } from '#routing/retry.ts'
import { policyWith } from './policy.ts'

const POLICY = policyWith()

interface Given {
  readonly kind?: FailureKind
  readonly status?: number
  readonly retryAfterMs?: number | null
  readonly attempts?: number
  readonly targetsLeft?: number
  readonly retry?: Partial<PolicySettings['retry']>
  readonly onModeration?: PolicySettings['onModeration']
  readonly random?: number
}

function next(given: Given): Next {
  const { kind = 'server', status = 500, retryAfterMs = null } = given
  const failure: UpstreamFailure = { kind, status, vendorCode: null, vendorMessage: '', retryAfterMs }
  const { onModeration = POLICY.onModeration } = given
  return decideNext({
    failure,
    policy: { ...POLICY, retry: { ...POLICY.retry, ...given.retry }, onModeration },
    attempts: given.attempts ?? 1,
    targetsLeft: given.targetsLeft ?? 0,
    random: () => given.random ?? 0.5,
  })
}

describe('after a failure with targets left', () => {
  const cases: readonly { given: Given; want: Next['kind'] }[] = [
    { given: { kind: 'server' }, want: 'fall_back' },
    { given: { kind: 'connection', status: 0 }, want: 'fall_back' },
    { given: { kind: 'timeout', status: 0 }, want: 'fall_back' },
    { given: { kind: 'protocol', status: 200 }, want: 'fall_back' },
    { given: { kind: 'truncated', status: 200 }, want: 'fall_back' },
    { given: { kind: 'rate_limit', status: 429 }, want: 'fall_back' },
    { given: { kind: 'overloaded', status: 503 }, want: 'fall_back' },
    // The gateway's account, not the client: another target may have better luck.
    { given: { kind: 'auth', status: 401 }, want: 'fall_back' },
    { given: { kind: 'quota', status: 402 }, want: 'fall_back' },
    { given: { kind: 'model_unavailable', status: 404 }, want: 'fall_back' },
    // The request's own fault goes nowhere else.
    { given: { kind: 'invalid_request', status: 400 }, want: 'give_up' },
    { given: { kind: 'invalid_request', status: 422 }, want: 'give_up' },
    // A window too small is not: whatever the list of statuses says.
    { given: { kind: 'context_length', status: 400 }, want: 'fall_back' },
    { given: { kind: 'context_length', status: 400, retry: { onStatusCodes: [] } }, want: 'fall_back' },
    { given: { kind: 'moderation', status: 400 }, want: 'give_up' },
    { given: { kind: 'moderation', status: 500 }, want: 'give_up' },
    { given: { kind: 'moderation', status: 400, onModeration: ['other'] }, want: 'fall_back' },
    // The list of statuses decides the rest.
    { given: { kind: 'server', status: 500, retry: { onStatusCodes: [429] } }, want: 'give_up' },
    { given: { kind: 'server', status: 500, retry: { onStatusCodes: [500] } }, want: 'fall_back' },
    { given: { kind: 'invalid_request', status: 422, retry: { onStatusCodes: [422] } }, want: 'fall_back' },
    { given: { kind: 'timeout', status: 0, retry: { onStatusCodes: [504] } }, want: 'fall_back' },
    { given: { kind: 'rate_limit', status: 200, retry: { onStatusCodes: [429] } }, want: 'fall_back' },
  ]
  test.each(cases)('$given: $want', ({ given, want }) =>
    expect(next({ targetsLeft: 2, ...given }).kind).toBe(want),
  )

  test('a long retry-after is no reason to wait', () => {
    expect(next({ kind: 'rate_limit', status: 429, retryAfterMs: 600_000, targetsLeft: 1 }).kind).toBe(
      'fall_back',
    )
  })
})

describe('after a failure with no target left', () => {
  const kinds = Object.keys(FAILURE_KINDS) as FailureKind[]
  const passing: readonly FailureKind[] = ['connection', 'server', 'overloaded', 'rate_limit']
  test.each(kinds)('%s is tried again only where it may pass', (kind) => {
    expect(next({ kind, onModeration: ['other'] }).kind).toBe(passing.includes(kind) ? 'retry' : 'give_up')
  })

  test('the wait doubles and is spread', () => {
    const waits = [1, 2, 3].map((attempts) => next({ attempts, retry: { attempts: 9 } }))
    expect(waits).toEqual([200, 400, 800].map((waitMs) => ({ kind: 'retry', waitMs })))
    expect(next({ random: 0 })).toEqual({ kind: 'retry', waitMs: 100 })
    expect(next({ random: 0.999 })).toEqual({ kind: 'retry', waitMs: expect.closeTo(300, 0) })
  })

  test('the wait is what the vendor asks for, where that is longer', () => {
    expect(next({ retryAfterMs: 3_000 })).toEqual({ kind: 'retry', waitMs: 3_000 })
    expect(next({ retryAfterMs: 1 })).toEqual({ kind: 'retry', waitMs: 200 })
  })

  test('a vendor that asks for too long is given up', () => {
    expect(next({ retryAfterMs: RETRY_WAIT_MS_MAX }).kind).toBe('retry')
    expect(next({ retryAfterMs: RETRY_WAIT_MS_MAX + 1 }).kind).toBe('give_up')
  })

  test('what the vendor asks for is no matter where the policy says so', () => {
    const given = { retryAfterMs: 600_000, retry: { respectRetryAfter: false } }
    expect(next(given)).toEqual({ kind: 'retry', waitMs: 200 })
  })

  test('no wait is longer than the bound, however many attempts there were', () => {
    for (let attempts = 1; attempts < ATTEMPTS_MAX; attempts++) {
      const decided = next({ attempts, retry: { attempts: 100 }, random: 0.999 })
      expect(decided.kind).toBe('retry')
      if (decided.kind === 'retry') expect(decided.waitMs).toBeLessThanOrEqual(RETRY_WAIT_MS_MAX)
    }
  })
})

describe('attempts are bounded', () => {
  test('by the policy, the first one counted', () => {
    expect(next({ attempts: 2, targetsLeft: 5 }).kind).toBe('fall_back')
    expect(next({ attempts: 3, targetsLeft: 5 }).kind).toBe('give_up')
    expect(next({ attempts: 1, targetsLeft: 5, retry: { attempts: 1 } }).kind).toBe('give_up')
  })

  test('by the program, whatever the policy says', () => {
    const retry = { attempts: 1_000 }
    expect(next({ attempts: ATTEMPTS_MAX - 1, targetsLeft: 5, retry }).kind).toBe('fall_back')
    expect(next({ attempts: ATTEMPTS_MAX, targetsLeft: 5, retry }).kind).toBe('give_up')
  })

  test('for context length and allowed moderation too', () => {
    const given = { attempts: 3, targetsLeft: 5, onModeration: ['other'] }
    expect(next({ kind: 'context_length', ...given }).kind).toBe('give_up')
    expect(next({ kind: 'moderation', ...given }).kind).toBe('give_up')
  })
})
