// Clients that leave and clients that read slowly: the upstream is aborted or paused, what was used is booked, and
// the memory stays bounded.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  answer,
  contentEvent,
  DONE,
  errorAnswer,
  FINISH_EVENT,
  ROLE_EVENT,
  usageEvent,
} from '../support/chat-bytes.ts'
import {
  type ChildGateway,
  eventually,
  KEY,
  type LocalGateway,
  type RequestDetail,
  startChildGateway,
  startLocalGateway,
  type TestGateway,
} from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { askAndLeave } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const MB = 1024 * 1024
const BODY = { model: 'm', messages: [{ role: 'user', content: 'x'.repeat(400) }] }

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startLocalGateway({
    config: configOf({
      providers: { up: upstream.baseUrl, other: upstream.baseUrl },
      targets: ['up/x', 'other/x'],
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

async function newest(of: TestGateway): Promise<RequestDetail> {
  const page = (await of.admin('/requests?limit=1')) as { data: { id: string }[] }
  return of.detail(page.data[0]?.id ?? '')
}

const lastRequest = () => {
  const request = upstream.requests.at(-1)
  if (request === undefined) throw new Error('the upstream was not asked')
  return request
}

describe('a client that leaves', () => {
  afterEach(async () => {
    await eventually(
      async () => /^sluice_requests_in_flight 0$/m.test(await gateway.metrics()),
      'nothing is in flight',
    )
    upstream.script(answer('still here'))
    expect((await gateway.chat()).status).toBe(200)
  })

  test.each([false, true])('before any content takes its upstream with it (stream: %s)', async (stream) => {
    const asked = Promise.withResolvers<void>()
    upstream.script(() => {
      asked.resolve()
      return { steps: [ROLE_EVENT], ending: 'hang' }
    })
    const before = upstream.requests.length
    await askAndLeave(
      `${gateway.url}/v1/chat/completions`,
      { key: KEY, body: { ...BODY, stream } },
      asked.promise,
    )
    await lastRequest().whenAborted
    const detail = await newest(gateway)
    expect(detail).toMatchObject({ outcome: 'cancelled', error: null })
    expect(detail.attempts.map((row) => row.outcome)).toEqual(['cancelled'])
    expect(detail.attempts[0]?.usage).toMatchObject({ source: 'estimated', output_tokens: 0 })
    expect(Number(detail.attempts[0]?.usage['input_tokens'])).toBeGreaterThan(50)
    expect(Number(detail.cost)).toBeGreaterThan(0)
    expect(upstream.requests, 'nobody else is asked').toHaveLength(before + 1)
  })

  test('in mid-stream takes its upstream with it, and what it had is booked', async () => {
    upstream.script({ steps: [ROLE_EVENT, contentEvent('word '.repeat(200))], ending: 'hang' })
    const client = await gateway.chatStream(BODY)
    await client.until('word word')
    client.abort()
    await lastRequest().whenAborted
    const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
    expect(detail).toMatchObject({ outcome: 'cancelled' })
    const output = Number(detail.attempts[0]?.usage['output_tokens'])
    expect(output).toBeGreaterThan(100)
    expect(output).toBeLessThan(500)
  })

  test('after the upstream has said its usage is booked with that', async () => {
    const usage = { prompt_tokens: 77, completion_tokens: 33 }
    upstream.script({
      steps: [ROLE_EVENT, contentEvent('Hi'), usageEvent(usage), contentEvent('marker')],
      ending: 'hang',
    })
    const client = await gateway.chatStream(BODY)
    await client.until('marker')
    client.abort()
    const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
    expect(detail.attempts[0]?.usage).toMatchObject({
      input_tokens: 77,
      output_tokens: 33,
      source: 'provider',
    })
  })

  test('while we wait to try again is not waited for', async () => {
    const asked = Promise.withResolvers<void>()
    upstream.script(() => {
      // The answer is read and the wait has begun when the client goes.
      setTimeout(() => asked.resolve(), 300)
      return errorAnswer(429, { message: 'slow down' }, { 'retry-after': '4' })
    })
    const before = upstream.requests.length
    const body = { ...BODY, model: 'up/only' }
    await askAndLeave(`${gateway.url}/v1/chat/completions`, { key: KEY, body }, asked.promise)
    const detail = await newest(gateway)
    expect(detail.outcome).toBe('cancelled')
    expect(upstream.requests).toHaveLength(before + 1)
  })

  test('a hundred times leaves no connection to the upstream open', async () => {
    upstream.script({ steps: [ROLE_EVENT, contentEvent('Hi')], ending: 'hang' })
    const streams = await Promise.all(Array.from({ length: 100 }, () => gateway.chatStream(BODY)))
    for (const stream of streams) stream.abort()
    await eventually(() => upstream.connections() === 0, 'all upstream connections are closed')
  })
})

describe('a client that reads slowly', () => {
  let child: ChildGateway

  beforeAll(async () => {
    child = await startChildGateway({
      config: configOf({
        providers: { up: upstream.baseUrl },
        targets: ['up/x'],
        policy: { timeouts: { idle_ms: 800, ttft_ms: 10_000, total_ms: 120_000 } },
      }),
    })
  })

  afterAll(() => child.close())

  const residentBytes = (): number => {
    const pid = String(child.child.pid)
    const status = `/proc/${pid}/status`
    const kilobytes = existsSync(status)
      ? /VmRSS:\s+(\d+)/.exec(readFileSync(status, 'utf8'))?.[1]
      : execFileSync('ps', ['-o', 'rss=', '-p', pid])
    return Number(kilobytes) * 1024
  }

  test('pauses the upstream, fills no memory, is not cut by the idle deadline and gets everything', async () => {
    const event = contentEvent('x'.repeat(MB / 4))
    const events = 400
    const warm = await child.chatStream()
    upstream.script(answer('warm'))
    await warm.ended.catch(() => undefined)
    upstream.script({
      steps: [ROLE_EVENT, ...Array.from({ length: events }, () => event), FINISH_EVENT, DONE],
    })
    const writtenBefore = upstream.bytesWritten()
    const rssBefore = residentBytes()
    const clients = await Promise.all([child.chatStream(), child.chatStream()])
    for (const client of clients) client.pause()
    let last = -1
    // The upstream's writing comes to rest well before its end, and stays so for longer than the idle deadline.
    await eventually(
      async () => {
        const now = upstream.bytesWritten()
        const rests = now === last
        last = now
        await new Promise((resolve) => setTimeout(resolve, 1_200))
        return rests
      },
      'the upstream is paused',
      60_000,
    )
    const total = 2 * events * event.length
    expect(last - writtenBefore).toBeLessThan(total / 2)
    // Held back it would all be here, besides what the passing of it leaves to the collector.
    expect(residentBytes() - rssBefore).toBeLessThan(total * 0.6)
    for (const client of clients) client.resume()
    await Promise.all(clients.map((client) => client.ended))
    for (const client of clients) {
      expect(client.text().length).toBe(
        ROLE_EVENT.length + events * event.length + FINISH_EVENT.length + DONE.length,
      )
      expect(client.text().endsWith(DONE)).toBe(true)
    }
  })

  test('and leaves while paused is booked as cancelled', async () => {
    const event = contentEvent('x'.repeat(MB / 4))
    upstream.script({ steps: [ROLE_EVENT, ...Array.from({ length: 100 }, () => event), FINISH_EVENT, DONE] })
    const client = await child.chatStream()
    client.pause()
    await new Promise((resolve) => setTimeout(resolve, 300))
    client.abort()
    await lastRequest().whenAborted
    const detail = await child.detail(client.headers['x-request-id'] ?? '')
    expect(detail.outcome).toBe('cancelled')
  })
})
