// A token endpoint that hangs: an attempt waits for it no longer than for its upstream.

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { askAndLeave } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const CONNECT_MS = 400

let hanging: Server
let tokenRequests = 0
let other: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  hanging = createServer(() => {
    tokenRequests++
  })
  await new Promise<void>((resolve) => hanging.listen(0, '127.0.0.1', resolve))
  other = await startRawUpstream()
  other.script(answer('from the other'))
  const { port } = hanging.address() as AddressInfo
  const old = {
    use: 'ernie',
    base_url: `http://127.0.0.1:${port}`,
    api_key: 'client-id-0123456789:client-secret-0123456789',
    allow_private: true,
  }
  gateway = await startLocalGateway({
    config: configOf({
      providers: { old, older: old, other: other.baseUrl },
      prices: {},
      targets: ['old/ernie-4.0-8k', 'other/x'],
      models: { alone: { policy: 'p', targets: ['older/ernie-4.0-8k'] } },
      policy: {
        sort: 'priority',
        retry: { attempts: 2 },
        timeouts: { connect_ms: CONNECT_MS, total_ms: 8_000 },
        outlier_detection: { consecutive_5xx: 1_000, base_ejection_ms: 1, max_ejection_ms: 1 },
      },
    }),
  })
})

afterAll(async () => {
  hanging.closeAllConnections()
  await gateway.close()
  await new Promise((resolve) => hanging.close(resolve))
  await other.close()
})

test('falls back when a token is not there within connect_ms, and books how long it waited', async () => {
  const startedMs = performance.now()
  const got = await gateway.chat()
  expect(got.status, got.text).toBe(200)
  expect(performance.now() - startedMs).toBeLessThan(4_000)
  expect(got.headers['x-sluice-target']).toBe('other/x')
  const { attempts } = await gateway.detail(got.headers['x-request-id'] ?? '')
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['connection', 'success'])
  expect(attempts[0]?.['duration_ms']).toBeGreaterThanOrEqual(CONNECT_MS - 10)
  expect(attempts[0]?.['duration_ms']).toBeLessThan(4_000)
})

test('lets a client leave while it waits for a token', async () => {
  const before = tokenRequests
  const asked = eventually(() => tokenRequests > before, 'the token endpoint was asked')
  const body = { model: 'alone', messages: [{ role: 'user', content: 'hi' }] }
  await askAndLeave(`${gateway.url}/v1/chat/completions`, { key: KEY, body }, asked)
  const newest = async () => {
    const page = (await gateway.admin('/requests?limit=1')) as { data: { id: string; outcome: string }[] }
    return page.data[0]
  }
  await eventually(async () => (await newest())?.outcome === 'cancelled', 'it is booked as cancelled', 3_000)
  const { attempts } = await gateway.detail((await newest())?.id ?? '')
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['cancelled'])
  expect(attempts[0]?.['duration_ms']).toBeLessThan(CONNECT_MS)
})
