// Requests and answers made by chance: whatever comes in from either side, the gateway answers in its own shape,
// books the request and goes on.

import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  answer,
  answerText,
  contentEvent,
  DONE,
  FINISH_EVENT,
  ROLE_EVENT,
  usageEvent,
} from '../support/chat-bytes.ts'
import { type ChildGateway, eventually, startChildGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { eventsOf } from '../support/http-client.ts'
import { type RawUpstream, type ScriptedAnswer, startRawUpstream } from '../support/raw-upstream.ts'

const SEED = 20_261_125
const RUNS = 400

const POLICY = {
  sort: 'priority',
  retry: { attempts: 1 },
  timeouts: { ttft_ms: 1_000, idle_ms: 1_000, total_ms: 3_000 },
}

let upstream: RawUpstream
let gateway: ChildGateway
let runs = 0

/** A target of its own for each run, so that no breaker keeps the next one away. */
const freshModel = (): string => `up/run-${runs++}`

beforeAll(async () => {
  upstream = await startRawUpstream(answer('ok'))
  gateway = await startChildGateway({
    config: configOf({
      providers: { up: upstream.baseUrl },
      over: { policies: { p: POLICY, default: POLICY } },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

const FIELDS = [
  'model',
  'messages',
  'stream',
  'stream_options',
  'tools',
  'tool_choice',
  'functions',
  'response_format',
  'n',
  'stop',
  'max_tokens',
  'max_completion_tokens',
  'logprobs',
  'thinking',
  'enable_thinking',
  'thinking_budget',
  'reasoning',
  'reasoning_effort',
  'chat_template_kwargs',
  'provider',
  'models',
  'user',
  'unknown',
] as const

const message = fc.record(
  {
    role: fc.oneof(fc.constantFrom('user', 'system', 'developer', 'assistant', 'tool'), fc.string()),
    content: fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.jsonValue(),
      fc.array(fc.record({ type: fc.string(), text: fc.jsonValue() })),
    ),
    tool_calls: fc.jsonValue(),
    reasoning_content: fc.jsonValue(),
  },
  { requiredKeys: ['role'] },
)

const body = fc
  .tuple(
    fc.record({
      model: fc.constantFrom('m', 'up/x', 'none'),
      messages: fc.array(message, { minLength: 1, maxLength: 3 }),
    }),
    fc.dictionary(fc.constantFrom(...FIELDS), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 }),
  )
  .map(([base, changes]) => ({ ...base, ...changes }))

test(`any request is served or refused with its fault, never a failure of ours (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(body, async (asked) => {
      const got = await gateway.chat({}, { body: JSON.stringify(asked) })
      expect([200, 400, 404], got.text).toContain(got.status)
      if (got.status !== 200) expect(typeof got.error.message).toBe('string')
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

test(`any bytes as a body are an invalid request (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const got = await gateway.chat({}, { body: bytes })
      expect([got.status, got.error.code]).toEqual([400, 'invalid_request'])
    }),
    { seed: SEED, numRuns: RUNS / 4 },
  )
})

const EVENTS = [
  ROLE_EVENT,
  contentEvent('Hi'),
  FINISH_EVENT,
  usageEvent({ prompt_tokens: 3, completion_tokens: 2 }),
  DONE,
]

const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...EVENTS) },
  fc.jsonValue().map((value) => `data: ${JSON.stringify(value)}\n\n`),
  fc
    .record(
      { choices: fc.jsonValue(), usage: fc.jsonValue(), error: fc.jsonValue(), id: fc.jsonValue() },
      { requiredKeys: [] },
    )
    .map((value) => `data: ${JSON.stringify(value)}\n\n`),
  fc
    .record(
      { index: fc.jsonValue(), delta: fc.jsonValue(), finish_reason: fc.jsonValue() },
      { requiredKeys: [] },
    )
    .map((choice) => `data: ${JSON.stringify({ choices: [choice] })}\n\n`),
  fc.string(),
  fc.constantFrom('\n', '\r\n', 'data:', 'data: {"', 'event: error\n', ': comment\n\n', '\ufeff'),
)

const scripted: fc.Arbitrary<ScriptedAnswer> = fc.record({
  steps: fc.array(piece, { maxLength: 8 }),
  ending: fc.constantFrom('end', 'fin', 'reset'),
  framing: fc.constantFrom('chunked', 'close'),
})

test(`any stream of an upstream ends for the client with [DONE] or with an error (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(scripted, async (script) => {
      upstream.script(script)
      const client = await gateway.chatStream({
        model: freshModel(),
        stream_options: { include_usage: true },
      })
      await client.ended
      if (client.status !== 200) {
        expect(JSON.parse(client.text())).toMatchObject({
          error: { code: expect.stringMatching(/./), message: expect.any(String) },
        })
        return
      }
      const last = eventsOf(client.text()).at(-1) ?? ''
      if (last !== '[DONE]')
        expect(JSON.parse(last)).toMatchObject({ error: { code: expect.stringMatching(/./) } })
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

test(`any whole answer of an upstream is an answer or an error (seed ${SEED})`, async () => {
  const whole = fc.oneof(
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.string(),
    fc
      .record(
        { choices: fc.jsonValue(), usage: fc.jsonValue(), error: fc.jsonValue(), code: fc.jsonValue() },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
    fc
      .nat({ max: 250 })
      .map((length) => answerText('hello', { prompt_tokens: 1, completion_tokens: 1 }).slice(0, length)),
  )
  const statuses = fc.constantFrom(200, 201, 204, 302, 400, 401, 404, 418, 429, 500, 503)
  await fc.assert(
    fc.asyncProperty(whole, statuses, async (text, status) => {
      const hasBody = status !== 204
      upstream.script({
        status,
        headers: { 'content-type': 'application/json', ...(hasBody ? {} : { 'content-length': '' }) },
        framing: 'length',
        steps: hasBody ? [text] : [],
      })
      const got = await gateway.chat({ model: freshModel() })
      expect(got.headers['x-sluice-attempts']).toBe('1')
      expect(got.status, got.text).not.toBe(500)
      expect(got.status).toBeLessThan(600)
      if (got.status !== 200) expect(typeof got.error.code).toBe('string')
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

test('after all that nothing is in flight, nothing crashed and the gateway serves', async () => {
  upstream.script(answer('still here'))
  await eventually(
    async () => /^sluice_requests_in_flight 0$/m.test(await gateway.metrics()),
    'nothing is in flight',
  )
  expect(gateway.output()).not.toMatch(/crashed/)
  expect((await gateway.chat()).text).toContain('still here')
})
