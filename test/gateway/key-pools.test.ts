// Several keys at one provider as a pool: each with its own quota, its own cooldown and the sessions that it has had.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { answer, errorAnswer } from '../support/chat-bytes.ts'
import { type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, openAiCompatible, priceOf } from '../support/gateway-config.ts'
import {
  type RawUpstream,
  type ScriptedAnswer,
  type SeenRequest,
  startRawUpstream,
} from '../support/raw-upstream.ts'

const USAGE = { prompt_tokens: 10, completion_tokens: 5 }
const KEYS = ['sk-pool-one-0123456789', 'sk-pool-two-0123456789', 'sk-pool-three-0123456789']
const [ONE, TWO] = KEYS as [string, string, string]

let upstream: RawUpstream
let gateway: LocalGateway | null = null
/** By the key that asks. */
const behaviours = new Map<string, (request: SeenRequest) => ScriptedAnswer | Promise<ScriptedAnswer>>()

const keyOf = (request: SeenRequest): string =>
  String(request.headers['authorization']).replace('Bearer ', '')
const asked = (): string[] => upstream.requests.map(keyOf)

beforeEach(async () => {
  behaviours.clear()
  upstream = await startRawUpstream((request) => {
    const behaviour = behaviours.get(keyOf(request))
    return behaviour === undefined ? answer('ok', USAGE)(request) : behaviour(request)
  })
})

afterEach(async () => {
  await gateway?.close()
  gateway = null
  await upstream.close()
})

async function start(keys: readonly unknown[], over: object = {}): Promise<LocalGateway> {
  const { api_key: _, ...pool } = openAiCompatible(upstream.baseUrl)
  gateway = await startLocalGateway({
    config: configOf({
      providers: {
        pool: { ...pool, api_keys: keys },
        spare: { ...openAiCompatible(upstream.baseUrl), api_key: 'sk-spare-0123456789' },
      },
      prices: { 'pool/*': priceOf('1', '1'), 'spare/*': priceOf('9', '9') },
      targets: ['pool/x', 'spare/x'],
      policy: { sort: 'price', ...over },
    }),
  })
  return gateway
}

const limited = (): ScriptedAnswer =>
  errorAnswer(429, { message: 'slow down', code: 'rate_limit_exceeded' }, { 'retry-after': '60' })
const refused = (): ScriptedAnswer => errorAnswer(401, { message: 'bad key', code: 'invalid_api_key' })

describe('a pool of keys', () => {
  test('shares requests among its keys', async () => {
    const { chat } = await start(KEYS)
    for (let index = 0; index < 6; index++) expect((await chat()).status).toBe(200)
    expect(KEYS.map((key) => asked().filter((one) => one === key).length)).toEqual([2, 2, 2])
  })

  test('a rate limit holds for its key alone: the same request goes on with another one', async () => {
    const { chat, detail, admin } = await start(KEYS)
    behaviours.set(ONE, limited)
    const got = await chat()
    expect([got.status, got.headers['x-sluice-target'], got.headers['x-sluice-attempts']]).toEqual([
      200,
      'pool/x',
      '2',
    ])
    expect(asked()).toEqual([ONE, TWO])
    const { attempts, decision } = await detail(String(got.headers['x-request-id']))
    expect(attempts.map(({ role, outcome }) => [role, outcome])).toEqual([
      ['first', 'rate_limit'],
      ['retry', 'success'],
    ])
    expect(decision.candidates[0]).toMatchObject({ target: 'pool/x', account: 'key-1' })
    for (let index = 0; index < 4; index++) expect((await chat()).headers['x-sluice-attempts']).toBe('1')
    expect(asked().slice(2)).not.toContain(ONE)
    const { data } = (await admin('/targets')) as { data: Record<string, unknown>[] }
    const target = data.find((one) => one['target'] === 'pool/x')
    expect(target?.['cooldowns']).toMatchObject([{ reason: 'rate_limit', account: 'key-1' }])
    expect(target?.['accounts']).toMatchObject([
      { account: 'key-1' },
      { account: 'key-2' },
      { account: 'key-3' },
    ])
  })

  test('a key that the provider refuses is set aside, not its target', async () => {
    const { chat, admin } = await start([
      { key: ONE, name: 'old' },
      { key: TWO, name: 'new' },
    ])
    behaviours.set(ONE, refused)
    expect((await chat()).status).toBe(200)
    expect(asked()).toEqual([ONE, TWO])
    expect((await chat()).headers['x-sluice-attempts']).toBe('1')
    const { data } = (await admin('/targets')) as { data: Record<string, unknown>[] }
    expect(data.find((one) => one['target'] === 'pool/x')?.['cooldowns']).toMatchObject([
      { reason: 'auth', account: 'old' },
    ])
  })

  test('with all its keys at their limits the next target is asked', async () => {
    const { chat } = await start(KEYS.slice(0, 2))
    behaviours.set(ONE, limited)
    behaviours.set(TWO, limited)
    const got = await chat()
    expect([got.status, got.headers['x-sluice-target'], got.headers['x-sluice-attempts']]).toEqual([
      200,
      'spare/x',
      '3',
    ])
    expect((await chat()).headers['x-sluice-attempts']).toBe('1')
  })

  test('the quota declared for a key is kept without asking', async () => {
    const { chat } = await start([
      { key: ONE, limits: { rpm: 6 } },
      { key: TWO, limits: { rpm: 6 } },
    ])
    for (let index = 0; index < 3; index++) await chat()
    expect(asked()).toEqual([ONE, TWO, 'sk-spare-0123456789'])
  })

  test('a session stays with the key whose cache knows it', async () => {
    const { chat } = await start(KEYS, { affinity: 'priced' })
    const headers = { 'x-session-id': 'talk-1' }
    for (let index = 0; index < 4; index++) {
      await chat({}, { headers })
      await chat({})
    }
    const ofSession = asked().filter((_, index) => index % 2 === 0)
    expect(new Set(ofSession).size).toBe(1)
    expect(new Set(asked()).size).toBe(3)
  })

  test('keys that resolve to nothing are left out', async () => {
    const one = await start(['', TWO])
    expect((await one.chat()).status).toBe(200)
    expect(asked()).toEqual([TWO])
  })
})
