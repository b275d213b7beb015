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
    random: () => given.random ?? 0.5,
  })
}

describe('after a failure', () => {
  const cases: readonly { given: Given; want: Next['kind'] }[] = [
    { given: { kind: 'server' }, want: 'again' },
    { given: { kind: 'connection', status: 0 }, want: 'again' },
    { given: { kind: 'timeout', status: 0 }, want: 'again' },
    { given: { kind: 'protocol', status: 200 }, want: 'again' },
    { given: { kind: 'truncated', status: 200 }, want: 'again' },
    { given: { kind: 'rate_limit', status: 429 }, want: 'again' },
    { given: { kind: 'overloaded', status: 503 }, want: 'again' },
    // The gateway's account, not the client: another target may have better luck.
    { given: { kind: 'auth', status: 401 }, want: 'again' },
    { given: { kind: 'quota', status: 402 }, want: 'again' },
    { given: { kind: 'model_unavailable', status: 404 }, want: 'again' },
    // The request's own fault goes nowhere else.
    { given: { kind: 'invalid_request', status: 400 }, want: 'give_up' },
    { given: { kind: 'invalid_request', status: 422 }, want: 'give_up' },
    // A window too small is not: whatever the list of statuses says.
    { given: { kind: 'context_length', status: 400 }, want: 'again' },
    { given: { kind: 'context_length', status: 400, retry: { onStatusCodes: [] } }, want: 'again' },
    { given: { kind: 'moderation', status: 400 }, want: 'give_up' },
    { given: { kind: 'moderation', status: 500 }, want: 'give_up' },
    { given: { kind: 'moderation', status: 400, onModeration: ['other'] }, want: 'again' },
    // The list of statuses decides the rest.
    { given: { kind: 'server', status: 500, retry: { onStatusCodes: [429] } }, want: 'give_up' },
    { given: { kind: 'server', status: 500, retry: { onStatusCodes: [500] } }, want: 'again' },
    { given: { kind: 'invalid_request', status: 422, retry: { onStatusCodes: [422] } }, want: 'again' },
    { given: { kind: 'timeout', status: 0, retry: { onStatusCodes: [504] } }, want: 'again' },
    { given: { kind: 'rate_limit', status: 200, retry: { onStatusCodes: [429] } }, want: 'again' },
  ]
  test.each(cases)('$given: $want', ({ given, want }) => expect(next(given).kind).toBe(want))

  test('a long retry-after is no reason to wait', () => {
    expect(next({ kind: 'rate_limit', status: 429, retryAfterMs: 600_000 })).toEqual({
      kind: 'again',
      mayBeSame: false,
      waitMs: 0,
    })
  })
})

describe('the same target again', () => {
  const kinds = Object.keys(FAILURE_KINDS) as FailureKind[]
  const passing: readonly FailureKind[] = ['connection', 'server', 'overloaded', 'rate_limit']
  test.each(kinds)('%s: only where it may pass', (kind) => {
    const decided = next({ kind, onModeration: ['other'] })
    expect(decided.kind === 'again' && decided.mayBeSame).toBe(passing.includes(kind))
  })

  test('the wait doubles and is spread', () => {
    const waits = [1, 2, 3].map((attempts) => next({ attempts, retry: { attempts: 9 } }))
    expect(waits).toEqual([200, 400, 800].map((waitMs) => ({ kind: 'again', mayBeSame: true, waitMs })))
    expect(next({ random: 0 })).toEqual({ kind: 'again', mayBeSame: true, waitMs: 100 })
    expect(next({ random: 0.999 })).toEqual({
      kind: 'again',
      mayBeSame: true,
      waitMs: expect.closeTo(300, 0),
    })
  })

  test('the wait is what the vendor asks for, where that is longer', () => {
    expect(next({ retryAfterMs: 3_000 })).toEqual({ kind: 'again', mayBeSame: true, waitMs: 3_000 })
    expect(next({ retryAfterMs: 1 })).toEqual({ kind: 'again', mayBeSame: true, waitMs: 200 })
  })

  test('a vendor that asks for too long is given up', () => {
    expect(next({ retryAfterMs: RETRY_WAIT_MS_MAX })).toMatchObject({ mayBeSame: true })
    expect(next({ retryAfterMs: RETRY_WAIT_MS_MAX + 1 })).toMatchObject({ mayBeSame: false })
  })

  test('what the vendor asks for is no matter where the policy says so', () => {
    const given = { retryAfterMs: 600_000, retry: { respectRetryAfter: false } }
    expect(next(given)).toEqual({ kind: 'again', mayBeSame: true, waitMs: 200 })
  })

  test('no wait is longer than the bound, however many attempts there were', () => {
    for (let attempts = 1; attempts < ATTEMPTS_MAX; attempts++) {
      const decided = next({ attempts, retry: { attempts: 100 }, random: 0.999 })
      expect(decided.kind).toBe('again')
      if (decided.kind === 'again') expect(decided.waitMs).toBeLessThanOrEqual(RETRY_WAIT_MS_MAX)
    }
  })
})

describe('attempts are bounded', () => {
  test('by the policy, the first one counted', () => {
    expect(next({ attempts: 2 }).kind).toBe('again')
    expect(next({ attempts: 3 }).kind).toBe('give_up')
    expect(next({ attempts: 1, retry: { attempts: 1 } }).kind).toBe('give_up')
  })

  test('by the program, whatever the policy says', () => {
    const retry = { attempts: 1_000 }
    expect(next({ attempts: ATTEMPTS_MAX - 1, retry }).kind).toBe('again')
    expect(next({ attempts: ATTEMPTS_MAX, retry }).kind).toBe('give_up')
  })

  test('for context length and allowed moderation too', () => {
    const given = { attempts: 3, onModeration: ['other'] }
    expect(next({ kind: 'context_length', ...given }).kind).toBe('give_up')
    expect(next({ kind: 'moderation', ...given }).kind).toBe('give_up')
  })
})
