import { describe, expect, test } from 'vitest'
import type { FailureKind } from '#core/errors.ts'
import type { ErrorRule } from '#core/provider.ts'
import { classify, isErrorBody, readErrorBody, readRetryAfter, toFailure } from '#wire/openai-chat/failure.ts'
import { encode } from './support.ts'

describe('error bodies of all shapes are read', () => {
  const cases = [
    {
      body: '{"error":{"message":"m","type":"t","param":null,"code":"c"}}',
      code: 'c',
      type: 't',
      message: 'm',
    },
    { body: '{"error":{"message":"m","code":404}}', code: '404', type: null, message: 'm' },
    { body: '{"error":{"message":"m","code":""}}', code: null, type: null, message: 'm' },
    { body: '{"error":"engine died"}', code: null, type: null, message: 'engine died' },
    { body: '{"error":{"message":{"a":1}}}', code: null, type: null, message: '{"a":1}' },
    {
      body: '{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"x"}',
      code: 'InvalidApiKey',
      type: null,
      message: 'Invalid API-key provided.',
    },
    {
      body: '{"error_code":110,"error_msg":"Access token invalid"}',
      code: '110',
      type: null,
      message: 'Access token invalid',
    },
    {
      body: '{"object":"error","message":"m","type":"BadRequestError","code":400}',
      code: '400',
      type: 'BadRequestError',
      message: 'm',
    },
    {
      body: '{"base_resp":{"status_code":1002,"status_msg":"rate"}}',
      code: '1002',
      type: null,
      message: 'rate',
    },
    { body: '{"error":"m","error_type":"validation"}', code: null, type: 'validation', message: 'm' },
    { body: '{"detail":"Not Found"}', code: null, type: null, message: 'Not Found' },
    {
      body: '{"detail":[{"loc":["body"],"msg":"field required"}]}',
      code: null,
      type: null,
      message: '[{"loc":["body"],"msg":"field required"}]',
    },
    { body: '"just text"', code: null, type: null, message: 'just text' },
    { body: '<html>502 Bad Gateway</html>', code: null, type: null, message: '<html>502 Bad Gateway</html>' },
    { body: '', code: null, type: null, message: '' },
    {
      body: 'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter","message":"m"}\n\n',
      code: 'InvalidParameter',
      type: null,
      message: 'm',
    },
    {
      body: 'data: {"error":{"message":"m","code":"c"}}\n\ndata: [DONE]\n\n',
      code: 'c',
      type: null,
      message: 'm',
    },
    { body: '\n\n{"error":{"message":"m"}}', code: null, type: null, message: 'm' },
  ]
  test.each(cases)('$body', ({ body, ...want }) => expect(readErrorBody(encode(body))).toEqual(want))
})

describe('an answer under HTTP 200 is an error or not', () => {
  const cases = [
    { body: { choices: [] }, error: false },
    { body: { choices: [], code: 0, message: 'Success', sid: 'x' }, error: false },
    { body: { choices: [], error: null }, error: false },
    { body: { choices: [], error_code: null }, error: false },
    { body: { choices: [], error_code: 0, error_msg: '' }, error: false },
    { body: { choices: [], base_resp: { status_code: 0 } }, error: false },
    { body: { id: 'x', object: 'chat.completion.chunk' }, error: false },
    { body: { choices: [], error: { message: 'x' } }, error: true },
    { body: { error: 'x' }, error: true },
    { body: { choices: null, base_resp: { status_code: 1008 } }, error: true },
    { body: { error_code: 18, error_msg: 'qps' }, error: true },
    { body: { code: 10013, message: 'x' }, error: true },
    { body: { code: 'Throttling' }, error: true },
    { body: { object: 'error', message: 'x' }, error: true },
    { body: { detail: 'x' }, error: true },
    { body: 'text', error: true },
    { body: [], error: true },
    { body: null, error: true },
  ]
  test.each(cases)('$body: $error', ({ body, error }) => expect(isErrorBody(body)).toBe(error))
})

describe('a failure without a line in the vendor’s table gets its kind', () => {
  const cases: readonly {
    status: number
    code?: string
    type?: string
    message?: string
    kind: FailureKind
  }[] = [
    // By shape, whatever the status.
    { status: 500, code: 'context_length_exceeded', kind: 'context_length' },
    { status: 400, message: "This model's maximum context length is 4096 tokens.", kind: 'context_length' },
    { status: 400, message: 'the request exceeds the available context size', kind: 'context_length' },
    { status: 413, message: 'prompt is too long: 210000 tokens > 200000 maximum', kind: 'context_length' },
    { status: 400, message: 'Range of input length should be [1, 30720]', kind: 'context_length' },
    { status: 400, message: '输入长度超过限制', kind: 'context_length' },
    { status: 403, code: 'content_policy_violation', kind: 'moderation' },
    { status: 500, type: 'content_filter', kind: 'moderation' },
    { status: 400, message: 'Input data may contain inappropriate content.', kind: 'moderation' },
    { status: 400, message: 'the input text may contain sensitive information', kind: 'moderation' },
    { status: 400, message: '内容包含敏感词', kind: 'moderation' },
    {
      status: 400,
      message: 'The request was rejected because it was considered high risk',
      kind: 'moderation',
    },
    { status: 429, type: 'insufficient_quota', kind: 'quota' },
    { status: 403, code: 'AccountOverdueError', kind: 'quota' },
    { status: 400, code: 'Arrearage', kind: 'quota' },
    { status: 200, code: 'rate_limit_exceeded', kind: 'rate_limit' },
    { status: 200, type: 'overloaded_error', kind: 'overloaded' },
    { status: 200, code: 'invalid_api_key', kind: 'auth' },
    // By status.
    { status: 401, kind: 'auth' },
    { status: 402, kind: 'quota' },
    { status: 403, kind: 'auth' },
    { status: 404, kind: 'model_unavailable' },
    { status: 408, kind: 'timeout' },
    { status: 429, kind: 'rate_limit' },
    { status: 503, kind: 'overloaded' },
    { status: 504, kind: 'timeout' },
    { status: 529, kind: 'overloaded' },
    { status: 500, kind: 'server' },
    { status: 200, kind: 'server' },
    { status: 400, kind: 'invalid_request' },
    { status: 422, kind: 'invalid_request' },
    { status: 302, kind: 'protocol' },
    // Words that only look like another kind's.
    {
      status: 429,
      message: 'You exceeded the maximum number of tokens per minute (TPM) limit',
      kind: 'rate_limit',
    },
    { status: 429, message: 'Account has exceeded the max requests limit per minute', kind: 'rate_limit' },
    {
      status: 429,
      message: 'Rate limit reached: exceeded the model token limit of this organisation',
      kind: 'rate_limit',
    },
    { status: 400, message: 'field names are case-sensitive', kind: 'invalid_request' },
    { status: 400, message: 'Model ids are case sensitive', kind: 'invalid_request' },
    { status: 403, message: 'Access to this resource is prohibited', kind: 'auth' },
  ]
  test.each(cases)(
    '$status $code $type $message: $kind',
    ({ status, code = null, type = null, message = '', kind }) => {
      expect(classify({ code, type, message }, status, [])).toEqual({ kind, renew: false })
    },
  )
})

describe('the vendor’s table', () => {
  const rules: readonly ErrorRule[] = [
    { status: 400, code: '110', kind: 'auth', renew: true },
    { code: /^Throttling/, message: /quota/, kind: 'quota' },
    { code: /^Throttling/, kind: 'rate_limit' },
    { type: 'busy', kind: 'overloaded' },
  ]
  const kindOf = (status: number, code: string | null, type: string | null, message = '') =>
    classify({ code, type, message }, status, rules)

  test('the first line whose every part matches holds', () => {
    expect(kindOf(429, 'Throttling.AllocationQuota', null, 'no quota')).toEqual({
      kind: 'quota',
      renew: false,
    })
    expect(kindOf(429, 'Throttling', null, 'slow down')).toEqual({ kind: 'rate_limit', renew: false })
    expect(kindOf(400, '110', null)).toEqual({ kind: 'auth', renew: true })
    expect(kindOf(200, '110', null)).toEqual({ kind: 'server', renew: false })
  })

  test('text codes match whole', () => {
    expect(kindOf(400, '1101', null).kind).toBe('invalid_request')
    expect(kindOf(500, null, 'busybody').kind).toBe('server')
  })

  test('comes before the shape of the words', () => {
    expect(kindOf(500, null, 'busy', 'context length exceeded').kind).toBe('overloaded')
  })

  test('the vendor’s own words are kept for the log', () => {
    expect(toFailure({ code: null, type: 'busy', message: 'm' }, 500, rules, 1200)).toEqual({
      kind: 'overloaded',
      status: 500,
      vendorCode: 'busy',
      vendorMessage: 'm',
      retryAfterMs: 1200,
      renew: false,
    })
  })
})

describe('how long to wait', () => {
  const nowMs = Date.UTC(2026, 0, 1)
  const cases = [
    { headers: {}, waitMs: null },
    { headers: { 'retry-after': '2' }, waitMs: 2000 },
    { headers: { 'retry-after': '0.25' }, waitMs: 250 },
    { headers: { 'retry-after': '0' }, waitMs: 0 },
    { headers: { 'retry-after': 'Thu, 01 Jan 2026 00:00:03 GMT' }, waitMs: 3000 },
    { headers: { 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, waitMs: 0 },
    { headers: { 'retry-after': '99999999' }, waitMs: 60_000 },
    { headers: { 'retry-after': 'soon' }, waitMs: null },
    { headers: { 'retry-after': '' }, waitMs: null },
    { headers: { 'retry-after': '-5' }, waitMs: null },
    { headers: { 'retry-after-ms': '1500', 'retry-after': '9' }, waitMs: 1500 },
    { headers: { 'retry-after-ms': 'x', 'retry-after': '9' }, waitMs: 9000 },
  ]
  test.each(cases)('$headers: $waitMs ms', ({ headers, waitMs }) => {
    expect(readRetryAfter(headers, nowMs, 60_000)).toBe(waitMs)
  })
})
