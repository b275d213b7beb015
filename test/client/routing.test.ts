// What OpenRouter's users send beside OpenAI's fields, through the official clients: `models`, `provider`, suffixes and
// the policy's header go in by each client's own way for further fields, and what the gateway answers can be read.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { HumanMessage } from '@langchain/core/messages'
import { generateText } from 'ai'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { answer, errorAnswer } from '../support/chat-bytes.ts'
import { KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { langChain, openAi } from './clients.ts'

const MESSAGES: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Say hello.' }]
/** The first model fails; of the second the order takes a target that is not the cheapest. */
const WISHES = {
  models: ['spare'],
  provider: { order: ['b'], ignore: ['c'], max_price: { completion: 2 }, preferred_max_latency: { p90: 5 } },
}

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream((request) =>
    request.json['model'] === 'broken' ? errorAnswer(500, { message: 'down' }) : answer('hello')(request),
  )
  const { baseUrl } = upstream
  gateway = await startLocalGateway({
    config: configOf({
      providers: { a: baseUrl, b: baseUrl, c: baseUrl },
      prices: { 'a/*': priceOf('1', '4'), 'b/*': priceOf('2', '8'), 'c/*': priceOf('1', '1') },
      targets: ['a/broken'],
      models: { spare: { policy: 'p', targets: ['c/x', 'a/x', 'b/x'] } },
      over: {
        fx: { USD: '7' },
        policies: { p: { sort: 'price' }, first: { sort: 'priority' } },
      },
    }),
  })
})

beforeEach(() => {
  ;(upstream.requests as unknown[]).length = 0
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

/** It went on to the second model, by the order, and no upstream saw why. */
function expectWished(): void {
  expect(upstream.requests.map(({ json }) => json['model'])).toEqual(['broken', 'x'])
  for (const { json } of upstream.requests) {
    expect(json).not.toHaveProperty('models')
    expect(json).not.toHaveProperty('provider')
  }
}

test('openai: further members of the body are wishes, and response headers say what became of them', async () => {
  const client = openAi(gateway.url)
  const request = { model: 'm', messages: MESSAGES, ...WISHES }
  const { data, response } = await client.chat.completions.create(request).withResponse()
  expect(data.choices[0]?.message.content).toBe('hello')
  expect(response.headers.get('x-sluice-target')).toBe('b/x')
  expect(response.headers.get('x-sluice-attempts')).toBe('2')
  expect(response.headers.get('x-sluice-policy')).toMatch(/^p@\w+$/)
  expect(response.headers.get('x-sluice-cost')).toMatch(/^0\.\d+ CNY$/)
  expectWished()
})

test('openai: the same of a stream, with a policy by header and a suffix', async () => {
  const client = openAi(gateway.url, { defaultHeaders: { 'x-sluice-policy': 'first' } })
  const request = { model: 'spare', messages: MESSAGES, stream: true as const, provider: { ignore: ['c'] } }
  const { data, response } = await client.chat.completions.create(request).withResponse()
  let text = ''
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? ''
  expect(text).toBe('hello')
  expect(response.headers.get('x-sluice-policy')).toMatch(/^first@/)
  const { response: cheapest } = await openAi(gateway.url)
    .chat.completions.create({ model: 'spare:floor', messages: MESSAGES })
    .withResponse()
  expect(cheapest.headers.get('x-sluice-target')).toBe('c/x')
})

test('openai: a contradiction is a BadRequestError that names its field', async () => {
  const client = openAi(gateway.url)
  const request = { model: 'm:floor', messages: MESSAGES, provider: { sort: 'latency' } }
  const error = await client.chat.completions.create(request).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(OpenAI.BadRequestError)
  expect(error).toMatchObject({
    status: 400,
    code: 'invalid_request',
    param: 'provider.sort',
    type: 'invalid_request_error',
  })
  expect(upstream.requests).toEqual([])
})

test('LangChain: they go in by `modelKwargs`', async () => {
  const model = langChain(gateway.url, 'm', { modelKwargs: WISHES })
  const { text } = await model.invoke([new HumanMessage('Say hello.')])
  expect(text).toBe('hello')
  expectWished()
})

test('AI SDK: they go in by the provider’s options, and its answers keep the headers', async () => {
  const provider = createOpenAICompatible({ name: 'sluice', baseURL: `${gateway.url}/v1`, apiKey: KEY })
  const { text, response } = await generateText({
    model: provider.chatModel('m'),
    prompt: 'Say hello.',
    maxRetries: 0,
    providerOptions: { sluice: WISHES },
  })
  expect(text).toBe('hello')
  expect(response.headers?.['x-sluice-target']).toBe('b/x')
  expectWished()
})
