// Clients that end their side of the connection behind the request. One that still reads gets its answer; one that has
// gone, which says the same at first, takes its upstream with it.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { answer, contentEvent, DONE, FINISH_EVENT, ROLE_EVENT } from '../support/chat-bytes.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { contentOf } from '../support/http-client.ts'
import { holdBack, newest } from '../support/leaving.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startLocalGateway({ config: configOf({ providers: { up: upstream.baseUrl } }) })
})

beforeEach(() => upstream.script(answer('served')))

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

type Version = '1.0' | '1.1'

function requestText(stream: boolean, version: Version = '1.1'): string {
  const body = JSON.stringify({ model: 'm', stream, messages: [{ role: 'user', content: 'x' }] })
  return `POST /v1/chat/completions HTTP/${version}\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

const MODELS = `GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEY}\r\n\r\n`

class Client {
  readonly socket: Socket
  text = ''
  readonly #ended: Promise<unknown>

  constructor(request: string) {
    this.socket = connect({ host: '127.0.0.1', port: gateway.port, allowHalfOpen: true })
    this.#ended = once(this.socket, 'end')
    this.#ended.catch(() => undefined)
    this.socket.on('error', () => undefined)
    this.socket.on('data', (data) => {
      this.text += data.toString('utf8')
    })
    this.socket.write(request)
  }

  endsItsSide(): this {
    this.socket.end()
    return this
  }

  has(mark: string): Promise<void> {
    return eventually(() => this.text.includes(mark), `the client has ${mark}`)
  }

  /** All that came, when the gateway has closed its side too. */
  async whole(): Promise<string> {
    await this.#ended
    return this.text
  }
}

const statuses = (text: string): string[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1] ?? '')

/** The events of a chunked or plain answer, without the lines between them. */
const contentIn = (text: string): string => contentOf(text.replaceAll(/\r\n(?:[0-9a-f]+\r\n)?/g, ''))

const outcome = async (): Promise<string> => (await newest(gateway)).outcome

describe('a client that ends its side behind its request and reads on', () => {
  test.each<[Version, boolean]>([
    ['1.1', false],
    ['1.1', true],
    ['1.0', false],
    ['1.0', true],
  ])('gets its answer and then the end (HTTP/%s, stream: %s)', async (version, stream) => {
    const text = await new Client(requestText(stream, version)).endsItsSide().whole()
    expect(statuses(text)).toEqual(['200'])
    expect(text).toContain('served')
    expect(text.includes('[DONE]')).toBe(stream)
    expect(await outcome()).toBe('success')
  })

  test.each([false, true])('gets it also when it takes long (stream: %s)', async (stream) => {
    const { asked, release } = holdBack(upstream, [], [ROLE_EVENT, contentEvent('whole'), FINISH_EVENT, DONE])
    const client = new Client(requestText(stream)).endsItsSide()
    await asked
    // It is asked whether it is there by an answer that every client of HTTP/1.1 reads over.
    await client.has('HTTP/1.1 100 Continue\r\n\r\n')
    release()
    const text = await client.whole()
    expect(statuses(text).filter((status) => status !== '100')).toEqual(['200'])
    expect(text).toContain('whole')
    expect(await outcome()).toBe('success')
  })

  test('is sent no word between over HTTP/1.0, which knows none', async () => {
    const { asked, release } = holdBack(upstream, [], [])
    const client = new Client(requestText(false, '1.0')).endsItsSide()
    await asked
    await wait(900)
    release()
    expect(statuses(await client.whole())).toEqual(['200'])
  })

  test('gets the rest of a stream, with comments between its events at most', async () => {
    const rest = [contentEvent('and the rest'), FINISH_EVENT, DONE]
    const { release } = holdBack(upstream, [ROLE_EVENT, contentEvent('begun ')], rest)
    const client = new Client(requestText(true))
    await client.has('begun')
    client.endsItsSide()
    await client.has(': ping\n\n')
    release()
    const text = await client.whole()
    expect(contentIn(text)).toBe('begun and the rest')
    expect(text).toContain('[DONE]')
    expect(await outcome()).toBe('success')
  })

  test('gets the answers of all requests that it had sent', async () => {
    const client = new Client(
      requestText(false) + requestText(true) + MODELS + requestText(false),
    ).endsItsSide()
    const text = await client.whole()
    expect(statuses(text)).toEqual(['200', '200', '200', '200'])
    expect(text.match(/served/g)).toHaveLength(3)
  })

  test('gets what is no inference, too', async () => {
    const text = await new Client(MODELS).endsItsSide().whole()
    expect(statuses(text)).toEqual(['200'])
    expect(text).toContain('"data"')
  })
})

describe('a client that has gone', () => {
  const leave = {
    'closes its connection': (client: Client) => client.socket.destroy(),
    'resets its connection': (client: Client) => client.socket.resetAndDestroy(),
    'ends its side first and closes later': async (client: Client) => {
      client.endsItsSide()
      await client.has(client.text.includes('begun') ? ': ping' : '100 Continue')
      client.socket.destroy()
    },
  }
  const ways = Object.keys(leave) as (keyof typeof leave)[]

  test.each(ways.flatMap((way) => [[way, false] as const, [way, true] as const]))(
    '%s while it waits takes its upstream with it (stream: %s)',
    async (way, stream) => {
      const { asked } = holdBack(upstream, [], [])
      const client = new Client(requestText(stream))
      const request = await asked
      await leave[way](client)
      await request.whenAborted
      expect(await outcome()).toBe('cancelled')
    },
  )

  test.each(ways)('%s in mid-stream takes its upstream with it', async (way) => {
    const { asked } = holdBack(upstream, [ROLE_EVENT, contentEvent('begun')], [])
    const client = new Client(requestText(true))
    await client.has('begun')
    await leave[way](client)
    await (await asked).whenAborted
    expect(await outcome()).toBe('cancelled')
  })

  test('leaves no connection that waits for a request open', async () => {
    const client = new Client(requestText(false))
    await client.has('served')
    client.endsItsSide()
    expect(statuses(await client.whole())).toEqual(['200'])
  })
})
