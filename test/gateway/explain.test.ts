// Where a request would go and why, and how the targets stand: /admin/v1/explain, /admin/v1/targets, `sluice explain`.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answer, errorAnswer } from '../support/chat-bytes.ts'
import { ADMIN_TOKEN, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const COMMAND = join(import.meta.dirname, '../../src/cli/sluice.ts')
const BODY = { model: 'm', messages: [{ role: 'user', content: 'hello' }] }

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream((request) => {
    const model = request.json['model']
    if (model === 'limited')
      return errorAnswer(429, { message: 'slow down', code: 'rate_limit_exceeded' }, { 'retry-after': '40' })
    if (model === 'down') return errorAnswer(500, { message: 'down' })
    return answer('ok', { prompt_tokens: 10, completion_tokens: 5 })(request)
  })
  gateway = await startLocalGateway({
    config: configOf({
      providers: { a: upstream.baseUrl, b: upstream.baseUrl, off: { use: 'doubao', api_key: '' } },
      prices: { 'a/*': priceOf('1', '2'), 'b/*': priceOf('2', '4') },
      targets: ['b/dear', 'a/cheap', 'off/doubao-seed-1-6-251015', 'a/unpriced-elsewhere'],
      models: {
        limited: { targets: ['a/limited'] },
        down: { policy: 'one', targets: ['a/down'] },
        capable: { targets: [{ target: 'a/plain', capabilities: [] }, 'b/able'] },
      },
      policy: { sort: 'price' },
      over: {
        policies: {
          p: { sort: 'price' },
          one: {
            sort: 'price',
            retry: { attempts: 1 },
            outlier_detection: { consecutive_5xx: 1, base_ejection_ms: 60_000 },
          },
          fast: { sort: 'latency' },
        },
        keys: [
          { name: 'tester', key: 'sk-test-0123456789' },
          { name: 'narrow', key: 'sk-narrow-0123456789', providers: ['b'], models: ['m'] },
        ],
      },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

type Json = Record<string, unknown>

async function explain(body: unknown, query = '', headers: Record<string, string> = {}) {
  const got = await ask(`${gateway.url}/admin/v1/explain${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: got.status, json: got.json as Json }
}

async function targetOf(id: string): Promise<Json | undefined> {
  const { data } = (await gateway.admin('/targets')) as { data: Json[] }
  return data.find(({ target }) => target === id)
}

describe('explain', () => {
  test('ranks the candidates with reasons, and sends nothing', async () => {
    const before = upstream.requests.length
    const { status, json } = await explain(BODY)
    expect(status).toBe(200)
    expect(json).toMatchObject({
      model: 'm',
      key: null,
      policy: 'p',
      sort: 'price',
      chosen: 'a/cheap',
      explored: false,
      propensity: 1,
      runner_up: { target: 'a/unpriced-elsewhere', measure: 'cost' },
      refusal: null,
    })
    expect(json['policy_version']).toMatch(/^[0-9a-f]{8}$/)
    const candidates = json['candidates'] as Json[]
    expect(candidates.map(({ target, reason }) => [target, reason])).toEqual([
      ['a/cheap', 'cheapest'],
      ['a/unpriced-elsewhere', 'dearer'],
      ['b/dear', 'dearer'],
    ])
    expect(candidates[0]).toMatchObject({ samples: 0, estimated_cost: expect.stringMatching(/^0\.\d+$/) })
    expect(json['excluded']).toEqual([
      { target: 'off/doubao-seed-1-6-251015', reason: 'disabled', detail: 'its provider has no key' },
    ])
    expect(json['counterfactual']).toEqual([
      { quantity: 'cost', target: 'a/cheap', above: Number(candidates[1]?.['estimated_cost']), below: null },
    ])
    expect(upstream.requests.length).toBe(before)
    expect(await gateway.metrics()).not.toMatch(/sluice_decisions_total\{.*\} [1-9]/)
  })

  test('says what is asked for and who lacks it', async () => {
    const { json } = await explain({
      ...BODY,
      model: 'capable',
      tools: [{ type: 'function', function: { name: 'f' } }],
    })
    expect(json).toMatchObject({ needs: ['unstreamed', 'tools'], chosen: 'b/able' })
    expect(json['excluded']).toMatchObject([{ target: 'a/plain', reason: 'capability' }])
  })

  test('goes by the restrictions of a key, and by the headers of the request', async () => {
    const narrow = await explain(BODY, '?key=narrow')
    expect(narrow.json).toMatchObject({ key: 'narrow', chosen: 'b/dear' })
    expect(narrow.json['excluded']).toContainEqual(
      expect.objectContaining({ target: 'a/cheap', reason: 'provider_not_allowed' }),
    )
    const fast = await explain(BODY, '', { 'x-sluice-policy': 'fast' })
    expect(fast.json).toMatchObject({ policy: 'fast', sort: 'latency' })
    const floor = await explain({ ...BODY, model: 'm:nitro' })
    expect(floor.json).toMatchObject({ model: 'm', sort: 'throughput' })
  })

  test('a request that would be refused is explained too', async () => {
    const { status, json } = await explain({ ...BODY, provider: { max_price: { prompt: 0 } } })
    expect(status).toBe(400)
    expect(json).toMatchObject({ error: { param: 'provider.max_price' } })
    const none = await explain({ ...BODY, provider: { only: ['off'] } })
    expect(none.status).toBe(200)
    expect(none.json).toMatchObject({ chosen: null, candidates: [], refusal: { status: 400 } })
  })

  test.each([
    ['no JSON', '{', '', 400, null],
    ['an unknown model', { ...BODY, model: 'nobody' }, '', 404, 'model'],
    ['an unknown key', BODY, '?key=nobody', 404, 'key'],
    ['a model that the key may not use', { ...BODY, model: 'limited' }, '?key=narrow', 403, 'model'],
    ['an unknown api', BODY, '?api=images', 400, 'api'],
    ['a field of the wrong type', { ...BODY, provider: { only: 'a' } }, '', 400, 'provider.only'],
  ])('%s is an error as the request itself would get', async (_, body, query, status, param) => {
    const got = await explain(body, query)
    expect([got.status, (got.json['error'] as Json)['param']]).toEqual([status, param])
  })

  test('is for operators only', async () => {
    const got = await explain(BODY, '', { authorization: 'Bearer sk-test-0123456789' })
    expect(got.status).toBe(401)
  })
})

describe('targets', () => {
  test('one that was never asked has typical estimates, and says so', async () => {
    expect(await targetOf('b/dear')).toMatchObject({
      provider: 'b',
      model: 'dear',
      state: 'closed',
      reason: null,
      cooldowns: [],
      in_flight: 0,
      estimates: { source: 'typical', samples: 0 },
    })
    expect(await targetOf('off/doubao-seed-1-6-251015')).toMatchObject({
      state: 'disabled',
      reason: 'no_api_key',
    })
  })

  test('a rate limit is a cooldown with its reason, since when and until when', async () => {
    const startedMs = Date.now()
    expect((await gateway.chat({ model: 'limited' })).status).toBe(429)
    const target = await targetOf('a/limited')
    expect(target).toMatchObject({ state: 'cooling_down', reason: 'rate_limit' })
    const [cooldown] = (target?.['cooldowns'] ?? []) as { since: string; until: string }[]
    expect(Date.parse(cooldown?.since ?? '')).toBeGreaterThanOrEqual(startedMs - 1)
    const lastsMs = Date.parse(cooldown?.until ?? '') - Date.parse(cooldown?.since ?? '')
    expect(lastsMs).toBe(40_000)
    const { json } = await explain({ ...BODY, model: 'limited' })
    expect(json).toMatchObject({ chosen: null, refusal: { status: 429, code: 'upstream_rate_limited' } })
  })

  test('failures open its breaker', async () => {
    expect((await gateway.chat({ model: 'down' })).status).toBe(502)
    expect(await targetOf('a/down')).toMatchObject({
      state: 'open',
      reason: 'server',
      since: expect.any(String),
      until: expect.any(String),
    })
  })

  test('come in pages', async () => {
    const first = (await gateway.admin('/targets?limit=2')) as { data: Json[]; next_cursor: string }
    expect(first.data).toHaveLength(2)
    const rest = (await gateway.admin(`/targets?cursor=${encodeURIComponent(first.next_cursor)}`)) as {
      data: Json[]
      next_cursor: null
    }
    expect(rest.next_cursor).toBeNull()
    const ids = [...first.data, ...rest.data].map(({ target }) => String(target))
    expect(ids).toEqual([...new Set(ids)].sort())
    expect(ids).toHaveLength(8)
  })
})

test('policies say their version, their settings and what their requests are worth', async () => {
  await gateway.chat({ model: 'm' })
  const { data } = (await gateway.admin('/policies')) as { data: Json[] }
  expect(data.map(({ name }) => name)).toEqual(['default', 'fast', 'one', 'p'])
  const own = data.find(({ name }) => name === 'p')
  expect(own).toMatchObject({
    version: expect.stringMatching(/^[0-9a-f]{8}$/),
    sort: 'price',
    currency: 'CNY',
  })
  expect(own?.['models']).toContainEqual(
    expect.objectContaining({ model: 'm', declared: false, unreachable: false }),
  )
})

describe('sluice explain', () => {
  function run(args: readonly string[], input: string): Promise<{ code: number; output: string }> {
    return new Promise((resolve) => {
      const env = { ...process.env, SLUICE_ADMIN_TOKEN: ADMIN_TOKEN, SLUICE_URL: gateway.url }
      const child = execFile(
        process.execPath,
        [COMMAND, 'explain', ...args],
        { env },
        (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }),
      )
      child.stdin?.end(input)
    })
  }

  test('prints the candidates, what lost and what would have changed it', async () => {
    const { code, output } = await run(['-'], JSON.stringify(BODY))
    expect(code).toBe(0)
    expect(output).toMatch(/^model m, policy p@[0-9a-f]{8}, sort price$/m)
    expect(output).toMatch(/^a\/cheap .* cheapest$/m)
    expect(output).toMatch(/^runner-up .* lost by .* \(cost\)$/m)
    expect(output).toMatch(/it would be first if cost of a\/cheap were above/)
    expect(output).toMatch(/off\/doubao-seed-1-6-251015: disabled/)
  })

  test('--json prints what the API says; a refusal is exit code 1, wrong use 2', async () => {
    const { code, output } = await run(['-', '--json', '--key', 'narrow'], JSON.stringify(BODY))
    expect([code, (JSON.parse(output) as Json)['chosen']]).toEqual([0, 'b/dear'])
    const refused = await run(['-'], JSON.stringify({ ...BODY, model: 'limited' }))
    expect(refused.code).toBe(1)
    expect(refused.output).toContain('refused: 429 upstream_rate_limited')
    expect((await run(['-'], 'nonsense')).code).toBe(2)
    expect((await run([], '')).code).toBe(2)
  })
})
