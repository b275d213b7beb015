// Addresses inside the operator's network: only a provider that may have one is sent there, whatever a name
// resolves to.

import { lookup } from 'node:dns/promises'
import { hostname } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ConfigError } from '#runtime/node/read-config.ts'
import { answer } from '../support/chat-bytes.ts'
import { startLocalGateway } from '../support/gateway.ts'
import { configOf, openAiCompatible } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startRawUpstream(answer('reached'))
})

afterAll(() => upstream.close())

const providerAt = (host: string, allow: boolean): Record<string, unknown> => ({
  ...openAiCompatible(`http://${host}:${upstream.port}/v1`),
  allow_private: allow,
})

/** A name of this machine that does not say of itself that it is local. */
async function localName(): Promise<string> {
  for (const name of [hostname(), 'ip6-localhost', 'localhost.localdomain']) {
    const found = await lookup(name, { all: true }).catch(() => [])
    if (
      found.some(({ address }) =>
        /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|::1$|f[cd])/.test(address),
      )
    )
      return name
  }
  throw new Error('this machine knows no name of its own in /etc/hosts')
}

test.each([
  '127.0.0.1',
  'localhost',
  '[::1]',
  '2130706433',
  '0x7f.1',
  '10.1.2.3',
  '169.254.169.254',
  '[::ffff:127.0.0.1]',
])('a provider at %s is refused with the configuration unless it may be private', async (host) => {
  const config = configOf({ providers: { up: providerAt(host, false) } })
  const error: unknown = await startLocalGateway({ config }).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(ConfigError)
  expect((error as ConfigError).problems.map((problem) => problem.path)).toEqual(['providers.up.base_url'])
})

test('a name that resolves to a private address is refused at the socket, and the client is not told which', async () => {
  const name = await localName()
  const gateway = await startLocalGateway({
    config: configOf({ providers: { up: providerAt(name, false) } }),
  })
  try {
    const before = upstream.connections()
    const got = await gateway.chat()
    expect([got.status, got.error.code]).toEqual([502, 'upstream_error'])
    expect(got.text).not.toContain(name)
    expect(upstream.connections()).toBe(before)
    const line = gateway.logs.find((candidate) => candidate.event === 'attempt.failed')
    expect(String(line?.fields['vendor_message'])).toContain('refused_address')
  } finally {
    await gateway.close()
  }
})

test('an upstream that redirects inside is not followed', async () => {
  const inner = await startRawUpstream(answer('secret'))
  const gateway = await startLocalGateway({ config: configOf({ providers: { up: upstream.baseUrl } }) })
  try {
    for (const status of [301, 302, 307, 308]) {
      upstream.script({
        status,
        headers: { location: `${inner.baseUrl}/chat/completions` },
        framing: 'length',
      })
      const got = await gateway.chat({ stream: status % 2 === 0 })
      expect(got.status).toBe(502)
      expect(got.text + JSON.stringify(got.headers)).not.toContain(String(inner.port))
    }
    expect(inner.requests).toHaveLength(0)
  } finally {
    await gateway.close()
    await inner.close()
  }
})
