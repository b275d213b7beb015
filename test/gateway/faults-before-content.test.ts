// Upstreams that fail before any content: what the client is told, what the ledger says, and who is asked next.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answer, answerText, isStreaming } from '../support/chat-bytes.ts'
import { eventually, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, UPSTREAM_KEY } from '../support/gateway-config.ts'
import type { ClientAnswer } from '../support/http-client.ts'
import { closedPort, type RawUpstream, startBlackHole, startRawUpstream } from '../support/raw-upstream.ts'
import { FAULTS, type Fault, STREAM_FAULTS } from './upstream-faults.ts'

const ALL = [...FAULTS, ...STREAM_FAULTS]
const TIMEOUTS = { connect_ms: 2_000, ttft_ms: 1_000, idle_ms: 2_000, total_ms: 2_500 }

let bad: RawUpstream
let good: RawUpstream
let gateway: LocalGateway
let deadPort: number

/** A rate limit cools a target down: each way of asking has one of its own. */
const WAYS = ['whole', 'stream', 'next'] as const
type Way = (typeof WAYS)[number]

const nameOf = (fault: Fault, way: Way): string => `${way}-${ALL.indexOf(fault)}`
const modelOf = (request: { readonly json: Record<string, unknown> }): string => String(request.json['model'])
const providerOf = (fault: Fault): string => (fault.answer === 'refused' ? 'dead' : 'bad')

beforeAll(async () => {
  deadPort = await closedPort()
  good = await startRawUpstream(answer('from the good one'))
  bad = await startRawUpstream((request) => {
    const found = ALL[Number(modelOf(request).split('-')[1])]
    if (found === undefined || found.answer === 'refused') throw new Error(`asked for ${request.body}`)
    return found.answer
  })
  const models = ALL.flatMap((fault) =>
    WAYS.map((way) => {
      const name = nameOf(fault, way)
      const target = `${providerOf(fault)}/${name}`
      const next = { target: 'good/x', priority: 1 }
      return [
        name,
        way === 'next'
          ? { policy: 'p', targets: [{ target, priority: 0 }, next] }
          : { policy: 'once', targets: [target] },
      ]
    }),
  )
  const outlier = { consecutive_5xx: 1_000, base_ejection_ms: 1, max_ejection_ms: 1 }
  gateway = await startLocalGateway({
    config: configOf({
      providers: { bad: bad.baseUrl, good: good.baseUrl, dead: `http://127.0.0.1:${deadPort}/v1` },
      targets: ['good/x'],
      models: Object.fromEntries(models) as Record<string, unknown>,
      over: {
        policies: {
          once: { sort: 'priority', retry: { attempts: 1 }, timeouts: TIMEOUTS, outlier_detection: outlier },
          p: { sort: 'priority', timeouts: TIMEOUTS, outlier_detection: outlier },
        },
      },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await bad.close()
  await good.close()
})

function expectNoLeak(got: ClientAnswer): void {
  const all = got.text + JSON.stringify(got.headers)
  for (const secret of [
    String(bad.port),
    String(deadPort),
    UPSTREAM_KEY,
    'canary',
    '127.0.0.1',
    '/srv/',
    'node:',
    '.js:',
    'ECONN',
    'undici',
  ])
    expect(all, `leaks ${secret}`).not.toContain(secret)
}

async function expectError(fault: Fault, way: 'whole' | 'stream'): Promise<void> {
  const got = await gateway.chat({ model: nameOf(fault, way), stream: way === 'stream' })
  expect([got.status, got.error.code], got.text).toEqual([fault.status, fault.code])
  expect(got.headers).toMatchObject({
    'content-type': 'application/json',
    'x-sluice-attempts': '1',
    'x-sluice-target': `${providerOf(fault)}/${nameOf(fault, way)}`,
  })
  expect(typeof got.error.message === 'string' && typeof got.error.type === 'string').toBe(true)
  expect(got.headers['retry-after']).toBe(fault.retryAfter)
  if (fault.shouldRetry !== undefined) expect(got.headers['x-should-retry']).toBe(fault.shouldRetry)
  expectNoLeak(got)
  const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
  expect(detail).toMatchObject({ status: fault.status, outcome: 'failed', error: fault.code })
  expect(detail.attempts.map((row) => [row.outcome, row.http_status])).toEqual([
    [fault.outcome, fault.httpStatus],
  ])
}

describe('an upstream that', () => {
  test.each(FAULTS)('$name is a clean error', (fault) => expectError(fault, 'whole'))

  test.each(ALL)('$name is a clean error of a stream', (fault) => expectError(fault, 'stream'))

  test.each(ALL.filter((fault) => fault.stops !== true))(
    '$name is followed by the next target',
    async (fault) => {
      const got = await gateway.chat({ model: nameOf(fault, 'next'), stream: true })
      expect(got.status).toBe(200)
      expect(got.text).toContain('from the good one')
      expect(got.headers).toMatchObject({ 'x-sluice-target': 'good/x', 'x-sluice-attempts': '2' })
      expectNoLeak(got)
      const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
      expect(detail).toMatchObject({ status: 200, outcome: 'success', error: null })
      expect(detail.attempts.map((row) => [row.role, row.outcome])).toEqual([
        ['first', fault.outcome],
        ['fallback', 'success'],
      ])
    },
  )

  test.each(ALL.filter((fault) => fault.stops === true))('$name is the end of it', async (fault) => {
    const before = good.requests.length
    const got = await gateway.chat({ model: nameOf(fault, 'next') })
    expect(got.error.code).toBe(fault.code)
    expect(good.requests).toHaveLength(before)
  })

  test('sends informational answers first is read to its answer', async () => {
    const early = 'HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n'
    const text = answerText('after the hints', null)
    good.script((request) =>
      isStreaming(request.body)
        ? answer('x')(request)
        : {
            head: `${early}HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n`,
            framing: 'length',
            steps: [text],
          },
    )
    const got = await gateway.chat()
    good.script(answer('from the good one'))
    expect(got.text).toBe(text)
  })

  test('closes a kept connection as it is used again does not cost the client its answer', async () => {
    good.script((request) => ({ ...answer('kept')(request), ending: 'fin' }))
    for (let round = 0; round < 5; round += 1) {
      const got = await gateway.chat()
      expect(got.status).toBe(200)
    }
    good.script(answer('from the good one'))
  })

  test('neither takes nor refuses the connection is given up at the connect deadline', async () => {
    const hole = await startBlackHole()
    try {
      const before = gateway.logs.filter((line) => line.event === 'settings.reloaded').length
      gateway.configure(
        configOf({
          providers: { hole: `http://127.0.0.1:${hole.port}/v1`, good: good.baseUrl },
          targets: ['hole/x', { target: 'good/x', priority: 1 }],
          policy: { timeouts: { connect_ms: 400, total_ms: 20_000 } },
        }),
      )
      const reloads = () => gateway.logs.filter((line) => line.event === 'settings.reloaded').length
      await eventually(() => reloads() > before, 'the new targets are in force')
      const got = await gateway.chat()
      expect(got.headers).toMatchObject({ 'x-sluice-target': 'good/x', 'x-sluice-attempts': '2' })
      const line = gateway.logs.findLast((candidate) => candidate.event === 'attempt.failed')
      expect(line?.fields).toMatchObject({ kind: 'connection', vendor_message: 'connect deadline' })
      const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
      // Nothing was written to it, so nothing can be billed.
      expect(detail.attempts[0]).toMatchObject({ outcome: 'connection', cost: { amount: '0' } })
    } finally {
      hole.close()
    }
  })
})
