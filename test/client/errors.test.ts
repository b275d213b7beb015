// What goes wrong reaches an application as the official SDK's own error classes, and is tried again by the SDK
// only where that helps.

import type OpenAI from 'openai'
import {
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { answer, contentEvent, DONE, errorAnswer, JSON_HEADERS, ROLE_EVENT } from '../support/chat-bytes.ts'
import { eventually, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, openAiCompatible } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { openAi } from './clients.ts'
import { failureOf, readStream } from './outcomes.ts'

const NARROW_KEY = 'sk-narrow-0123456789'
const QUESTION = { model: 'm', messages: [{ role: 'user' as const, content: 'Say hello.' }] }
const STREAMED = { ...QUESTION, stream: true as const }

const BROKEN = [
  { name: 'server', fault: 'fails', script: errorAnswer(500, { message: 'boom' }) },
  { name: 'auth', fault: 'refuses the credential', script: errorAnswer(401, { message: 'no' }) },
  {
    name: 'page',
    fault: 'answers with a page',
    script: { headers: { 'content-type': 'text/html' }, steps: ['<html>busy</html>'] },
  },
  {
    name: 'hidden',
    fault: 'says so behind a 200',
    script: { headers: JSON_HEADERS, steps: ['{"error":{"message":"overloaded"}}'] },
  },
  {
    name: 'early',
    fault: 'ends before any content',
    script: { steps: [ROLE_EVENT], ending: 'fin' as const },
  },
]

let first: RawUpstream
let second: RawUpstream
let gateway: LocalGateway
let client: OpenAI
let attemptsBefore = 0

beforeAll(async () => {
  first = await startRawUpstream()
  second = await startRawUpstream(answer('from the second'))
  gateway = await startLocalGateway({
    config: configOf({
      providers: { one: openAiCompatible(first.baseUrl), two: openAiCompatible(second.baseUrl) },
      targets: ['one/x'],
      models: {
        pair: { policy: 'fall_back', targets: ['one/pair', 'two/x'] },
        ...Object.fromEntries(
          BROKEN.flatMap(({ name }) => [`${name}-whole`, `${name}-streamed`]).map((model) => [
            model,
            { policy: 'fall_back', targets: [`one/${model}`, 'two/x'] },
          ]),
        ),
        'plain-text': { policy: 'p', targets: [{ target: 'one/x', capabilities: [] }] },
      },
      over: {
        policies: {
          // One attempt, so that what the SDK tries again can be counted at the upstream.
          p: { sort: 'priority', retry: { attempts: 1 }, outlier_detection: { consecutive_5xx: 1000 } },
          fall_back: { sort: 'priority', outlier_detection: { consecutive_5xx: 1000 } },
        },
        keys: [
          { name: 'tester', key: 'sk-test-0123456789' },
          { name: 'narrow', key: NARROW_KEY, models: ['pair'] },
        ],
      },
    }),
  })
  client = openAi(gateway.url)
})

afterAll(async () => {
  await gateway?.close()
  await first?.close()
  await second?.close()
})

beforeEach(() => {
  first.script(answer('hello'))
  attemptsBefore = first.requests.length
})

const attempts = (): number => first.requests.length - attemptsBefore

describe('a fault of the request', () => {
  test('a wrong key is an AuthenticationError that reaches no upstream', async () => {
    const error = await failureOf(
      openAi(gateway.url, { apiKey: 'sk-wrong-0123456789' }).chat.completions.create(QUESTION),
    )
    expect(error).toBeInstanceOf(AuthenticationError)
    expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'authentication_error' })
    expect(attempts()).toBe(0)
  })

  test('an unknown model is a NotFoundError that names the nearest one', async () => {
    const error = await failureOf(client.chat.completions.create({ ...QUESTION, model: 'plain-txt' }))
    expect(error).toBeInstanceOf(NotFoundError)
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model' })
    expect(error.message).toContain('did you mean "plain-text"?')
  })

  test('a model that the key may not use is a PermissionDeniedError', async () => {
    const error = await failureOf(
      openAi(gateway.url, { apiKey: NARROW_KEY }).chat.completions.create(QUESTION),
    )
    expect(error).toBeInstanceOf(PermissionDeniedError)
    expect(error).toMatchObject({ code: 'model_not_allowed', param: 'model' })
  })

  test('a value of a wrong type is a BadRequestError that names the parameter', async () => {
    const wrong = 'warm' as unknown as number
    const error = await failureOf(client.chat.completions.create({ ...QUESTION, temperature: wrong }))
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error).toMatchObject({ code: 'invalid_request', param: 'temperature' })
    expect(attempts()).toBe(0)
  })

  test('what no target can do is a BadRequestError that names the parameter', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'look', parameters: { type: 'object' } } }]
    const error = await failureOf(client.chat.completions.create({ ...QUESTION, model: 'plain-text', tools }))
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'tools' })
  })

  test('a context that is too long is a BadRequestError with that code', async () => {
    const message = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."
    first.script(
      errorAnswer(400, { message, type: 'invalid_request_error', code: 'context_length_exceeded' }),
    )
    const error = await failureOf(client.chat.completions.create(QUESTION))
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error.code).toBe('context_length_exceeded')
    expect(error.message).toContain('8192')
  })

  test("a refusal by the provider's content filter is a BadRequestError with that code", async () => {
    first.script(
      errorAnswer(400, { message: 'Blocked.', type: 'invalid_request_error', code: 'content_filter' }),
    )
    const error = await failureOf(client.chat.completions.create(STREAMED))
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error.code).toBe('content_filter')
  })

  test('no fault of the request is tried again', async () => {
    const patient = openAi(gateway.url, { maxRetries: 3 })
    first.script(errorAnswer(400, { message: 'No.', type: 'invalid_request_error', code: 'invalid_value' }))
    await failureOf(patient.chat.completions.create(QUESTION))
    expect(attempts()).toBe(1)
  })
})

describe("an upstream's fault", () => {
  test('a refused credential of the gateway is no AuthenticationError and is not tried again', async () => {
    first.script(errorAnswer(401, { message: 'Incorrect API key provided', code: 'invalid_api_key' }))
    const error = await failureOf(openAi(gateway.url, { maxRetries: 3 }).chat.completions.create(QUESTION))
    expect(error).toBeInstanceOf(InternalServerError)
    expect(error).toMatchObject({ status: 502, code: 'upstream_auth' })
    expect(error.headers?.get('x-should-retry')).toBe('false')
    expect(attempts()).toBe(1)
  })

  test("an account without money at the provider's is not tried again", async () => {
    first.script(errorAnswer(429, { message: 'You exceeded your current quota', code: 'insufficient_quota' }))
    const error = await failureOf(openAi(gateway.url, { maxRetries: 3 }).chat.completions.create(QUESTION))
    expect(error).toMatchObject({ status: 502, code: 'upstream_error' })
    expect(attempts()).toBe(1)
  })

  test('a failing server is an InternalServerError, tried again as often as the application allows', async () => {
    first.script(errorAnswer(500, { message: 'boom', type: 'server_error' }))
    const error = await failureOf(openAi(gateway.url, { maxRetries: 2 }).chat.completions.create(QUESTION))
    expect(error).toBeInstanceOf(InternalServerError)
    expect(error).toMatchObject({ status: 502, code: 'upstream_error' })
    expect(error.headers?.get('x-should-retry')).toBe('true')
    expect(attempts()).toBe(3)
  })

  test('a server that recovers meanwhile is a plain answer', async () => {
    first.script((request, count) =>
      count - attemptsBefore === 1 ? errorAnswer(500, { message: 'boom' }) : answer('recovered')(request),
    )
    const completion = await openAi(gateway.url, { maxRetries: 2 }).chat.completions.create(QUESTION)
    expect(completion.choices[0]?.message.content).toBe('recovered')
    expect(attempts()).toBe(2)
  })

  test('a stream that cannot begin fails before its first chunk, with the same classes', async () => {
    first.script(errorAnswer(500, { message: 'boom' }))
    const error = await failureOf(client.chat.completions.create(STREAMED))
    expect(error).toBeInstanceOf(InternalServerError)
    expect(error.code).toBe('upstream_error')
  })

  test('errors carry the request id, and nothing of the upstream', async () => {
    first.script(errorAnswer(500, { message: `broken at ${first.baseUrl}`, type: 'server_error' }))
    const error = await failureOf(client.chat.completions.create(QUESTION))
    expect(error.requestID).toMatch(/^\S{8,}$/)
    expect(error.headers?.get('x-sluice-attempts')).toBe('1')
    expect(JSON.stringify([error.error, error.message, [...(error.headers ?? [])]])).not.toContain(
      String(first.port),
    )
  })
})

describe('a rate limit of the provider', () => {
  const limited = errorAnswer(
    429,
    { message: 'Slow down', code: 'rate_limit_exceeded' },
    { 'retry-after': '1' },
  )

  test('is a RateLimitError with the time to wait', async () => {
    first.script(limited)
    const error = await failureOf(client.chat.completions.create(QUESTION))
    expect(error).toBeInstanceOf(RateLimitError)
    expect(error).toMatchObject({ status: 429, code: 'upstream_rate_limited', type: 'rate_limit_error' })
    expect(error.headers?.get('retry-after')).toBe('1')
  })

  test('is waited out by the SDK: the gateway would not have asked the provider any sooner', async () => {
    await eventually(
      async () => (await readStream(client.chat.completions.create(STREAMED))).error === null,
      'cooled down',
    )
    attemptsBefore = first.requests.length
    first.script((request, count) => (count - attemptsBefore === 1 ? limited : answer('at last')(request)))
    const completion = await openAi(gateway.url, { maxRetries: 2 }).chat.completions.create(QUESTION)
    expect(completion.choices[0]?.message.content).toBe('at last')
    expect(attempts()).toBe(2)
  })
})

describe('a stream that breaks', () => {
  const begun = [ROLE_EVENT, contentEvent('Hel'), contentEvent('lo')]

  test.each([
    { how: 'its connection ends early', ending: 'fin' as const },
    { how: 'its connection is reset', ending: 'reset' as const },
  ])('throws an APIError after what had come, where $how', async ({ ending }) => {
    first.script({ steps: [...begun, 50], ending })
    const { text, finish, error } = await readStream(client.chat.completions.create(STREAMED))
    expect(text).toBe('Hello')
    expect(finish).toBeNull()
    expect(error).toBeInstanceOf(APIError)
    expect(error).toMatchObject({ code: 'upstream_truncated', type: 'server_error' })
  })

  test.each([
    { how: 'ends it properly', steps: begun },
    { how: 'even writes the end mark', steps: [...begun, DONE] },
  ])('throws an APIError where the upstream $how, but without a finish reason', async ({ steps }) => {
    first.script({ steps })
    const { text, error } = await readStream(client.chat.completions.create(STREAMED))
    expect(text).toBe('Hello')
    expect(error).toMatchObject({ code: 'upstream_truncated' })
  })

  test("throws an APIError in the gateway's words for an error event of the upstream", async () => {
    first.script({ steps: [...begun, `data: {"error":{"message":"at ${first.baseUrl}","code":500}}\n\n`] })
    const { text, error } = await readStream(client.chat.completions.create(STREAMED))
    expect(text).toBe('Hello')
    expect(error).toBeInstanceOf(APIError)
    expect(error).toMatchObject({ code: 'upstream_error' })
    expect((error as APIError).message).not.toContain(String(first.port))
  })

  test('is a fault for the stream helper too, which would take a silent end for an answer', async () => {
    first.script({ steps: begun, ending: 'fin' })
    const error = await failureOf(client.chat.completions.stream(QUESTION).finalChatCompletion())
    expect(error.message).toContain('ended before its end')
  })

  test('does not trip over events that are no JSON', async () => {
    first.script((request) => {
      const { steps = [] } = answer('hello')(request)
      return { steps: [...steps.slice(0, 2), 'data: not json\n\n', 'data: {"half\n\n', ...steps.slice(2)] }
    })
    const { text, finish, error } = await readStream(client.chat.completions.create(STREAMED))
    expect({ text, finish, error }).toEqual({ text: 'hello', finish: 'stop', error: null })
  })
})

describe('an application that leaves', () => {
  const endless = { steps: [ROLE_EVENT, contentEvent('Hel')], ending: 'hang' as const }
  const lastAborted = (): Promise<void> =>
    eventually(
      () => first.requests.length > attemptsBefore && first.requests.at(-1)?.aborted === true,
      'aborted upstream',
    )

  test('by the controller of a stream ends the call at the provider', async () => {
    first.script(endless)
    const stream = await client.chat.completions.create(STREAMED)
    let text = ''
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      if (text === 'Hel') stream.controller.abort()
    }
    await lastAborted()
    expect(attempts()).toBe(1)
  })

  test('by breaking out of a stream ends the call at the provider', async () => {
    first.script(endless)
    for await (const chunk of await client.chat.completions.create(STREAMED)) {
      if (chunk.choices[0]?.delta.content === 'Hel') break
    }
    await lastAborted()
    expect(attempts()).toBe(1)
  })

  test('by a signal before the answer ends the call at the provider', async () => {
    first.script({ headers: JSON_HEADERS, ending: 'hang' })
    const controller = new AbortController()
    const call = client.chat.completions.create(QUESTION, { signal: controller.signal })
    const ended = failureOf(call)
    await eventually(() => attempts() === 1, 'the call is at the provider')
    controller.abort()
    expect(await ended).toBeInstanceOf(APIUserAbortError)
    await lastAborted()
  })

  test('by its own timeout ends the call at the provider', async () => {
    first.script({ headers: JSON_HEADERS, ending: 'hang' })
    const error = await failureOf(client.chat.completions.create(QUESTION, { timeout: 300 }))
    expect(error).toBeInstanceOf(APIConnectionTimeoutError)
    await lastAborted()
    expect(attempts()).toBe(1)
  })
})

describe('a fallback', () => {
  // Each case has a target of its own, since a target that failed is left alone for a while.
  test.each(BROKEN)('gives a clean answer where the first target $fault', async ({ name, script }) => {
    first.script(script)
    const request = client.chat.completions.create({ ...QUESTION, model: `${name}-whole` })
    const { data, response } = await request.withResponse()
    expect(data.choices[0]?.message.content).toBe('from the second')
    expect(response.headers.get('x-sluice-target')).toBe('two/x')
    expect(response.headers.get('x-sluice-attempts')).toBe('2')
    expect(attempts()).toBe(1)
  })

  test.each(BROKEN)('gives a clean stream where the first target $fault', async ({ name, script }) => {
    first.script(script)
    const streamed = await readStream(
      client.chat.completions.create({ ...STREAMED, model: `${name}-streamed` }),
    )
    expect(streamed).toEqual({ text: 'from the second', finish: 'stop', error: null })
    expect(attempts()).toBe(1)
  })

  test('does not mix two answers: once content has come, a break is an error', async () => {
    first.script({ steps: [ROLE_EVENT, contentEvent('Hel'), 50], ending: 'fin' })
    const { text, error } = await readStream(client.chat.completions.create({ ...STREAMED, model: 'pair' }))
    expect(text).toBe('Hel')
    expect(error).toMatchObject({ code: 'upstream_truncated' })
  })
})
