// Limits of requests, tokens and concurrency over HTTP. How the windows move with time is tested with a clock that is
// moved by hand, in the unit tests of admission.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { type ConfigParts, configOf, openAiCompatible } from '../support/gateway-config.ts'
import type { ClientAnswer } from '../support/http-client.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

type Json = Record<string, unknown>

let first: RawUpstream
let second: RawUpstream
let gateway: LocalGateway | null = null

const configWith = (limits: Json, parts: Partial<ConfigParts> = {}): Json =>
  configOf({
    providers: { a: first.baseUrl, b: second.baseUrl },
    targets: ['a/x'],
    over: { keys: [{ name: 'tester', key: KEY, ...limits }] },
    ...parts,
  })

async function start(limits: Json, parts: Partial<ConfigParts> = {}): Promise<LocalGateway> {
  gateway = await startLocalGateway({ config: configWith(limits, parts) })
  return gateway
}

const statusesOf = (answers: readonly ClientAnswer[]): readonly number[] =>
  answers.map((got) => got.status).sort()

beforeEach(async () => {
  first = await startRawUpstream(answer('from a'))
  second = await startRawUpstream(answer('from b'))
})

afterEach(async () => {
  await gateway?.close()
  gateway = null
  await first.close()
  await second.close()
})

test('of twenty requests at once a limit of five lets five in, and says how it stands', async () => {
  const { chat } = await start({ rpm: 5 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => chat()))
  expect(statusesOf(answers)).toEqual([...Array(5).fill(200), ...Array(15).fill(429)])
  expect(first.requests).toHaveLength(5)
  const served = answers.filter((got) => got.status === 200)
  expect(served.map((got) => got.headers['x-ratelimit-remaining-requests']).sort()).toEqual([
    '0',
    '1',
    '2',
    '3',
    '4',
  ])
  const refused = answers.find((got) => got.status === 429)
  expect(refused?.error).toMatchObject({ code: 'rate_limit_exceeded', type: 'rate_limit_error' })
  expect(refused?.error.message).toMatch(/key "tester": 5 of 5 requests in the last 60 s \(rpm\)/)
  expect(refused?.headers).toMatchObject({
    'x-should-retry': 'true',
    'x-ratelimit-limit-requests': '5',
    'x-ratelimit-remaining-requests': '0',
    'x-sluice-attempts': '0',
  })
  const waitSeconds = Number(refused?.headers['retry-after'])
  expect(waitSeconds).toBeGreaterThan(50)
  expect(waitSeconds).toBeLessThanOrEqual(61)
})

// wso2 #2932, litellm PR #11646
test('a limit of tokens counts tokens, what was used once it is known', async () => {
  const { chat, metrics } = await start({ tpm: 1_000 })
  for (let index = 0; index < 3; index++) {
    const got = await chat({ max_tokens: 500 })
    expect(got.status).toBe(200)
  }
  const got = await chat({ max_tokens: 990 })
  expect(got.status).toBe(429)
  expect(got.headers['x-ratelimit-limit-tokens']).toBe('1000')
  // Three answers of a few tokens each, not three times 500.
  expect(Number(got.headers['x-ratelimit-remaining-tokens'])).toBeGreaterThan(900)
  expect(got.error.message).toContain('(tpm)')
  expect(readScrape(await metrics()).sum('sluice_limit_overrun_tokens_total')).toBe(0)
})

test('a request that can never fit is not to be retried', async () => {
  const { chat } = await start({ tpm: 1_000 })
  const got = await chat({ max_tokens: 5_000 })
  expect(got.status).toBe(429)
  expect(got.headers['x-should-retry']).toBe('false')
  expect(got.headers['retry-after']).toBeUndefined()
  expect(got.error.message).toContain('larger than its limit')
})

test('requests that run at the same time are limited, and the next one is let in when one ends', async () => {
  const release = Promise.withResolvers<void>()
  const whole = answer('late')
  first.script(async (request) => {
    await release.promise
    return whole(request)
  })
  const { chat } = await start({ concurrency: 2 })
  const running = [chat(), chat()]
  await eventually(() => first.requests.length === 2, 'both are at the upstream')
  const got = await chat()
  expect(got.status).toBe(429)
  expect(got.error.message).toContain('2 of 2 requests run')
  release.resolve()
  expect(statusesOf(await Promise.all(running))).toEqual([200, 200])
  expect((await chat()).status).toBe(200)
})

test('a target at its limit is passed over without an attempt, and the reason is kept', async () => {
  const { chat, detail } = await start(
    {},
    {
      targets: [
        { target: 'a/x', limits: { rpm: 1 } },
        { target: 'b/x', priority: 1 },
      ],
    },
  )
  expect((await chat()).headers['x-sluice-target']).toBe('a/x')
  const got = await chat()
  expect(got.headers['x-sluice-target']).toBe('b/x')
  expect(got.headers['x-sluice-attempts']).toBe('1')
  const { attempts, decision } = await detail(got.headers['x-request-id'] ?? '')
  expect(attempts).toHaveLength(1)
  expect(decision.excluded).toMatchObject([{ target: 'a/x', reason: 'limit' }])
})

test('a limit of a provider holds for all its models, and fallbacks count there too', async () => {
  first.script({ status: 500, steps: ['{"error":{"message":"down"}}'] })
  const a = { ...openAiCompatible(first.baseUrl), limits: { rpm: 2 } }
  const { chat } = await start(
    {},
    {
      providers: { a, b: second.baseUrl },
      targets: ['a/x', { target: 'a/y', priority: 1 }, { target: 'b/x', priority: 2 }],
    },
  )
  const got = await chat()
  expect(got.headers['x-sluice-target']).toBe('b/x')
  expect(got.headers['x-sluice-attempts']).toBe('3')
  await chat()
  expect(first.requests).toHaveLength(2)
})

test('a reload that raises a limit lets the next request in, and what was used still counts', async () => {
  const { chat, configure, logs } = await start({ rpm: 1 })
  expect((await chat()).status).toBe(200)
  expect((await chat()).status).toBe(429)
  configure(configWith({ rpm: 3 }))
  await eventually(() => logs.some((line) => line.event === 'settings.reloaded'), 'the new limit holds')
  expect((await chat()).headers['x-ratelimit-remaining-requests']).toBe('1')
  expect((await chat()).status).toBe(200)
  expect((await chat()).status).toBe(429)
})

test('a key without limits gets no headers of limits', async () => {
  const { chat } = await start({})
  const got = await chat()
  expect(Object.keys(got.headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([])
})
