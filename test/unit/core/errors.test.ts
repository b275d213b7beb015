import { describe, expect, test } from 'vitest'
import { assert, unreachable } from '#core/assert.ts'
import { ERRORS, type ErrorCode, FAILURE_KINDS, GatewayError } from '#core/errors.ts'

describe('the codes that clients can see', () => {
  /** DESIGN 2.3, row by row. */
  const published: Readonly<Record<number, readonly string[]>> = {
    400: ['invalid_request', 'unsupported_parameter', 'context_length_exceeded', 'content_filter'],
    401: ['invalid_api_key'],
    402: ['insufficient_quota'],
    403: ['model_not_allowed'],
    404: ['model_not_found'],
    408: ['request_timeout'],
    413: ['request_too_large'],
    429: ['rate_limit_exceeded', 'upstream_rate_limited'],
    502: ['upstream_error', 'upstream_auth', 'upstream_protocol', 'upstream_truncated'],
    503: ['no_target', 'overloaded', 'store_unavailable'],
    504: ['upstream_timeout'],
  }
  test.each(Object.entries(published))('%s stands for %j', (status, codes) => {
    for (const code of codes) expect(ERRORS[code as ErrorCode].status).toBe(Number(status))
  })

  test('a fault of an upstream is never a 401, 402 or 403 of the client', () => {
    for (const code of Object.values(FAILURE_KINDS))
      expect([401, 402, 403]).not.toContain(ERRORS[code].status)
  })

  test('an SDK is told not to come again for what the client itself must change', () => {
    for (const [code, row] of Object.entries(ERRORS))
      if (row.status < 500 && row.status !== 429) expect([code, row.retry]).toEqual([code, false])
  })
})

describe('the one error', () => {
  test('takes its status, type and retry from its code', () => {
    const error = new GatewayError('overloaded', 'busy')
    expect(error).toMatchObject({
      status: 503,
      type: 'server_error',
      shouldRetry: true,
      param: null,
      retryAfterMs: null,
    })
    expect(error).toBeInstanceOf(Error)
  })

  test('may know better whether to come again, and keeps its cause', () => {
    const cause = new Error('why')
    const error = new GatewayError('no_target', 'no key', { shouldRetry: false, cause, param: 'model' })
    expect(error).toMatchObject({ shouldRetry: false, cause, param: 'model' })
    expect(new GatewayError('no_target', 'm')).not.toHaveProperty('cause')
  })
})

test('a broken invariant is loud', () => {
  expect(() => assert(0, 'a hold is settled once')).toThrow('invariant broken: a hold is settled once')
  expect(() => assert('x', 'fine')).not.toThrow()
  expect(() => unreachable('x' as never)).toThrow('unreachable: x')
})
