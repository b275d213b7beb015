// Past rows under corrected prices: over the admin API of a running gateway, and by the command on the file of a stopped one.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import {
  ADMIN_TOKEN,
  type ChildGateway,
  eventually,
  startChildGateway,
  startSluice,
} from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { startRedis } from '../support/redis-server.ts'

type Json = Record<string, unknown>

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startRawUpstream(answer('ok', { prompt_tokens: 1_000, completion_tokens: 100 }))
})

afterAll(() => upstream.close())

const config = (prices: Json): Json =>
  configOf({
    providers: { up: upstream.baseUrl, bare: upstream.baseUrl },
    prices,
    targets: ['up/x'],
    models: { free: { policy: 'p', targets: ['bare/y'] } },
  })

const OLD = { 'up/*': priceOf('2', '8') }
/** The input was half as dear, and the model without a price has one. */
const NEW = { 'up/*': priceOf('1', '8'), 'bare/y': priceOf('10', '10') }

async function start(folder?: string, env: Readonly<Record<string, string>> = {}): Promise<ChildGateway> {
  const gateway = await startChildGateway({
    config: config(OLD),
    env,
    ...(folder === undefined ? {} : { folder }),
  })
  onTestFinished(() => gateway.close())
  return gateway
}

async function served(gateway: ChildGateway): Promise<void> {
  for (const model of ['m', 'm', 'free']) {
    const got = await gateway.chat({ model })
    expect(got.status).toBe(200)
    await gateway.detailOf(got)
  }
}

const rerate = async (gateway: ChildGateway, body: Json): Promise<Json & { readonly status: number }> => {
  const got = await ask(`${gateway.url}/admin/v1/rerate`, { key: ADMIN_TOKEN, body })
  return { ...got.json, status: got.status }
}

test('a running gateway says what would change, writes it when told to, and then nothing is left to change', async () => {
  const gateway = await start()
  await served(gateway)
  expect(await rerate(gateway, {})).toMatchObject({
    applied: null,
    attempts: 3,
    changed: 0,
    without_price: 1,
    difference: '0',
    by_price: [],
    by_day: [],
  })
  const dry = await rerate(gateway, { prices: NEW })
  expect(dry).toMatchObject({
    applied: null,
    attempts: 3,
    changed: 3,
    first_priced: 1,
    without_price: 0,
    old: '0.0056',
    new: '0.0146',
    difference: '0.009',
    currency: 'CNY',
    by_price: [
      { old_price: null, new_price: 'config:bare/y', attempts: 1, old: '0', new: '0.011' },
      { old_price: 'config:up/*', new_price: 'config:up/*', attempts: 2, difference: '-0.002' },
    ],
  })
  expect((await gateway.admin('/adjustments'))['data']).toEqual([])
  const who = { author: 'mei', reason: 'the list was wrong' }
  expect(await rerate(gateway, { prices: NEW, apply: true })).toMatchObject({ status: 400 })
  const applied = await rerate(gateway, { prices: NEW, apply: true, target: 'up/x', ...who })
  expect(applied).toMatchObject({ applied: 2, changed: 2, difference: '-0.002' })
  expect(await rerate(gateway, { prices: NEW, apply: true, ...who })).toMatchObject({
    applied: 1,
    changed: 1,
  })
  expect(await rerate(gateway, { prices: NEW, apply: true, ...who })).toMatchObject({
    applied: 0,
    changed: 0,
  })
  const usage = await gateway.admin('/usage?group_by=target')
  expect(usage['data']).toMatchObject([
    { target: 'bare/y', cost: '0', adjustments: '0.011', total: '0.011', unpriced_attempts: 1 },
    { target: 'up/x', cost: '0.0056', adjustments: '-0.002', total: '0.0036' },
  ])
  const { data } = (await gateway.admin('/adjustments?target=bare/y')) as { data: Json[] }
  expect(data).toMatchObject([
    { reason: 'rerate', author: 'mei', note: 'the list was wrong', amount: '0.011' },
  ])
  // Back to the prices in force: what was added goes again, as an adjustment of its own.
  expect(await rerate(gateway, { apply: true, target: 'up/x', ...who })).toMatchObject({
    applied: 2,
    difference: '0.002',
  })
  expect(((await gateway.admin('/usage'))['total'] as Json)['adjustments']).toBe('0.011')
})

test('with Redis each instance sees what another one has written, and adds nothing to it', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  const [one, two] = [
    await start(undefined, { SLUICE_STORE: redis.url }),
    await start(undefined, { SLUICE_STORE: redis.url }),
  ]
  await served(one)
  await served(two)
  await eventually(async () => (await rerate(two, {}))['attempts'] === 6, 'both see all attempts')
  const body = { prices: NEW, apply: true, author: 'mei', reason: 'list' }
  expect(await rerate(two, body)).toMatchObject({ applied: 6, changed: 6, difference: '0.018' })
  await eventually(
    async () => ((await one.admin('/usage'))['total'] as Json)['adjustments'] === '0.018',
    'the other instance counts the adjustments',
  )
  await eventually(
    async () => (await rerate(one, { ...body, apply: false }))['changed'] === 0,
    'nothing is left',
  )
  expect(await rerate(two, body)).toMatchObject({ applied: 0, changed: 0 })
  expect(((await two.admin('/usage'))['total'] as Json)['adjustments']).toBe('0.018')
})

test.each([
  [{ from: '2026-10-02', to: '2026-10-01' }, 'to'],
  [{ from: 'soon' }, 'from'],
  [{ providr: 'x' }, 'providr'],
  [{ apply: 'yes' }, 'apply'],
  [{ prices: [] }, 'prices'],
  [{ prices: { 'up/x': { currency: 'CNY', unit: 'per_millon_tokens', tiers: [] } } }, 'prices'],
])('what is asked wrongly is refused by its name: %j', async (body, param) => {
  const gateway = await start()
  const got = await ask(`${gateway.url}/admin/v1/rerate`, { key: ADMIN_TOKEN, body })
  expect([got.status, got.error.param]).toEqual([400, param])
})

test('the command works on the file of a stopped gateway, and leaves that of a running one alone', async () => {
  const gateway = await start()
  await served(gateway)
  const { folder } = gateway
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const env = {
    SLUICE_STORE: `sqlite:${join(folder, 'sluice.db')}`,
    SLUICE_JOURNAL: join(folder, 'journal.db'),
  }
  const run = async (...args: string[]): Promise<{ code: number | null; output: string }> => {
    const sluice = startSluice(['rerate', '--config', join(folder, 'sluice.yaml'), ...args], env)
    return { code: await sluice.exited, output: sluice.output() }
  }
  const running = await run()
  expect(running.code).toBe(1)
  expect(running.output).toContain('used by another Sluice process')
  await gateway.kill('SIGTERM')
  const prices = join(folder, 'prices.yaml')
  writeFileSync(prices, JSON.stringify({ prices: NEW }))
  const dry = await run('--prices', prices)
  expect(dry.code, dry.output).toBe(0)
  expect(dry.output).toContain('3 attempts, 3 change: 0.0056 → 0.0146 CNY (0.009)')
  expect(dry.output).toContain('nothing was written')
  expect((await run('--prices', prices, '--apply')).code).toBe(2)
  const apply = ['--prices', prices, '--apply', '--author', 'mei', '--reason', 'list', '--json']
  const first = await run(...apply)
  expect(JSON.parse(first.output)).toMatchObject({ applied: 3, changed: 3 })
  expect(JSON.parse((await run(...apply)).output)).toMatchObject({ applied: 0, changed: 0 })
  const again = await start(folder)
  expect(((await again.admin('/usage'))['total'] as Json)['adjustments']).toBe('0.009')
  const url = ['--url', again.url, '--token', ADMIN_TOKEN]
  const online = startSluice(['rerate', ...url, '--prices', prices, '--json'], {})
  expect(await online.exited).toBe(0)
  expect(JSON.parse(online.output())).toMatchObject({ attempts: 3, changed: 0 })
})
