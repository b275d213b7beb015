import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ERRORS, FAILURE_KINDS, type FailureKind, GatewayError } from '#core/errors.ts'
import { UPSTREAM_MESSAGE_CHARS_MAX } from '#core/limits.ts'
import { errorBody, errorHeaders } from '#pipeline/error-body.ts'
import { scrub, toGatewayError } from '#pipeline/failure.ts'

const KINDS = Object.keys(FAILURE_KINDS) as FailureKind[]

const failure = (kind: FailureKind, vendorMessage: string, vendorCode: string | null = null) =>
  toGatewayError({ kind, status: 500, vendorCode, vendorMessage, retryAfterMs: null })

const SECRETS = [
  'http://10.1.2.3:8080/v1/chat',
  'https://user:pass@llm.internal/v1?key=abc',
  'sk-proj-abcdefgh12345678',
  'bce-v3/ALTAK-abcdefg/0123456789abcdef',
  'eyJhbGciOiJIUzI1NiJ9.eyJhcGlfa2V5IjoiYSJ9.c2lnbmF0dXJl',
  '0123456789abcdef0123456789abcdef.AbCdEf',
  '192.168.10.20:8443',
  'gpu-7.cluster.local:9000',
  'ark.cn-beijing.volces.com',
  'Bearer abc.def-123',
] as const

describe('what a client sees of an upstream’s failure', () => {
  test.each(KINDS)('%s: one of our codes, never a 401, and no word of our machines', (kind) => {
    for (const secret of SECRETS) {
      const error = failure(kind, `refused by ${secret} for you`, secret)
      expect(error.code).toBe(FAILURE_KINDS[kind])
      expect(error.status).not.toBe(401)
      expect(errorBody(error)).not.toContain(secret)
    }
  })

  test.each(KINDS)('%s: the vendor’s words only where the request itself was at fault', (kind) => {
    const tells = kind === 'invalid_request' || kind === 'context_length' || kind === 'moderation'
    const message = failure(kind, 'temperature out of range').message
    expect(message.includes('temperature out of range')).toBe(tells)
  })

  test('the vendor’s code is shown', () => {
    expect(failure('server', '', 'InternalServiceError').message).toContain('(InternalServiceError)')
  })

  test('a stack is not', () => {
    const stack = 'bad value\n    at parse (/srv/app/parse.js:12:7)\n    at next (/srv/app/next.js:3:1)'
    expect(failure('invalid_request', stack).message).not.toMatch(/srv|parse\.js/)
    const traceback = 'bad value\nTraceback (most recent call last):\n  File "/opt/vllm/serve.py", line 3'
    expect(failure('invalid_request', traceback).message).not.toMatch(/opt|serve\.py/)
  })

  test('a key of ours that a vendor repeats is not shown in any case', () => {
    const message = failure('auth', 'the key 6f9619ff-8b86-d011-b42d-00c04fc964ff is wrong').message
    expect(message).not.toContain('6f9619ff')
  })

  test('how long to wait is handed on', () => {
    const error = toGatewayError({
      kind: 'rate_limit',
      status: 429,
      vendorCode: null,
      vendorMessage: '',
      retryAfterMs: 1_200,
    })
    expect(errorHeaders(error)).toMatchObject({ 'retry-after': '2', 'x-should-retry': 'true' })
  })

  test.each([
    'quota',
    'auth',
    'invalid_request',
    'context_length',
    'moderation',
    'model_unavailable',
  ] as const)('a client need not come again for %s', (kind) =>
    expect(errorHeaders(failure(kind, ''))['x-should-retry']).toBe('false'),
  )
})

describe('vendor text made fit to be shown', () => {
  test('is one line and bounded, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 2_000 }), (text) => {
        const clean = scrub(text)
        expect(clean).not.toMatch(/[\n\r]/)
        expect(clean.length).toBeLessThanOrEqual(UPSTREAM_MESSAGE_CHARS_MAX + 1)
      }),
      { seed: 101 },
    )
  })

  test('keeps what helps: names of fields, numbers, Chinese', () => {
    const text = "max_tokens must be at most 8192, got 9000. 'messages.0.content' 不能为空, version 1.2"
    expect(scrub(text)).toBe(text)
  })
})

describe('the body of an error', () => {
  test('is OpenAI’s shape, every field there', () => {
    const error = new GatewayError('model_not_found', 'no "x"\n', { param: 'model' })
    expect(JSON.parse(errorBody(error))).toEqual({
      error: { message: 'no "x"\n', type: 'invalid_request_error', param: 'model', code: 'model_not_found' },
    })
    expect(JSON.parse(errorBody(new GatewayError('overloaded', 'm')))).toMatchObject({
      error: { param: null },
    })
  })

  test.each(Object.entries(ERRORS))('%s says whether to come again', (code, row) => {
    const error = new GatewayError(code as keyof typeof ERRORS, 'm')
    expect(error.status).toBe(row.status)
    expect(errorHeaders(error)['x-should-retry']).toBe(String(row.retry))
    expect(errorHeaders(error)).not.toHaveProperty('retry-after')
  })

  test.each([
    { waitMs: 0, header: '1' },
    { waitMs: 1, header: '1' },
    { waitMs: 1_000, header: '1' },
    { waitMs: 1_001, header: '2' },
  ])('a wait of $waitMs ms is rounded up to $header s', ({ waitMs, header }) => {
    const error = new GatewayError('rate_limit_exceeded', 'm', { retryAfterMs: waitMs })
    expect(errorHeaders(error)['retry-after']).toBe(header)
  })

  test('the cause of an error is not in it', () => {
    const error = new GatewayError('internal_error', 'the gateway failed', {
      cause: new Error('redis://10.0.0.1'),
    })
    expect(errorBody(error)).not.toMatch(/redis|10\.0/)
  })
})
