// Finance over HTTP and the command line: alerts that are told once, a month that is closed, reports that people open.

import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fullLength } from '../support/full-length.ts'
import {
  ADMIN_TOKEN,
  type ChildGateway,
  eventually,
  KEY,
  startChildGateway,
  startSluice,
} from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

interface Told {
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

const SECRET = 'a-secret-of-finance'
let upstream: RawUpstream
let webhook: Server
let refusals = 1
const told: Told[] = []

beforeAll(async () => {
  upstream = await startRawUpstream((request) => fullLength(request))
  webhook = createServer((request, response) => {
    let body = ''
    request.on('data', (data) => (body += data))
    request.on('end', () => {
      const isRefused = refusals-- > 0
      if (!isRefused) told.push({ headers: request.headers, body })
      response.writeHead(isRefused ? 500 : 204).end()
    })
  })
  await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  await upstream.close()
  webhook.close()
})

const config = () =>
  configOf({
    providers: { a: upstream.baseUrl },
    over: {
      secret: SECRET,
      tax: { rate: '0.06' },
      alerts: {
        webhook: `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/hook`,
        allow_private: true,
      },
      organisations: { 'ACME 公司': { time_zone: 'Asia/Kolkata', cost_centre: '=1+1' } },
      teams: { growth: { organisation: 'ACME 公司', charge: { markup: '0.1' }, max_budget: '0.004' } },
      keys: [{ name: 'tester', key: KEY, team: 'growth' }],
    },
  })

async function sluice(
  gateway: ChildGateway,
  ...args: string[]
): Promise<{ code: number | null; text: string }> {
  const run = startSluice(args, { SLUICE_URL: gateway.url, SLUICE_ADMIN_TOKEN: ADMIN_TOKEN })
  return { code: await run.exited, text: run.output() }
}

test('a budget’s alerts are told once each, over a restart, signed, and again until they are taken', async () => {
  const first = await startChildGateway({ config: config() })
  const spend = async (gateway: ChildGateway): Promise<void> => {
    for (let asked = 0; asked < 400; asked++)
      if ((await gateway.chat({ max_tokens: 50 })).status === 402) return
    throw new Error('the budget is never used up')
  }
  await spend(first)
  // What is left is too little for a request, but not nothing.
  await eventually(() => told.length >= 2, 'the webhook heard')
  const alerts = (await first.admin('/alerts')) as {
    data: { threshold: number; delivered_at: string | null }[]
  }
  const thresholds = alerts.data.map(({ threshold }) => threshold).sort()
  expect(thresholds.slice(-2)).toEqual([50, 80])
  expect(told.map(({ body }) => (JSON.parse(body) as { threshold: number }).threshold).sort()).toEqual(
    thresholds,
  )
  for (const { headers, body } of told) {
    const [, seconds, signature] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-sluice-signature'])) ?? []
    expect(createHmac('sha256', SECRET).update(`${seconds}.${body}`).digest('hex')).toBe(signature)
    expect(JSON.parse(body)).toMatchObject({
      type: 'budget.alert',
      kind: 'team',
      name: 'growth',
      budget: '0.004',
      currency: 'CNY',
      period_start: null,
    })
  }
  const scraped = readScrape(await first.metrics())
  expect(scraped.sum('sluice_budget_alerts_total', { kind: 'team', threshold: '80' })).toBe(1)
  expect(first.output()).toContain('budget.alert')
  const { folder } = first
  await first.close({ keepFolder: true })

  const heard = told.length
  const second = await startChildGateway({ config: config(), folder })
  // Two looks later nothing has been told again.
  await new Promise((resolve) => setTimeout(resolve, 11_000))
  expect(told).toHaveLength(heard)
  expect(
    ((await second.admin('/alerts')) as typeof alerts).data.every((alert) => alert.delivered_at !== null),
  ).toBe(true)

  const table = await sluice(
    second,
    'usage',
    '--group-by',
    'organisation,cost_centre',
    '--bucket',
    'day',
    '--unit',
    '1m',
  )
  expect(table.code).toBe(0)
  expect(table.text).toMatch(
    /^ORGANISATION +COST_CENTRE +PERIOD +REQUESTS +INPUT_TOKENS .*NET +VAT +GROSS +CHARGE/,
  )
  expect(table.text).toMatch(/\nACME 公司 +'=1\+1 +20\d\d-\d\d-\d\d +\d+ /)
  const csv = await sluice(second, 'usage', '--format', 'csv', '--where', 'team=growth', '--numbers', 'wan')
  expect(csv.text).toMatch(/^\uFEFFmodel,requests,attempts,/)
  expect(csv.text).toContain('\r\ntotal,')
  const json = await sluice(second, 'usage', '--json', '--where', 'team=nobody')
  expect(JSON.parse(json.text)).toMatchObject({ data: [], total: { requests: 0 } })
  expect((await sluice(second, 'usage', '--bucket', 'week')).code).toBe(1)
  expect((await sluice(second, 'usage', '--where', 'team')).code).toBe(2)
  expect((await sluice(second, 'months', 'close', '2020-02', '--author', 'Mei')).text).toContain(
    '2020-02 is closed: 0 CNY',
  )
  expect((await sluice(second, 'months', 'close', '2020-02', '--author', 'Mei')).text).toContain(
    'has been closed since',
  )
  expect((await sluice(second, 'months', 'list')).text).toMatch(/2020-02 +closed +0 +20.* Mei/)
  expect((await sluice(second, 'months', 'report', '2020-02')).text).toMatch(
    /^\uFEFForganisation,team,cost_centre,.*\r\ntotal,/,
  )
  expect((await sluice(second, 'months', 'close', '2020')).code).toBe(2)
  await second.close()
}, 90_000)

test('a webhook on this machine is refused unless it is allowed', async () => {
  const wrong = { ...config(), alerts: { webhook: 'http://169.254.169.254/latest' } }
  await expect(startChildGateway({ config: wrong })).rejects.toThrow(/alerts\.webhook.*private host/s)
})
