// DeepSeek, OpenAI and the servers of open models, against recorded streams and their sources.

import { expect, test } from 'vitest'
import { ask, call, events, plain, start } from './caller.ts'

const USAGE = { stream: true, stream_options: { include_usage: true } }
const TOOLS = [
  { type: 'function', function: { name: 'now', parameters: { type: 'object', properties: {} } } },
]

test('deepseek: usage rides on the finishing chunk and is null before', async () => {
  const simulator = await start('deepseek', {
    answer: 'a',
    thinking: 'on',
    reasoningTokens: 1,
    prefixCache: {},
  })
  const { text } = await call(simulator, ask('你好', USAGE))
  const head =
    '{"id":"UUID","object":"chat.completion.chunk","created":0,"model":"m","system_fingerprint":"fp_eaab8d114b_prod0820_fp8_kvcache","choices":[{"index":0,'
  expect(plain(text).replace(/"reasoning_content":"."/, '"reasoning_content":"。"')).toBe(
    [
      `data: ${head}"delta":{"role":"assistant","content":null,"reasoning_content":""},"logprobs":null,"finish_reason":null}],"usage":null}`,
      `data: ${head}"delta":{"content":null,"reasoning_content":"。"},"logprobs":null,"finish_reason":null}],"usage":null}`,
      `data: ${head}"delta":{"content":"a","reasoning_content":null},"logprobs":null,"finish_reason":null}],"usage":null}`,
      `data: ${head}"delta":{"content":"","reasoning_content":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":1},"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":9}}`,
      'data: [DONE]',
      '',
    ].join('\n\n'),
  )
})

test('deepseek: max_tokens bounds the chain of thought too', async () => {
  const simulator = await start('deepseek', { answer: 'abc', thinking: 'on', reasoningTokens: 5 })
  const answer = JSON.parse((await call(simulator, ask('你好', { max_tokens: 3 }))).text)
  expect(answer.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '' } })
  expect(answer.usage.completion_tokens).toBe(3)
})

test('deepseek: while it waits, comments stand before a stream and empty lines before a whole answer', async () => {
  const options = { keepAliveMs: 5 }
  const simulator = await start('deepseek', { answer: 'a', ttftMs: 60 }, { options })
  expect((await call(simulator, ask('你好', { stream: true }))).text).toMatch(/^(: keep-alive\n\n)+data: /)
  const whole = await call(simulator, ask('你好'))
  expect(whole.text).toMatch(/^\n+\{/)
  expect(JSON.parse(whole.text).choices[0].message.content).toBe('a')
})

test('deepseek: arrears are 402, overload is 503, an unknown model 400', async () => {
  const faults = [{ fault: 'quota', next: 1 }] as const
  const simulator = await start('deepseek', {}, { faults })
  expect((await call(simulator, ask('你好'))).text).toContain('"message":"Insufficient Balance"')
  const unknown = await call(simulator, { ...ask('你好'), model: 'other' })
  expect([unknown.status, JSON.parse(unknown.text).error.message]).toEqual([400, 'Model Not Exist'])
  await simulator.configure({ faults: [{ fault: 'overloaded' }] })
  expect((await call(simulator, ask('你好'))).status).toBe(503)
})

test('vllm: the role comes first, usage only when asked for and without details', async () => {
  const simulator = await start('vllm', { answer: '好', thinking: 'on', reasoningTokens: 1 })
  const { text } = await call(simulator, ask('你好', USAGE), { key: null })
  const head = '{"id":"chatcmpl-…","object":"chat.completion.chunk","created":0,"model":"m","choices":['
  expect(plain(text).replace(/"reasoning":"."/, '"reasoning":"。"')).toBe(
    [
      `data: ${head}{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}`,
      `data: ${head}{"index":0,"delta":{"reasoning":"。"},"logprobs":null,"finish_reason":null,"token_ids":null}]}`,
      `data: ${head}{"index":0,"delta":{"content":"好"},"logprobs":null,"finish_reason":null,"token_ids":null}]}`,
      `data: ${head}{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null}]}`,
      `data: ${head}],"usage":{"prompt_tokens":9,"total_tokens":11,"completion_tokens":2}}`,
      'data: [DONE]',
      '',
    ].join('\n\n'),
  )
  expect((await call(simulator, ask('你好', { stream: true }))).text).not.toContain('"usage"')
})

test('vllm: continuous usage stands on every chunk', async () => {
  const simulator = await start('vllm', { answer: '一二' })
  const options = { include_usage: true, continuous_usage_stats: true }
  const { text } = await call(simulator, ask('你好', { stream: true, stream_options: options }))
  const counts = [...text.matchAll(/"completion_tokens":(\d)/g)].map((match) => match[1])
  expect(counts).toEqual(['0', '1', '2', '2', '2'])
})

test('vllm: too many tokens are told in its own words, the wanted output included', async () => {
  const simulator = await start('vllm', { contextWindow: 100 })
  const { status, text } = await call(simulator, ask('你好', { max_tokens: 95 }))
  expect([status, text]).toEqual([
    400,
    '{"error":{"message":"This model\'s maximum context length is 100 tokens. However, you requested 104 tokens (9 in the messages, 95 in the completion). Please reduce the length of the messages or completion.","type":"BadRequestError","param":null,"code":400}}',
  ])
})

test('vllm: legacy completions have an endpoint of their own', async () => {
  const simulator = await start('vllm', { answer: '好的。<eom>' })
  const body = { model: 'm', prompt: '<|Human|>: 你好<eoh>', max_tokens: 16, stop: ['<eom>'] }
  const { text } = await call(simulator, body, { path: '/v1/completions' })
  expect(JSON.parse(text)).toMatchObject({
    object: 'text_completion',
    choices: [{ index: 0, text: '好的。', logprobs: null, finish_reason: 'stop' }],
    usage: { completion_tokens: 3 },
  })
  const streamed = await call(simulator, { ...body, stream: true }, { path: '/v1/completions' })
  expect(events(streamed.text).map((event) => (event['choices'] as { text: string }[])[0]?.text)).toEqual([
    '好',
    '的',
    '。',
    '',
  ])
})

test('vllm: a key is asked for only where one is set, with a body of its own', async () => {
  const simulator = await start('vllm', {}, { keys: ['right'] })
  const wrong = await call(simulator, ask('你好'), { key: null })
  expect([wrong.status, wrong.text]).toEqual([401, '{"error":"Unauthorized"}'])
  expect((await call(simulator, ask('你好'), { key: 'right' })).status).toBe(200)
})

test('vllm: reasoning stands under the name of the version', async () => {
  const simulator = await start('vllm', { thinking: 'on' }, { options: { reasoningField: 'both' } })
  const { message } = JSON.parse((await call(simulator, ask('你好'))).text).choices[0]
  expect(message.reasoning).not.toBe('')
  expect(message.reasoning_content).toBe(message.reasoning)
})

test('openai: stream_options without a stream are refused, and a rate limit says when to come back', async () => {
  const simulator = await start('openai', { limits: { rpm: 1 } })
  const refused = await call(simulator, ask('hi', { stream_options: { include_usage: true } }))
  expect([refused.status, JSON.parse(refused.text).error.param]).toEqual([400, 'stream_options'])
  expect((await call(simulator, ask('hi'))).headers['x-ratelimit-remaining-requests']).toBe('0')
  const limited = await call(simulator, ask('hi'))
  expect([limited.status, limited.headers['retry-after']]).toEqual([429, '1'])
  expect(JSON.parse(limited.text).error.code).toBe('rate_limit_exceeded')
})

test('ollama: a call comes in one piece, reasoning under `reasoning`, addresses of images are refused', async () => {
  const simulator = await start('ollama', { thinking: 'on', reasoningTokens: 1 })
  const { text } = await call(simulator, ask('now?', { stream: true, tools: TOOLS }), { key: null })
  expect(text).toMatch(/"delta":\{"role":"assistant","content":"","reasoning":"[^"]+"\},"finish_reason":null/)
  expect(text).toMatch(
    /"tool_calls":\[\{"index":0,"id":"call_\w+","type":"function","function":\{"name":"now","arguments":"\{\}"\}\}\]/,
  )
  const image = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://a/b.png' } }] }
  const refused = await call(simulator, { model: 'm', messages: [image] })
  expect([refused.status, JSON.parse(refused.text).error.message]).toEqual([
    400,
    'image URLs are not currently supported, please use base64 encoded data instead',
  ])
})

test('tgi: the id is empty, calls end with stop, errors have two members', async () => {
  const simulator = await start('tgi', { contextWindow: 60 })
  const { text } = await call(simulator, ask('now?', { stream: true, tools: TOOLS, tool_choice: 'required' }))
  expect(plain(text)).toMatch(/^data: \{"object":"chat.completion.chunk","id":"","created":0,"model":"m",/)
  expect(text).toContain('"finish_reason":"stop"')
  const long = await call(simulator, ask('长'.repeat(70)))
  expect([long.status, Object.keys(JSON.parse(long.text))]).toEqual([422, ['error', 'error_type']])
})

test.each(['tgi', 'llamacpp'] as const)('%s serves its one model under any name', async (dialect) => {
  const simulator = await start(dialect)
  const { text } = await call(simulator, { ...ask('hi'), model: 'whatever' })
  expect(JSON.parse(text)).toMatchObject({ model: 'm' })
})

test('llamacpp: choices come first, timings beside usage, sizes beside a context error', async () => {
  const simulator = await start('llamacpp', { answer: '好', contextWindow: 50 })
  const { text } = await call(simulator, ask('你好', USAGE))
  expect(plain(text)).toMatch(
    /^data: \{"choices":\[\{"finish_reason":null,"index":0,"delta":\{"role":"assistant","content":null\}\}\],"created":0,/,
  )
  expect(events(text).at(-1)).toMatchObject({
    usage: { completion_tokens: 1 },
    timings: { prompt_n: 9, predicted_n: 1 },
  })
  const long = await call(simulator, ask('长'.repeat(60)))
  expect(JSON.parse(long.text).error).toMatchObject({
    code: 400,
    type: 'exceed_context_size_error',
    n_prompt_tokens: 67,
    n_ctx: 50,
  })
})

test.each(['qwen', 'deepseek', 'openai', 'vllm', 'ollama', 'tgi', 'llamacpp', 'ernie'] as const)(
  '%s lists its models',
  async (dialect) => {
    const simulator = await start(dialect)
    const path = `${new URL(simulator.baseUrl).pathname.replace(/\/$/, '')}/models`
    const { status, text } = await call(simulator, undefined, { method: 'GET', path })
    expect(status).toBe(200)
    expect(JSON.parse(text)).toMatchObject({ object: 'list', data: [{ id: 'm', object: 'model' }] })
  },
)
