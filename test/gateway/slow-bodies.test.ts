// Requests whose body stops arriving, or drips: a 408 within the bounds of `server`, and the connection ends with it.

import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { exchangeBytes, type RawExchange } from '../support/http-client.ts'
import { newest } from '../support/leaving.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const BODY = '{"model":"m","messages":[{"role":"user","content":"x"}]}'
const BOUNDS = { body_idle_ms: 900, body_ms_max: 2_500 }

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream(answer('served'))
  gateway = await startLocalGateway({
    config: configOf({
      providers: { up: upstream.baseUrl },
      over: { server: { host: '127.0.0.1', port: 0, drain_ms: 600, ...BOUNDS } },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

const head = (framing: string, key = KEY): string =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`
const LENGTH = `content-length: ${BODY.length}`
const CHUNKED = 'transfer-encoding: chunked'

const rows = async (): Promise<number> =>
  ((await gateway.admin('/requests?limit=500')) as { data: unknown[] }).data.length

/** Status, headers and body of the one answer. */
function answerOf({ text }: RawExchange): {
  status: string
  headers: string
  error: Record<string, unknown>
} {
  expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1)
  const [headers = '', body = ''] = text.split('\r\n\r\n')
  return {
    status: headers.split(' ')[1] ?? '',
    headers: headers.toLowerCase(),
    error: (JSON.parse(body) as { error: Record<string, unknown> }).error,
  }
}

describe('a body that stops arriving', () => {
  test.each([
    ['with a length, half of it there', head(LENGTH) + BODY.slice(0, 20)],
    ['with a length, nothing of it there', head(LENGTH)],
    ['in chunks, between two', `${head(CHUNKED)}5\r\n${BODY.slice(0, 5)}\r\n`],
    ['in chunks, inside one', `${head(CHUNKED)}ff\r\n${BODY.slice(0, 20)}`],
    ['in chunks, all but the last', `${head(CHUNKED)}${BODY.length.toString(16)}\r\n${BODY}\r\n`],
  ])('(%s) is answered with 408 and has a row, and nobody is asked', async (_what, bytes) => {
    const before = [await rows(), upstream.requests.length]
    const got = await exchangeBytes(gateway.port, bytes)
    expect(got.closed).toBe(true)
    const { status, headers, error } = answerOf(got)
    expect(status).toBe('408')
    expect(error).toEqual({
      message: 'the request body stopped arriving for 0.9 s',
      type: 'invalid_request_error',
      code: 'request_timeout',
      param: null,
    })
    expect(headers).toContain('content-type: application/json')
    expect(headers).toContain('connection: close')
    expect(headers).toContain('x-sluice-attempts: 0')
    expect([await rows(), upstream.requests.length]).toEqual([(before[0] ?? 0) + 1, before[1]])
    const row = await newest(gateway)
    expect(headers).toContain(`x-request-id: ${row.id}`.toLowerCase())
    expect(row).toMatchObject({
      status: 408,
      outcome: 'refused',
      error: 'request_timeout',
      key: 'tester',
      model: null,
      attempts: [],
      cost: null,
    })
  })

  test('leaves nothing in flight', async () => {
    await eventually(
      async () => /^sluice_requests_in_flight 0$/m.test(await gateway.metrics()),
      'nothing is in flight',
    )
    expect((await gateway.chat()).status).toBe(200)
  })

  test('is not read of a stranger, who has a 401 at once, no row, and no place for long', async () => {
    const before = await rows()
    const got = await exchangeBytes(gateway.port, head(LENGTH, 'sk-of-nobody-0123456789') + BODY.slice(0, 20))
    const { status, error } = answerOf(got)
    expect([status, error['code'], got.closed]).toEqual(['401', 'invalid_api_key', true])
    expect(await rows()).toBe(before)
  })
})

test('a body that drips is given up when its time is over', async () => {
  const drips = BODY.split('').map((character) => () => wait(100).then(() => character))
  const got = await exchangeBytes(gateway.port, [head(LENGTH)], { drip: drips })
  const { status, error } = answerOf(got)
  expect(got.closed).toBe(true)
  expect([status, error['code']]).toEqual(['408', 'request_timeout'])
  expect(error['message']).toBe('the request body did not arrive whole within 2.5 s')
})

test('a body that pauses for less than the bound is served', async () => {
  const pieces = [BODY.slice(0, 10), BODY.slice(10, 30), BODY.slice(30)]
  const drip = pieces.map((piece) => () => wait(350).then(() => piece))
  const got = await exchangeBytes(gateway.port, [head(LENGTH)], { drip, untilText: /served/ })
  expect(got.text).toContain('HTTP/1.1 200')
})

test('the bounds are those of the configuration in force', async () => {
  gateway.configure(
    configOf({
      providers: { up: upstream.baseUrl },
      over: {
        server: { host: '127.0.0.1', port: 0, drain_ms: 600, ...BOUNDS, body_idle_ms: 300 },
      },
    }),
  )
  await eventually(() => gateway.logs.some(({ event }) => event === 'settings.reloaded'), 'it is read')
  const got = await exchangeBytes(gateway.port, head(LENGTH))
  expect(answerOf(got).error['message']).toBe('the request body stopped arriving for 0.3 s')
})
