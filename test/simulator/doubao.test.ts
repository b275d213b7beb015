// Against the official stream sample of Ark and captures of whole answers and errors.

import { expect, test } from 'vitest'
import { ask, call, plain, start } from './caller.ts'

test('a reasoning stream is framed as in the official sample', async () => {
  const simulator = await start('doubao', { answer: 'You', thinking: 'on', reasoningTokens: 1 })
  const { text, headers } = await call(simulator, ask('你好', { stream: true }))
  expect(headers['content-type']).toBe('text/event-stream; charset=utf-8')
  expect(headers['x-request-id']).toMatch(/^02\d{13}[0-9a-f]{38}$/)
  const after =
    '"created":0,"id":"02…","model":"m","service_tier":"default","object":"chat.completion.chunk","usage":null}'
  expect(plain(text).replace(/"reasoning_content":"."/, '"reasoning_content":"。"')).toBe(
    [
      `data: {"choices":[{"delta":{"content":"","reasoning_content":"。","role":"assistant"},"index":0}],${after}`,
      `data: {"choices":[{"delta":{"content":"You","role":"assistant"},"index":0}],${after}`,
      `data: {"choices":[{"delta":{"content":"","role":"assistant"},"finish_reason":"stop","index":0}],${after}`,
      'data: [DONE]',
      '',
    ].join('\n\n'),
  )
})

test('usage comes on a chunk of its own when it is asked for, and on every chunk with chunk_include_usage', async () => {
  const simulator = await start('doubao', { answer: '你好' })
  const own = await call(simulator, ask('你好', { stream: true, stream_options: { include_usage: true } }))
  const usage =
    '"usage":{"completion_tokens":2,"prompt_tokens":9,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}'
  expect(plain(own.text)).toContain(
    `data: {"choices":[],"created":0,"id":"02…","model":"m","service_tier":"default","object":"chat.completion.chunk",${usage}\n\ndata: [DONE]\n\n`,
  )
  expect(own.text.match(/"usage":null/g)).toHaveLength(3)
  const options = { include_usage: true, chunk_include_usage: true }
  const every = await call(simulator, ask('你好', { stream: true, stream_options: options }))
  const counts = [...every.text.matchAll(/"completion_tokens":(\d)/g)].map((match) => match[1])
  expect(counts).toEqual(['1', '2', '2', '2'])
})

test('a whole answer has the order of members of a capture', async () => {
  const simulator = await start('doubao', { answer: '好', thinking: 'off' })
  const { text } = await call(simulator, ask('你好'))
  expect(plain(text)).toBe(
    '{"choices":[{"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":"好","role":"assistant"}}],"created":0,"id":"02…","model":"m","service_tier":"default","object":"chat.completion","usage":{"completion_tokens":1,"prompt_tokens":9,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}',
  )
})

test('thinking follows the switch of the request, and reasoning is part of the output', async () => {
  const simulator = await start('doubao', { answer: '好', thinking: 'on', reasoningTokens: 7 })
  const thinks = JSON.parse((await call(simulator, ask('你好'))).text)
  expect(thinks.usage).toMatchObject({
    completion_tokens: 8,
    completion_tokens_details: { reasoning_tokens: 7 },
  })
  const off = JSON.parse((await call(simulator, ask('你好', { thinking: { type: 'disabled' } }))).text)
  expect(off.choices[0].message).toEqual({ content: '好', role: 'assistant' })
})

test('max_tokens bounds the answer alone, max_completion_tokens both, and both together are refused', async () => {
  const simulator = await start('doubao', { answer: '一二三四五', thinking: 'on', reasoningTokens: 4 })
  const answer = JSON.parse((await call(simulator, ask('数', { max_tokens: 2 }))).text)
  expect(answer.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '一二' } })
  const total = JSON.parse((await call(simulator, ask('数', { max_completion_tokens: 5 }))).text)
  expect(total.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '一' } })
  const both = await call(simulator, ask('数', { max_tokens: 2, max_completion_tokens: 5 }))
  expect([both.status, JSON.parse(both.text).error.code]).toEqual([400, 'InvalidParameter'])
})

test('an endpoint id stands for a model, which the answer names', async () => {
  const simulator = await start('doubao', {}, { endpoints: { 'ep-20261125093000-abcde': 'm' } })
  const { text } = await call(simulator, { ...ask('你好'), model: 'ep-20261125093000-abcde' })
  expect(JSON.parse(text).model).toBe('m')
})

test('a streamed call opens with its name and an empty text', async () => {
  const simulator = await start('doubao')
  const tools = [
    { type: 'function', function: { name: 'now', parameters: { type: 'object', properties: {} } } },
  ]
  const { text } = await call(simulator, ask('几点？', { stream: true, tools, tool_choice: 'required' }))
  expect(text).toMatch(
    /"delta":\{"content":"","role":"assistant","tool_calls":\[\{"id":"call_[0-9a-f]+","type":"function","index":0,"function":\{"name":"now","arguments":""\}\}\]\}/,
  )
  expect(text).toContain('"tool_calls":[{"index":0,"function":{"arguments":"{"}}]')
  expect(text).toContain('"finish_reason":"tool_calls"')
})

test.each([
  ['auth', 401, 'AuthenticationError', 'Unauthorized'],
  ['rate_limit', 429, 'ModelAccountRpmRateLimitExceeded', 'TooManyRequests'],
  ['quota', 403, 'AccountOverdueError', 'Forbidden'],
  ['overloaded', 429, 'ServerOverloaded', 'TooManyRequests'],
  ['context_length', 400, 'OutofContextError', 'BadRequest'],
  ['moderation', 400, 'InputTextSensitiveContentDetected', 'BadRequest'],
  ['model_unavailable', 404, 'InvalidEndpointOrModel.NotFound', 'NotFound'],
  ['server', 500, 'InternalServiceError', 'InternalServerError'],
  ['invalid_request', 400, 'InvalidParameter', 'BadRequest'],
] as const)('%s is worded as in the error table', async (fault, status, code, type) => {
  const simulator = await start('doubao', {}, { faults: [{ fault }] })
  const answer = await call(simulator, ask('你好', { stream: true }))
  expect(answer.status).toBe(status)
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
  const { error } = JSON.parse(answer.text)
  expect(error).toEqual({
    code,
    message: expect.stringMatching(/ Request id: 02[0-9a-f]{51}$/),
    param: '',
    type,
  })
  expect(answer.headers['x-request-id']).toBe(error.message.slice(-53))
})

test("the client's request id is echoed, and a missing field is named", async () => {
  const simulator = await start('doubao')
  const answer = await call(simulator, { model: 'm' }, { headers: { 'x-client-request-id': 'mine' } })
  expect(answer.headers['x-client-request-id']).toBe('mine')
  expect(plain(answer.text)).toBe(
    '{"error":{"code":"MissingParameter","message":"The request failed because it is missing `messages` parameter. Request id: 02…","param":"messages","type":"BadRequest"}}',
  )
})

test('moderated output ends with a finish reason, or with an error where that is set', async () => {
  const faults = [{ fault: 'moderation_output', afterEvents: 1 }] as const
  const finishing = await start('doubao', { answer: '一二三' }, { faults })
  const finished = await call(
    finishing,
    ask('你好', { stream: true, stream_options: { include_usage: true } }),
  )
  expect(finished.text).toContain('"finish_reason":"content_filter"')
  expect(finished.text).toContain('"completion_tokens":1,')
  const options = { moderatedOutput: 'error', errorEvents: true } as const
  const failing = await start('doubao', { answer: '一二三' }, { faults, options })
  const failed = await call(failing, ask('你好', { stream: true }))
  expect(plain(failed.text)).toMatch(
    /event: error\ndata: \{"error":\{"code":"OutputTextSensitiveContentDetected",[^\n]+\}\}\n\n$/,
  )
})

test('models are listed', async () => {
  const simulator = await start('doubao')
  const { text } = await call(simulator, undefined, { method: 'GET', path: '/api/v3/models' })
  expect(JSON.parse(text).data.map((model: { id: string }) => model.id)).toEqual(['m'])
})
