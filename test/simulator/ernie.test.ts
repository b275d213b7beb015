// Against the official pages of Qianfan V2, and captures of the old API.

import { expect, test } from 'vitest'
import type { Simulator } from '#simulator/simulate.ts'
import { type Answer, ask, call, events, plain, start } from './caller.ts'

const TOKEN = '/oauth/2.0/token?grant_type=client_credentials&client_id=ak&client_secret=sk'

async function tokenOf(simulator: Simulator): Promise<string> {
  const { text } = await call(simulator, undefined, { path: TOKEN, key: null })
  return JSON.parse(text).access_token
}

async function callOld(simulator: Simulator, body: object, token?: string): Promise<Answer> {
  const path = `/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/m?access_token=${token ?? (await tokenOf(simulator))}`
  return await call(simulator, body, { path, key: null })
}

const old = (text: string, rest: object = {}) => ({ messages: [{ role: 'user', content: text }], ...rest })

test('the role stands in the first frame only, and usage on the finishing one', async () => {
  const simulator = await start('ernie', { answer: '你好' })
  const { text } = await call(
    simulator,
    ask('你好', { stream: true, stream_options: { include_usage: true } }),
  )
  const head = '{"id":"as-…","object":"chat.completion.chunk","created":0,"model":"m","choices":[{"index":0,'
  expect(plain(text)).toBe(
    [
      `data: ${head}"delta":{"role":"assistant","content":"你"},"finish_reason":null}]}`,
      `data: ${head}"delta":{"content":"好"},"finish_reason":null}]}`,
      `data: ${head}"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}`,
      'data: [DONE]',
      '',
    ].join('\n\n'),
  )
})

test('usage may stand on a chunk of its own instead', async () => {
  const simulator = await start('ernie', { answer: '好' }, { options: { usageChunk: 'separate' } })
  const { text } = await call(
    simulator,
    ask('你好', { stream: true, stream_options: { include_usage: true } }),
  )
  expect(plain(text)).toContain('"choices":[],"usage":{"prompt_tokens":9,')
  expect(text).not.toContain('"finish_reason":"stop"}],"usage"')
})

test('a whole answer carries the safety flag, and ids of calls are bare hexadecimal digits', async () => {
  const simulator = await start('ernie')
  const tools = [{ type: 'function', function: { name: 'now' } }]
  const answer = JSON.parse((await call(simulator, ask('now?', { tools }))).text)
  expect(answer.id).toMatch(/^as-[0-9a-z]{10}$/)
  expect(answer.choices[0]).toMatchObject({ finish_reason: 'tool_calls', flag: 0, message: { content: '' } })
  expect(answer.choices[0].message.tool_calls[0].id).toMatch(/^[0-9a-f]{32}$/)
})

test.each([
  ['auth', 401, 'invalid_iam_token', 'invalid_request_error'],
  ['rate_limit', 429, 'rpm_rate_limit_exceeded', 'rate_limit_exceeded'],
  ['quota', 403, 'account_overdue', 'access_denied'],
  ['overloaded', 429, 'cluster_rate_limit_exceeded', 'rate_limit_exceeded'],
  ['context_length', 400, 'tokens_too_long', 'invalid_request_error'],
  ['moderation', 403, 'user_setting_unsafe', 'unsafe_request'],
  ['model_unavailable', 401, 'invalid_model', 'invalid_request_error'],
  ['server', 500, 'internal_error', 'Internal_error'],
] as const)('%s has the id outside of the error', async (fault, status, code, type) => {
  const simulator = await start('ernie', {}, { faults: [{ fault }] })
  const answer = await call(simulator, ask('你好'))
  expect(answer.status).toBe(status)
  expect(JSON.parse(answer.text)).toEqual({
    error: { code, message: expect.any(String), type },
    id: expect.stringMatching(/^as-/),
  })
})

test('limits are told in headers', async () => {
  const simulator = await start('ernie', { limits: { rpm: 5 } })
  const { headers } = await call(simulator, ask('你好'))
  expect(headers['x-ratelimit-limit-requests']).toBe('5')
  expect(headers['x-ratelimit-remaining-requests']).toBe('4')
})

test('a system message must be first, and content there', async () => {
  const simulator = await start('ernie')
  const late = [
    { role: 'user', content: '你好' },
    { role: 'system', content: '简短' },
  ]
  const answers = [await call(simulator, { model: 'm', messages: late }), await call(simulator, ask(' '))]
  expect(answers.map(({ status, text }) => [status, JSON.parse(text).error.code])).toEqual([
    [400, 'invalid_messages'],
    [400, 'invalid_messages'],
  ])
})

test('a wrong path is plain text', async () => {
  const simulator = await start('ernie')
  const answer = await call(simulator, ask('你好'), { path: '/v2/v1/chat/completions' })
  expect([answer.status, answer.text]).toEqual([404, '404 page not found\n'])
})

test('the old API streams sentences with cumulative usage and no end mark', async () => {
  const simulator = await start('ernie', { answer: '当然可以，我来。' })
  const { text, headers } = await callOld(simulator, old('你好', { stream: true }))
  expect(headers['content-type']).toBe('text/event-stream; charset=utf-8')
  const line = (sentence: number, end: boolean, result: string, output: number) =>
    `data: {"id":"as-…","object":"chat.completion","created":0,"sentence_id":${sentence},"is_end":${end},"is_truncated":false,"result":"${result}","need_clear_history":false,"finish_reason":"normal","usage":{"prompt_tokens":9,"completion_tokens":${output},"total_tokens":${9 + output}}}`
  expect(plain(text)).toBe(
    [line(0, false, '当然可以，', 5), line(1, false, '我来。', 8), line(2, true, '', 8), ''].join('\n\n'),
  )
})

test('the old API answers whole under `result`', async () => {
  const simulator = await start('ernie', { answer: '好' })
  const { text } = await callOld(simulator, old('你好'))
  expect(plain(text)).toBe(
    '{"id":"as-…","object":"chat.completion","created":0,"result":"好","is_truncated":false,"need_clear_history":false,"finish_reason":"normal","usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}',
  )
})

test.each([
  [
    'an even number',
    [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ],
    'the length of messages must be an odd number',
  ],
  [
    'a system message',
    [
      { role: 'system', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
    ],
    'the role of message with even index in the messages must be user or function',
  ],
  [
    'two users in a row',
    [
      { role: 'user', content: 'a' },
      { role: 'user', content: 'b' },
      { role: 'user', content: 'c' },
    ],
    'the role of message with odd index in the messages must be assistant',
  ],
] as const)('the old API refuses %s under HTTP 200', async (_name, messages, message) => {
  const simulator = await start('ernie')
  const answer = await callOld(simulator, { messages, stream: true })
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
  expect(plain(answer.text)).toBe(`{"error_code":336006,"error_msg":"${message}","id":"as-…"}`)
  expect(answer.headers['x-aipe-self-def']).toMatch(/^eb_total_tokens:0,prompt_tokens:0,id:as-/)
})

test('a system text apart from the messages counts as input', async () => {
  const simulator = await start('ernie')
  const bare = JSON.parse((await callOld(simulator, old('你好'))).text)
  const told = JSON.parse((await callOld(simulator, old('你好', { system: '简短' }))).text)
  expect(told.usage.prompt_tokens - bare.usage.prompt_tokens).toBe(6)
})

test('a function call comes whole', async () => {
  const simulator = await start('ernie')
  const functions = [{ name: 'now', description: '现在几点', parameters: { type: 'object', properties: {} } }]
  const { text } = await callOld(simulator, old('现在几点？', { functions, stream: true }))
  expect(events(text).at(-1)).toMatchObject({
    is_end: true,
    finish_reason: 'function_call',
    function_call: { name: 'now', arguments: '{}' },
  })
})

test('a wrong token is 110 and an expired one 111, under HTTP 200', async () => {
  const simulator = await start('ernie', {}, { options: { tokenTtlSeconds: 0 } })
  const token = await tokenOf(simulator)
  const wrong = await callOld(simulator, old('你好'), 'wrong')
  expect([wrong.status, wrong.text]).toEqual([
    200,
    '{"error_code":110,"error_msg":"Access token invalid or no longer valid"}',
  ])
  const { text } = await callOld(simulator, old('你好'), token)
  expect(text).toBe('{"error_code":111,"error_msg":"Access token expired"}')
})

test('the token endpoint tells a wrong secret from none', async () => {
  const simulator = await start('ernie', {}, { keys: ['ak:other'] })
  const wrong = await call(simulator, undefined, { path: TOKEN, key: null })
  expect([wrong.status, wrong.text]).toEqual([
    401,
    '{"error":"invalid_client","error_description":"Client authentication failed"}',
  ])
})

test('an unknown path of the old API is no method', async () => {
  const simulator = await start('ernie')
  const path = `/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/none?access_token=${await tokenOf(simulator)}`
  const { status, text } = await call(simulator, old('你好'), { path, key: null })
  expect([status, text]).toEqual([200, '{"error_code":3,"error_msg":"Unsupported openapi method"}'])
})
