// Streams that wait long for their first content get their head and a sign of life, and may still fall back. The
// wait is that of core/limits.ts, so this file takes as long; its tests run side by side.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EARLY_HEAD_MS } from '#core/limits.ts'
import { answer, errorAnswer, isStreaming, streamEvents } from '../support/chat-bytes.ts'
import { type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { contentOf, eventsOf } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const LATE_MS = EARLY_HEAD_MS + 1_500
const TIMEOUTS = { ttft_ms: 2 * EARLY_HEAD_MS, total_ms: 3 * EARLY_HEAD_MS }
const PING = ': ping\n\n'

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream(async (request) => {
    const model = String(request.json['model'])
    if (model === 'quick') return answer('from the quick one')(request)
    if (model === 'late') return { steps: [LATE_MS, ...streamEvents(['late'], null)] }
    await new Promise((resolve) => setTimeout(resolve, LATE_MS))
    return isStreaming(request.body) ? errorAnswer(500, { message: 'down' }) : answer('whole')(request)
  })
  gateway = await startLocalGateway({
    config: configOf({
      providers: { up: upstream.baseUrl, spare: upstream.baseUrl },
      targets: ['up/late'],
      models: {
        falling: { policy: 'p', targets: ['up/failing', { target: 'spare/quick', priority: 1 }] },
        failing: { policy: 'once', targets: ['spare/failing'] },
        whole: { policy: 'p', targets: ['up/whole'] },
      },
      over: {
        policies: {
          p: { sort: 'priority', timeouts: TIMEOUTS },
          once: { sort: 'priority', retry: { attempts: 1 }, timeouts: TIMEOUTS },
        },
      },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

describe.concurrent('a stream without content for long', { timeout: 3 * EARLY_HEAD_MS }, () => {
  test('has its head and a ping before its first content, without a target yet', async () => {
    const client = await gateway.chatStream()
    expect(client.status).toBe(200)
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(client.headers).not.toHaveProperty('x-sluice-target')
    expect(client.headers['x-request-id']).toMatch(/^req_/)
    await client.until(PING)
    expect(client.text()).not.toContain('late')
    await client.ended
    expect(client.text()).toBe(PING + streamEvents(['late'], null).join(''))
  })

  test('still falls back', async () => {
    const client = await gateway.chatStream({ model: 'falling' })
    await client.ended
    expect(client.text().startsWith(PING)).toBe(true)
    expect(contentOf(client.text())).toBe('from the quick one')
    expect(eventsOf(client.text()).at(-1)).toBe('[DONE]')
    const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
    expect(detail.attempts.map((row) => row.outcome)).toEqual(['server', 'success'])
  })

  test('that fails in the end says so as an event, without [DONE]', async () => {
    const client = await gateway.chatStream({ model: 'failing' })
    await client.ended
    const events = eventsOf(client.text())
    expect(events).toHaveLength(1)
    expect(JSON.parse(events[0] ?? '')).toMatchObject({ error: { code: 'upstream_error' } })
    const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
    expect(detail).toMatchObject({ status: 200, outcome: 'failed', error: 'upstream_error' })
  })

  test('is otherwise an unstreamed answer, which simply comes late', async () => {
    const got = await gateway.chat({ model: 'whole' })
    expect(got.status).toBe(200)
    expect(got.headers['x-sluice-target']).toBe('up/whole')
    expect(got.text).toContain('whole')
  })
})
