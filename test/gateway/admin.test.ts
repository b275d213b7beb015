// What operators see: who may look, reports and pages of the ledger, and metrics that add up.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { answer, errorAnswer } from '../support/chat-bytes.ts'
import { ADMIN_TOKEN, eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const OTHER_KEY = 'sk-other-0123456789'
const MESSAGES = [{ role: 'user', content: 'x' }]

let upstream: RawUpstream
const gateways: LocalGateway[] = []

beforeAll(async () => {
  upstream = await startRawUpstream((request) => {
    if (request.json['model'] === 'broken') return errorAnswer(500, { message: 'down', type: 'server_error' })
    return answer('ok', { prompt_tokens: 1_000, completion_tokens: 100 })(request)
  })
})

afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.close()
})

afterAll(() => upstream.close())

async function start(over: Record<string, unknown> = {}): Promise<LocalGateway> {
  const gateway = await startLocalGateway({
    config: configOf({
      providers: { up: upstream.baseUrl, spare: upstream.baseUrl },
      prices: { 'up/*': priceOf('2', '8'), 'spare/*': priceOf('3', '9') },
      targets: ['up/x'],
      models: {
        shaky: { policy: 'p', targets: [{ target: 'up/broken' }, { target: 'spare/x', priority: 1 }] },
      },
      over: {
        policies: { p: { sort: 'priority', outlier_detection: { consecutive_5xx: 1_000 } } },
        keys: [
          { name: 'tester', key: KEY, tags: { team: 'growth' } },
          { name: '=HYPERLINK("x")', key: OTHER_KEY, tags: { team: 'a, "b"' } },
        ],
        ...over,
      },
    }),
  })
  gateways.push(gateway)
  return gateway
}

describe('without an admin token', () => {
  const PATHS = ['/admin/v1/usage', '/admin/v1/requests', '/admin/v1/requests/req_x', '/metrics']

  test('this machine may look, by any of its names', async () => {
    const gateway = await start({ admin: {} })
    for (const host of [`127.0.0.1:${gateway.port}`, 'localhost:8787', 'LOCALHOST', '[::1]:1', '127.8.9.1']) {
      const got = await ask(`${gateway.url}/admin/v1/usage`, { headers: { host } })
      expect(got.status, host).toBe(200)
    }
  })

  test.each(PATHS)('%s is shown to no page of another site and through no proxy', async (path) => {
    const gateway = await start({ admin: {} })
    for (const headers of [
      { host: 'gateway.example' },
      { host: 'localhost.evil.example' },
      { host: '127.0.0.1.evil.example' },
      { host: '1.127.0.0.1' },
      { 'x-forwarded-for': '203.0.113.1' },
      { forwarded: 'for=203.0.113.1' },
      { via: '1.1 proxy' },
      { 'x-real-ip': '127.0.0.1' },
      { 'x-forwarded-host': 'localhost' },
    ]) {
      const got = await ask(gateway.url + path, { headers: headers as Record<string, string> })
      expect([got.status, got.error.code], JSON.stringify(headers)).toEqual([403, 'forbidden'])
    }
  })
})

describe('with an admin token', () => {
  test('only its bearer may look', async () => {
    const gateway = await start()
    for (const headers of [
      {},
      { authorization: `Bearer ${KEY}` },
      { authorization: `Bearer ${ADMIN_TOKEN}x` },
      { authorization: `Bearer ${ADMIN_TOKEN.slice(0, -1)}` },
      { authorization: ADMIN_TOKEN },
    ]) {
      const got = await ask(`${gateway.url}/admin/v1/requests`, {
        headers: headers as Record<string, string>,
      })
      expect([got.status, got.error.code]).toEqual([401, 'invalid_api_key'])
      expect(got.text).not.toContain(ADMIN_TOKEN)
    }
    const got = await ask(`${gateway.url}/admin/v1/requests`, {
      key: ADMIN_TOKEN,
      headers: { 'x-forwarded-for': '203.0.113.1' },
    })
    expect(got.status).toBe(200)
  })

  test('does not open inference', async () => {
    const gateway = await start()
    const got = await gateway.chat({}, { key: ADMIN_TOKEN })
    expect(got.status).toBe(401)
  })
})

describe('reports', () => {
  const asOther = (gateway: LocalGateway) =>
    ask(`${gateway.url}/v1/chat/completions`, {
      key: OTHER_KEY,
      body: { model: 'shaky', messages: MESSAGES },
    })

  test('group by model, key, target and tag, and add up to their total', async () => {
    const gateway = await start()
    for (let index = 0; index < 3; index += 1) await gateway.chat()
    await asOther(gateway)
    const byTarget = await gateway.admin('/usage?group_by=target')
    expect(byTarget['data']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          target: 'up/x',
          requests: 3,
          attempts: 3,
          input_tokens: 3_000,
          cost: '0.0084',
          currency: 'CNY',
        }),
        expect.objectContaining({ target: 'spare/x', attempts: 1, output_tokens: 100, cost: '0.0039' }),
        expect.objectContaining({ target: 'up/broken', attempts: 1, input_tokens: 0, cost: '0' }),
      ]),
    )
    expect(byTarget['total']).toMatchObject({ requests: 4, attempts: 5, cost: '0.0123', currency: 'CNY' })
    const both = (await gateway.admin('/usage?group_by=key,tag:team'))['data'] as Record<string, unknown>[]
    expect(both.map((row) => [row['key'], row['tag:team'], row['requests']])).toEqual(
      expect.arrayContaining([
        ['tester', 'growth', 3],
        ['=HYPERLINK("x")', 'a, "b"', 1],
      ]),
    )
    const hours = (await gateway.admin('/usage?group_by=model&bucket=hour'))['data'] as Record<
      string,
      unknown
    >[]
    expect(hours.map((row) => row['bucket'])).toEqual(
      hours.map(() => expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:00:00\.000Z$/)),
    )
    const none = await gateway.admin('/usage?from=2020-01-01&to=2020-01-02')
    expect(none).toMatchObject({ data: [], total: { requests: 0, cost: '0' } })
  })

  test('as CSV open in a spreadsheet as text', async () => {
    const gateway = await start()
    await asOther(gateway)
    const got = await ask(`${gateway.url}/admin/v1/usage?group_by=key,tag:team&format=csv`, {
      key: ADMIN_TOKEN,
    })
    expect(got.headers['content-type']).toBe('text/csv; charset=utf-8')
    const lines = got.text.split('\r\n')
    expect(lines[0]).toMatch(/^\uFEFFkey,tag:team,requests,attempts,input_tokens,/)
    expect(lines[1]).toMatch(/^"'=HYPERLINK\(""x""\)","a, ""b""",1,2,/)
  })

  test.each([
    ['group_by', 'group_by=colour'],
    ['bucket', 'bucket=minute'],
    ['from', 'from=yesterday'],
    ['format', 'format=xml'],
  ])('say which parameter is wrong: %s', async (param, query) => {
    const gateway = await start()
    const got = await ask(`${gateway.url}/admin/v1/usage?${query}`, { key: ADMIN_TOKEN })
    expect([got.status, got.error.code, got.error.param]).toEqual([400, 'invalid_request', param])
  })

  test('page through all requests, newest first, each once', async () => {
    const gateway = await start()
    const sent: string[] = []
    for (let index = 0; index < 25; index += 1)
      sent.push((await gateway.chat()).headers['x-request-id'] ?? '')
    const seen: string[] = []
    let cursor: unknown = null
    do {
      const page = await gateway.admin(
        `/requests?limit=7${cursor === null ? '' : `&cursor=${encodeURIComponent(String(cursor))}`}`,
      )
      seen.push(...(page['data'] as { id: string }[]).map((row) => row.id))
      cursor = page['next_cursor']
    } while (cursor !== null)
    expect(seen).toHaveLength(25)
    expect(new Set(seen)).toEqual(new Set(sent))
    expect(seen[0]).toBe(sent.at(-1))
    for (const query of ['limit=0', 'limit=501', 'limit=x', 'cursor=rubbish'])
      expect(
        (await ask(`${gateway.url}/admin/v1/requests?${query}`, { key: ADMIN_TOKEN })).status,
        query,
      ).toBe(400)
    const missing = await ask(`${gateway.url}/admin/v1/requests/req_none`, { key: ADMIN_TOKEN })
    expect([missing.status, missing.error.code]).toEqual([404, 'not_found'])
  })

  test('show a request that is under way as open', async () => {
    const gateway = await start()
    const release = Promise.withResolvers<void>()
    const held = await startRawUpstream(async (request) => {
      await release.promise
      return answer('at last')(request)
    })
    try {
      gateway.configure(configOf({ providers: { up: held.baseUrl } }))
      const isReloaded = () => gateway.logs.some((line) => line.event === 'settings.reloaded')
      await eventually(isReloaded, 'the new upstream is in force')
      const asked = gateway.chat()
      let row: Record<string, unknown> | undefined
      await eventually(async () => {
        row = ((await gateway.admin('/requests?limit=1'))['data'] as Record<string, unknown>[])[0]
        return row !== undefined
      }, 'the request is listed')
      expect(row).toMatchObject({ outcome: 'open', model: 'm', key: 'tester' })
      release.resolve()
      await asked
      expect(await gateway.detail(String(row?.['id']))).toMatchObject({ outcome: 'success' })
    } finally {
      await held.close()
    }
  })
})

describe('metrics', () => {
  test('count what was sent, what it used and what it cost', async () => {
    const gateway = await start()
    for (let index = 0; index < 4; index += 1) await gateway.chat({ stream: index % 2 === 0 })
    await gateway.chat({ model: 'shaky' })
    await gateway.chat({ model: 'none' })
    const metrics = readScrape(await gateway.metrics())
    expect(metrics.sum('sluice_requests_total', { outcome: 'success', wire_format: 'openai-chat' })).toBe(5)
    expect(metrics.sum('sluice_requests_total', { outcome: 'refused' })).toBe(1)
    expect(metrics.sum('sluice_request_duration_seconds_count')).toBe(6)
    expect(metrics.sum('sluice_attempts_total', { outcome: 'success' })).toBe(5)
    expect(metrics.sum('sluice_attempts_total', { outcome: 'server' })).toBe(1)
    expect(metrics.sum('sluice_fallbacks_total', { reason: 'server' })).toBe(1)
    expect(metrics.sum('sluice_tokens_total', { token_type: 'input' })).toBe(5_000)
    expect(metrics.sum('sluice_tokens_total', { token_type: 'output', gen_ai_request_model: 'x' })).toBe(500)
    expect(metrics.sum('sluice_cost_cny_total')).toBeCloseTo(4 * 0.0028 + 0.0039, 9)
    expect(metrics.sum('sluice_requests_in_flight')).toBe(0)
    expect(metrics.sum('sluice_store_up')).toBe(1)
    expect(metrics.sum('gen_ai_client_operation_duration_seconds_count')).toBe(6)
    expect(metrics.sum('sluice_time_to_first_chunk_seconds_count')).toBe(2)
  })

  test('stay bounded and readable under hostile model names', async () => {
    const gateway = await start()
    const name = (index: number): string => {
      const hostile = ['"},evil{x="', 'a\nb', '\\', '模型', 'x'.repeat(500), '{}', '\u0000']
      return `up/${hostile[index % hostile.length]}-${index}`
    }
    for (let from = 0; from < 2_000; from += 50) {
      const batch = Array.from({ length: 50 }, (_, index) => gateway.chat({ model: name(from + index) }))
      for (const got of await Promise.all(batch)) expect(got.status, got.text.slice(0, 300)).toBe(200)
    }
    const text = await gateway.metrics()
    const metrics = readScrape(text)
    expect(metrics.sum('sluice_requests_total', { outcome: 'success' })).toBe(2_000)
    expect(metrics.sum('sluice_tokens_total', { token_type: 'input' })).toBe(2_000 * 1_000)
    const perName = Map.groupBy(metrics.samples, (sample) => sample.name)
    for (const [sampleName, samples] of perName) {
      if (!/_bucket$/.test(sampleName)) expect(samples.length, sampleName).toBeLessThanOrEqual(1_000)
    }
    expect(metrics.sum('sluice_metric_series_dropped_total')).toBeGreaterThan(0)
    expect(text).not.toContain('x'.repeat(200))
  })
})
