import { describe, expect, test } from 'vitest'
import type { Credential, CredentialExchange } from '#core/provider.ts'
import { CredentialError, type Signature, TokenCache } from '#pipeline/credentials.ts'
import type { TargetFacts } from '#pipeline/live.ts'
import { encode, FakeClock, FakeUpstream, factsWith } from './support.ts'

const SECRET = 'secret-of-vendor'
const LIFE_SECONDS = 1_000

const exchange: CredentialExchange = {
  kind: 'exchange',
  request: (secret) =>
    secret.startsWith('plain')
      ? null
      : { method: 'POST', url: `https://vendor.example/token?s=${secret}`, headers: { accept: 'x' } },
  read: (status, body) =>
    status === 200
      ? { token: body, expiresInSeconds: LIFE_SECONDS }
      : { error: `no token (status ${status})` },
  place: { query: 'access_token' },
}

function setUp(credential: Credential = exchange) {
  const clock = new FakeClock()
  const upstream = new FakeUpstream()
  const cache = new TokenCache(clock, upstream, () => new Uint8Array(32))
  return { clock, upstream, cache, facts: factsWith({ credential }) }
}

const withSecret = (facts: TargetFacts, apiKey: string | null): TargetFacts => ({
  ...facts,
  settings: { ...facts.settings, apiKey },
})

async function signed(signature: Signature | Promise<Signature>): Promise<Signature> {
  return await signature
}

const queryOf = (token: string): Signature => ({ headers: {}, query: { access_token: token } })

async function failureOf(signature: Signature | Promise<Signature>): Promise<CredentialError> {
  const error: unknown = await Promise.resolve(signature).catch((caught: unknown) => caught)
  if (!(error instanceof CredentialError)) throw new Error('no CredentialError')
  return error
}

describe('a key that needs no token', () => {
  test.each([
    { credential: { kind: 'none' }, want: {} },
    { credential: { kind: 'bearer' }, want: { authorization: `Bearer ${SECRET}` } },
    { credential: { kind: 'header', header: 'x-api-key' }, want: { 'x-api-key': SECRET } },
    { credential: { kind: 'jwt', sign: () => null }, want: { authorization: `Bearer ${SECRET}` } },
    { credential: { ...exchange, request: () => null }, want: { authorization: `Bearer ${SECRET}` } },
  ] as const)('$credential.kind signs at once', ({ credential, want }) => {
    const { cache, facts, upstream } = setUp(credential)
    expect(cache.sign(facts)).toEqual({ headers: want, query: {} })
    expect(upstream.calls).toEqual([])
  })

  test.each([null, ''])('that is %j signs nothing', (apiKey) => {
    const { cache, facts } = setUp({ kind: 'bearer' })
    expect(cache.sign(withSecret(facts, apiKey))).toEqual({ headers: {}, query: {} })
  })
})

describe('a token that is fetched', () => {
  test('is fetched once for all that wait', async () => {
    const { cache, facts, upstream } = setUp()
    const waiting = Array.from({ length: 20 }, () => signed(cache.sign(facts)))
    upstream.answer(200, 'token-1')
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => queryOf('token-1')))
    expect(upstream.calls).toHaveLength(1)
    expect(upstream.calls[0]?.request).toMatchObject({ method: 'POST', headers: { accept: 'x' }, body: null })
  })

  test('is at hand without a promise from then on', async () => {
    const { cache, facts, upstream } = setUp()
    const first = signed(cache.sign(facts))
    upstream.answer(200, 'token-1')
    await first
    expect(cache.sign(facts)).toEqual(queryOf('token-1'))
    expect(upstream.calls).toHaveLength(1)
  })

  test.each([
    { place: { query: 'q' }, want: { headers: {}, query: { q: 't' } } },
    { place: { header: 'x-token' }, want: { headers: { 'x-token': 't' }, query: {} } },
    {
      place: { header: 'authorization', prefix: 'Token ' },
      want: { headers: { authorization: 'Token t' }, query: {} },
    },
  ] as const)('goes where the dialect wants it: $place', async ({ place, want }) => {
    const { cache, facts, upstream } = setUp({ ...exchange, place })
    const first = signed(cache.sign(facts))
    upstream.answer(200, 't')
    expect(await first).toEqual(want)
  })

  async function withToken() {
    const all = setUp()
    const first = signed(all.cache.sign(all.facts))
    all.upstream.answer(200, 'token-1')
    await first
    return all
  }

  test('is renewed ahead of its end, once, while the old one serves', async () => {
    const { cache, clock, facts, upstream } = await withToken()
    clock.advance(LIFE_SECONDS * 900 - 1)
    cache.sign(facts)
    expect(upstream.calls).toHaveLength(1)
    clock.advance(1)
    expect([cache.sign(facts), cache.sign(facts)]).toEqual([queryOf('token-1'), queryOf('token-1')])
    expect(upstream.calls).toHaveLength(2)
    upstream.answer(200, 'token-2')
    await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    expect(cache.sign(facts)).toEqual(queryOf('token-2'))
  })

  test('serves to its end when its renewal fails, and is asked for again a little later', async () => {
    const { cache, clock, facts, upstream } = await withToken()
    clock.advance(LIFE_SECONDS * 950)
    cache.sign(facts)
    upstream.answer(500, '')
    await new Promise((resolve) => setImmediate(resolve))
    expect(cache.sign(facts)).toEqual(queryOf('token-1'))
    expect(upstream.calls).toHaveLength(2)
    clock.advance(1_000)
    expect(cache.sign(facts)).toEqual(queryOf('token-1'))
    expect(upstream.calls).toHaveLength(3)
  })

  test('is not asked for by every request while the endpoint refuses: the wait doubles up to a minute', async () => {
    const { cache, clock, facts, upstream } = setUp()
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      const calls = upstream.calls.length
      const asked = signed(cache.sign(facts))
      upstream.answer(401, 'no')
      await expect(asked).rejects.toThrow()
      clock.advance(waitMs - 1)
      await expect(signed(cache.sign(facts))).rejects.toThrow()
      expect(upstream.calls).toHaveLength(calls + 1)
      clock.advance(1)
    }
  })

  test('of a key that was changed while the old one was asked for is asked for with the new one', async () => {
    const { cache, facts, upstream } = setUp()
    const old = signed(cache.sign(facts))
    const rotated = signed(cache.sign(withSecret(facts, 'rotated')))
    expect(upstream.calls).toHaveLength(2)
    upstream.answer(200, 'token-old', 0)
    upstream.answer(200, 'token-new', 1)
    expect([await old, await rotated]).toEqual([queryOf('token-old'), queryOf('token-new')])
  })

  test('that was renewed meanwhile stays when an older one is refused', async () => {
    const { cache, facts, upstream } = await withToken()
    cache.invalidate(facts.settings.name, null)
    const next = signed(cache.sign(facts))
    upstream.answer(200, 'token-2')
    await next
    cache.invalidate(facts.settings.name, null, queryOf('token-1'))
    expect(cache.sign(facts)).toEqual(queryOf('token-2'))
    cache.invalidate(facts.settings.name, null, queryOf('token-2'))
    expect(cache.sign(facts)).toBeInstanceOf(Promise)
  })

  test('is not used behind its end', async () => {
    const { cache, clock, facts, upstream } = await withToken()
    clock.advance(LIFE_SECONDS * 1_000)
    const next = signed(cache.sign(facts))
    upstream.answer(200, 'token-2')
    expect(await next).toEqual(queryOf('token-2'))
  })

  test('is fetched anew when an answer says that it is stale', async () => {
    const { cache, facts, upstream } = await withToken()
    cache.invalidate(facts.settings.name, null)
    const next = signed(cache.sign(facts))
    upstream.answer(200, 'token-2')
    expect(await next).toEqual(queryOf('token-2'))
  })

  test('of one key is not used for another', async () => {
    const { cache, facts, upstream } = await withToken()
    const next = signed(cache.sign(withSecret(facts, 'rotated')))
    expect(upstream.calls[1]?.request.url.href).toContain('s=rotated')
    upstream.answer(200, 'token-2')
    expect(await next).toEqual(queryOf('token-2'))
  })

  test('of one provider says nothing of another', async () => {
    const { cache, facts, upstream } = await withToken()
    const other = { ...facts, settings: { ...facts.settings, name: 'other' } }
    expect(cache.sign(other)).toBeInstanceOf(Promise)
    expect(upstream.calls).toHaveLength(2)
  })
})

describe('a token that cannot be had', () => {
  const cases = [
    { status: 401, kind: 'auth' },
    { status: 400, kind: 'auth' },
    { status: 500, kind: 'connection' },
    { status: 503, kind: 'connection' },
  ]
  test.each(cases)('with status $status fails as $kind for all that wait', async ({ status, kind }) => {
    const { cache, facts, upstream } = setUp()
    const waiting = [failureOf(cache.sign(facts)), failureOf(cache.sign(facts))]
    upstream.answer(status, 'x')
    for (const error of await Promise.all(waiting)) {
      expect(error.toFailure()).toMatchObject({ kind, status })
      expect(error.message).not.toContain(SECRET)
    }
    expect(upstream.calls).toHaveLength(1)
  })

  test('because the endpoint is down fails as connection, and the cause is kept', async () => {
    const { cache, facts, upstream } = setUp()
    const waiting = failureOf(cache.sign(facts))
    const cause = new Error('ECONNREFUSED')
    upstream.calls[0]?.handler.onFault('connect', cause)
    const error = await waiting
    expect(error.toFailure().kind).toBe('connection')
    expect(error.cause).toBe(cause)
  })

  test('in time is given up, and the call is stopped', async () => {
    const { cache, clock, facts, upstream } = setUp()
    const waiting = failureOf(cache.sign(facts))
    clock.advance(9_999)
    expect(upstream.calls[0]?.aborted).toBe(false)
    clock.advance(1)
    expect((await waiting).toFailure().kind).toBe('connection')
    expect(upstream.calls[0]?.aborted).toBe(true)
  })

  test('is asked for again by a later request, and leaves no timer', async () => {
    const { cache, clock, facts, upstream } = setUp()
    const waiting = failureOf(cache.sign(facts))
    upstream.answer(500, '')
    await waiting
    expect(clock.timers).toBe(0)
    clock.advance(600_000)
    const next = signed(cache.sign(facts))
    upstream.answer(200, 'token-1')
    expect(await next).toEqual(queryOf('token-1'))
  })

  test('an endless answer is not gathered', async () => {
    let longest = 0
    const read: CredentialExchange['read'] = (_status, body) => {
      longest = body.length
      return { error: 'too long' }
    }
    const { cache, facts, upstream } = setUp({ ...exchange, read })
    const waiting = failureOf(cache.sign(facts))
    const handler = upstream.calls[0]?.handler
    handler?.onHead(200, {})
    for (let piece = 0; piece < 1_000; piece++) handler?.onBytes(encode('x'.repeat(1_000)))
    handler?.onEnd()
    await waiting
    expect(longest).toBeLessThanOrEqual(64 * 1024)
  })
})

describe('a token that is signed here', () => {
  function signer() {
    let made = 0
    const sign = (secret: string, nowMs: number) => ({
      token: `${secret}-${++made}`,
      expiresAtMs: nowMs + 1_000_000,
    })
    return setUp({ kind: 'jwt', sign })
  }
  const bearer = (token: string): Signature => ({ headers: { authorization: `Bearer ${token}` }, query: {} })

  test('is made once, and again ahead of its end', () => {
    const { cache, clock, facts } = signer()
    expect(cache.sign(facts)).toEqual(bearer(`${SECRET}-1`))
    clock.advance(899_999)
    expect(cache.sign(facts)).toEqual(bearer(`${SECRET}-1`))
    clock.advance(1)
    expect(cache.sign(facts)).toEqual(bearer(`${SECRET}-2`))
  })

  test('is made anew for another key, and when it is stale', () => {
    const { cache, facts } = signer()
    cache.sign(facts)
    expect(cache.sign(withSecret(facts, 'rotated'))).toEqual(bearer('rotated-2'))
    cache.invalidate(facts.settings.name, null)
    expect(cache.sign(withSecret(facts, 'rotated'))).toEqual(bearer('rotated-3'))
  })
})
