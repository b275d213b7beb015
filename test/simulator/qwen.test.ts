// Against the literal lines of the QwQ page, the deep-thinking page and captures of errors.

import { expect, test } from 'vitest'
import { ask, call, events, plain, start } from './caller.ts'

const NATIVE = '/api/v1/services/aigc/text-generation/generation'
const SSE = { 'x-dashscope-sse': 'enable' }
const TAIL = '"created":0,"system_fingerprint":null,"model":"m","id":"chatcmpl-UUID"}'

const native = (rest: object = {}) => ({
  model: 'm',
  input: { messages: [{ role: 'user', content: '你好' }] },
  parameters: { result_format: 'message', incremental_output: true, ...rest },
})

test('a thinking stream has the nulls and the order of members of the sample', async () => {
  const simulator = await start('qwen', { answer: '需', thinking: 'on', reasoningTokens: 1 })
  const body = ask('你好', { stream: true, stream_options: { include_usage: true } })
  const { text, headers } = await call(simulator, body)
  expect(headers['content-type']).toBe('text/event-stream;charset=UTF-8')
  const middle = `"object":"chat.completion.chunk","usage":null,${TAIL}`
  expect(plain(text).replace(/"reasoning_content":"."/, '"reasoning_content":"嗯"')).toBe(
    [
      `data: {"choices":[{"delta":{"content":null,"role":"assistant","reasoning_content":""},"index":0,"logprobs":null,"finish_reason":null}],${middle}`,
      `data: {"choices":[{"finish_reason":null,"delta":{"content":null,"reasoning_content":"嗯"},"index":0,"logprobs":null}],${middle}`,
      `data: {"choices":[{"delta":{"content":"需","reasoning_content":null},"finish_reason":null,"index":0,"logprobs":null}],${middle}`,
      `data: {"choices":[{"finish_reason":"stop","delta":{"content":"","reasoning_content":null},"index":0,"logprobs":null}],${middle}`,
      `data: {"choices":[],"object":"chat.completion.chunk","usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"completion_tokens_details":{"reasoning_tokens":1},"prompt_tokens_details":{"cached_tokens":0}},${TAIL}`,
      'data: [DONE]',
      '',
    ].join('\n\n'),
  )
})

test('without include_usage there is no usage at all', async () => {
  const simulator = await start('qwen', { answer: '需' })
  const { text } = await call(simulator, ask('你好', { stream: true }))
  expect(events(text).every((event) => event['usage'] === null)).toBe(true)
})

test('later fragments of a streamed call repeat an empty id and an empty or null name', async () => {
  const simulator = await start('qwen')
  const parameters = { type: 'object', properties: { city: { type: 'string' } } }
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters } }]
  const { text } = await call(simulator, ask('杭州 get_weather', { stream: true, tools }))
  const calls = events(text).flatMap((event) => {
    const [choice] = event['choices'] as {
      delta: { tool_calls?: { id: string; function: { name: unknown } }[] }
    }[]
    return choice?.delta.tool_calls ?? []
  })
  expect(calls[0]).toMatchObject({ id: expect.stringMatching(/^call_/), function: { name: 'get_weather' } })
  expect(new Set(calls.slice(1).map((fragment) => fragment.id))).toEqual(new Set(['']))
  expect(new Set(calls.slice(1).map((fragment) => fragment.function.name))).toEqual(new Set(['', null]))
})

test.each([
  [
    'an open model that thinks',
    { thinking: 'on', open: true },
    {},
    'parameter.enable_thinking must be set to false for non-streaming calls',
  ],
  [
    'a model of streams only',
    { streamOnly: true },
    {},
    'This model only support stream mode, please enable the stream parameter to access the model. ',
  ],
  [
    'a model that always thinks',
    { thinking: 'always' },
    { enable_thinking: false },
    'The value of the enable_thinking parameter is restricted to True.',
  ],
  [
    'tool_choice required',
    {},
    { tool_choice: 'required' },
    'tool_choice is one of the strings that should be ["none", "auto"]',
  ],
  ['temperature 2', {}, { temperature: 2 }, 'Temperature should be in [0.0, 2.0)'],
  [
    'json without the word',
    {},
    { response_format: { type: 'json_object' } },
    "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
  ],
] as const)('%s is refused unstreamed', async (_name, model, body, message) => {
  const simulator = await start('qwen', model)
  const answer = await call(simulator, ask('你好', body))
  expect(answer.status).toBe(400)
  expect(JSON.parse(answer.text)).toEqual({
    error: {
      code: 'invalid_parameter_error',
      param: null,
      message: `<400> InternalError.Algo.InvalidParameter: ${message}`,
      type: 'invalid_request_error',
    },
    request_id: expect.any(String),
  })
})

test('a 400 to a stream request is framed as an event, unless that is switched off', async () => {
  const faults = [{ fault: 'moderation' }] as const
  const framed = await call(await start('qwen', {}, { faults }), ask('你好', { stream: true }))
  expect([framed.status, framed.text]).toEqual([
    400,
    'data: {"error":{"code":"data_inspection_failed","param":null,"message":"Input text data may contain inappropriate content.","type":"data_inspection_failed"}}\n\n',
  ])
  const options = { sseErrors: false }
  const bare = await call(await start('qwen', {}, { faults, options }), ask('你好', { stream: true }))
  expect(JSON.parse(bare.text).error.code).toBe('data_inspection_failed')
})

test('tokens per minute are called a quota', async () => {
  const simulator = await start('qwen', { limits: { tpm: 12 }, answer: '一二三四五' })
  expect((await call(simulator, ask('你好'))).status).toBe(200)
  const refused = await call(simulator, ask('你好'))
  expect([refused.status, JSON.parse(refused.text).error.code]).toEqual([429, 'insufficient_quota'])
  expect(refused.headers['retry-after']).toBeUndefined()
})

test('marked prefixes are written to an explicit cache, then read from it', async () => {
  const simulator = await start('qwen', { prefixCache: { minTokens: 8 } })
  const part = { type: 'text', text: '长'.repeat(20), cache_control: { type: 'ephemeral' } }
  const messages = [
    { role: 'system', content: [part] },
    { role: 'user', content: '你好' },
  ]
  const cacheOf = async (): Promise<unknown> =>
    JSON.parse((await call(simulator, { model: 'm', messages })).text).usage.prompt_tokens_details
  const creation = (tokens: number) => ({
    cache_creation_input_tokens: tokens,
    cache_type: 'ephemeral',
    cache_creation: { ephemeral_5m_input_tokens: tokens },
  })
  expect(await cacheOf()).toEqual({ cached_tokens: 0, ...creation(24) })
  expect(await cacheOf()).toEqual({ cached_tokens: 24, ...creation(0) })
})

test('the native stream is framed as in the sample', async () => {
  const simulator = await start('qwen', { answer: '好', thinking: 'on', reasoningTokens: 1 })
  const body = native({ enable_thinking: true })
  const { text } = await call(simulator, body, { path: NATIVE, headers: SSE })
  expect(plain(text).replace(/"reasoning_content":"."/, '"reasoning_content":"嗯"')).toBe(
    [
      'id:1\nevent:result\n:HTTP_STATUS/200\ndata:{"output":{"choices":[{"message":{"content":"","reasoning_content":"嗯","role":"assistant"},"finish_reason":"null"}]},"usage":{"total_tokens":10,"output_tokens":1,"input_tokens":9,"output_tokens_details":{"reasoning_tokens":1}},"request_id":"UUID"}',
      'id:2\nevent:result\n:HTTP_STATUS/200\ndata:{"output":{"choices":[{"message":{"content":"好","role":"assistant"},"finish_reason":"null"}]},"usage":{"total_tokens":11,"output_tokens":2,"input_tokens":9,"output_tokens_details":{"reasoning_tokens":1}},"request_id":"UUID"}',
      'id:3\nevent:result\n:HTTP_STATUS/200\ndata:{"output":{"choices":[{"message":{"content":"","reasoning_content":"","role":"assistant"},"finish_reason":"stop"}]},"usage":{"total_tokens":11,"output_tokens":2,"input_tokens":9,"output_tokens_details":{"reasoning_tokens":1}},"request_id":"UUID"}',
      '',
    ].join('\n\n'),
  )
})

test('without incremental output each native event repeats everything so far', async () => {
  const simulator = await start('qwen', { answer: '一二三' })
  const { text } = await call(simulator, native({ incremental_output: false }), {
    path: NATIVE,
    headers: SSE,
  })
  expect([...text.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1])).toEqual([
    '一',
    '一二',
    '一二三',
    '一二三',
  ])
})

test('a vision model speaks in parts, on its own native path only', async () => {
  const simulator = await start('qwen', { answer: '猫', vision: true })
  const body = {
    model: 'm',
    input: { messages: [{ role: 'user', content: [{ image: 'https://a/b.png' }, { text: '这是什么' }] }] },
  }
  const right = await call(simulator, body, { path: NATIVE.replace('text', 'multimodal') })
  expect(JSON.parse(right.text)).toMatchObject({
    output: {
      choices: [{ finish_reason: 'stop', message: { content: [{ text: expect.stringContaining('猫') }] } }],
    },
    usage: { image_tokens: 256 },
  })
  const wrong = await call(simulator, body, { path: NATIVE })
  expect(JSON.parse(wrong.text)).toMatchObject({
    code: 'InvalidParameter',
    message: 'url error, please check url！',
  })
})

test('an error within a native stream is an event under HTTP 200', async () => {
  const simulator = await start('qwen', {}, { faults: [{ fault: 'error_in_200', afterEvents: 1 }] })
  const { status, text } = await call(simulator, native(), { path: NATIVE, headers: SSE })
  expect(status).toBe(200)
  expect(plain(text)).toMatch(
    /\n\nevent:error\n:HTTP_STATUS\/500\ndata:\{"code":"InternalError","message":"[^"]+","request_id":"UUID"\}\n\n$/,
  )
})

test('native errors are flat', async () => {
  const simulator = await start('qwen', {}, { keys: ['other'] })
  const { status, text } = await call(simulator, native(), { path: NATIVE })
  expect([status, plain(text)]).toEqual([
    401,
    '{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"UUID"}',
  ])
})
