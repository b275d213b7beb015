// Connections as strangers and broken clients use them: junk in the head, several requests at once, ends in the
// middle. Each gets one clean answer or none, and the gateway goes on.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { exchangeBytes } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const BODY = '{"model":"m","messages":[{"role":"user","content":"x"}]}'

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream(answer('served'))
  gateway = await startLocalGateway({ config: configOf({ providers: { up: upstream.baseUrl } }) })
})

afterEach(async () => {
  const got = await gateway.chat()
  expect(got.status, 'the gateway goes on').toBe(200)
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

const post = (headers: string, body = BODY): string =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\n${headers}\r\n${body}`
const withLength = `content-length: ${BODY.length}\r\n`
const statuses = (text: string): string[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1] ?? '')

describe('a head', () => {
  test.each([
    ['has a header of 100 KB', post(`${withLength}x-big: ${'y'.repeat(100_000)}\r\n`), '431'],
    ['has a name with a space', post(`${withLength}bad name: 1\r\n`), '400'],
    ['has a NUL in a value', post(`${withLength}x: a\0b\r\n`), '400'],
    ['has two lengths', post(`${withLength}content-length: 5\r\n`), '400'],
    ['has a length and chunks', post(`${withLength}transfer-encoding: chunked\r\n`), '400'],
    ['has no host', `POST /v1/chat/completions HTTP/1.1\r\n${withLength}\r\n${BODY}`, '400'],
    ['is no HTTP', 'EHLO example.org\r\n\r\n', '400'],
    ['has a length that is no number', post('content-length: abc\r\n'), '400'],
  ])('that %s is answered once and the connection ends', async (_what, bytes, status) => {
    const got = await exchangeBytes(gateway.port, bytes)
    expect(got.closed).toBe(true)
    expect(statuses(got.text)).toEqual([status])
    expect(got.text).not.toMatch(/at \w+.*:\d+:\d+/)
  })

  test('with a broken chunk size ends the connection', async () => {
    const before = upstream.requests.length
    const got = await exchangeBytes(
      gateway.port,
      post('transfer-encoding: chunked\r\n', `zz\r\n${BODY}\r\n0\r\n\r\n`),
    )
    expect(got.closed).toBe(true)
    expect(statuses(got.text)).not.toContain('200')
    expect(upstream.requests).toHaveLength(before)
  })

  test('that expects a 100 gets it before its answer', async () => {
    const got = await exchangeBytes(gateway.port, post(`${withLength}expect: 100-continue\r\n`), {
      untilText: /served/,
    })
    expect(statuses(got.text)).toEqual(['100', '200'])
  })

  test('with 1,500 headers is answered', async () => {
    const many = Array.from({ length: 1_500 }, (_, index) => `x-${index}: 1\r\n`).join('')
    const got = await exchangeBytes(gateway.port, post(`${many}${withLength}connection: close\r\n`))
    expect(statuses(got.text)).toHaveLength(1)
  })
})

describe('a connection', () => {
  test('with several requests in one write gets their answers in order', async () => {
    const unknown = BODY.replace('"m"', '"none"')
    const got = await exchangeBytes(
      gateway.port,
      post(withLength) +
        post(`content-length: ${unknown.length}\r\n`, unknown) +
        post(`${withLength}connection: close\r\n`),
    )
    expect(statuses(got.text)).toEqual(['200', '404', '200'])
  })

  test('of HTTP/1.0 gets its answer and its stream without chunks, and is closed', async () => {
    for (const body of [BODY, BODY.replace('{', '{"stream":true,')]) {
      const request = post(`content-length: ${body.length}\r\n`, body).replace('HTTP/1.1', 'HTTP/1.0')
      const got = await exchangeBytes(gateway.port, request)
      expect(got.closed).toBe(true)
      expect(statuses(got.text)).toEqual(['200'])
      expect(got.text).toContain('served')
      expect(got.text.toLowerCase()).not.toContain('transfer-encoding')
    }
  })

  test('that breaks inside a body leaves nothing behind', async () => {
    const got = await exchangeBytes(gateway.port, post('content-length: 5000\r\n'), {
      endAfter: Promise.resolve(),
    })
    expect(statuses(got.text)).not.toContain('200')
    await eventually(
      async () => /^sluice_requests_in_flight 0$/m.test(await gateway.metrics()),
      'no request in flight',
    )
  })

  test('that says nothing does not keep others waiting', async () => {
    const silent = Array.from({ length: 50 }, () =>
      exchangeBytes(gateway.port, 'POST /v1/chat', { forMs: 500 }),
    )
    const got = await gateway.chat()
    expect(got.status).toBe(200)
    await Promise.all(silent)
  })
})
