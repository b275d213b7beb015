// A bill beside the rows of a real gateway: over the admin API while it runs, by the command when it has stopped.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { ADMIN_TOKEN, type ChildGateway, startChildGateway, startSluice } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

type Json = Record<string, unknown>

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startRawUpstream(answer('ok', { prompt_tokens: 1_000, completion_tokens: 100 }))
})

afterAll(() => upstream.close())

const config = (): Json =>
  configOf({
    providers: { up: upstream.baseUrl },
    prices: { 'up/*': priceOf('2', '8') },
    over: {
      reconcile: {
        up: {
          columns: {
            time: 'day',
            model: 'model',
            item: 'item',
            quantity: 'tokens',
            unit_price: 'price (per million tokens)',
            amount: 'amount',
          },
        },
      },
    },
  })

const HEADING = 'day,model,item,tokens,price (per million tokens),amount'

const today = (): string => new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 10)

async function served(): Promise<ChildGateway> {
  const gateway = await startChildGateway({ config: config() })
  onTestFinished(() => gateway.close())
  for (let count = 0; count < 3; count++) await gateway.detailOf(await gateway.chat())
  return gateway
}

async function post(gateway: ChildGateway, query: string, body: string): Promise<Json & { status: number }> {
  const answer = await fetch(`${gateway.url}/admin/v1/reconcile?${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    body,
  })
  return { ...((await answer.json()) as Json), status: answer.status }
}

test('a running gateway finds nothing in a right bill, and says what is behind a wrong one', async () => {
  const gateway = await served()
  const day = today()
  const right = [HEADING, `${day},x,input,3000,2,0.006`, `${day},x,output,300,8,0.0024`].join('\n')
  expect(await post(gateway, 'provider=up', right)).toMatchObject({
    status: 200,
    joined_by: 'model and day',
    attempts: 3,
    theirs: '0.0084',
    ours: '0.0084',
    difference: '0',
    exceeding: 0,
    findings: [],
    tolerance: { absolute: '0.000001', relative: '0' },
  })
  const dear = right.replace('300,8,0.0024', '300,10,0.003')
  expect(await post(gateway, 'provider=up', dear)).toMatchObject({
    exceeding: 1,
    difference: '0.0006',
    findings: [
      { cause: 'price', model: 'x', item: 'output', theirs: '10', ours: '8', since: day, amount: '0.0006' },
    ],
  })
  expect(await post(gateway, 'provider=up&absolute=0.001', dear)).toMatchObject({ exceeding: 0, within: 1 })
})

test('what cannot be read is refused with its place', async () => {
  const gateway = await served()
  const refused = async (query: string, body: string): Promise<unknown> => {
    const got = await post(gateway, query, body)
    const { message, param } = got['error'] as Json
    return [got.status, param, message]
  }
  expect(await refused('provider=upp', HEADING)).toEqual([400, 'provider', expect.stringContaining('up')])
  expect(await refused('provider=up', `${HEADING}\n${today()},x,input,1,2,1.2E+05`)).toEqual([
    400,
    'bill',
    expect.stringMatching(/^line 2, column 6: amount: .*lost digits/),
  ])
  expect(await refused('provider=up&absolute=much', HEADING)).toEqual([400, 'absolute', expect.any(String)])
  expect(await refused('provider=up&from=then', HEADING)).toEqual([400, 'from', expect.any(String)])
})

test('the command says it for people, programs and spreadsheets, and ends with 1 where something is beyond tolerance', async () => {
  const gateway = await served()
  const { folder } = gateway
  const day = today()
  const bill = join(folder, 'bill.csv')
  writeFileSync(bill, `${HEADING}\n${day},x,input,3000,2,0.006\n${day},x,output,300,10,0.003\n`)
  const env = {
    SLUICE_STORE: `sqlite:${join(folder, 'sluice.db')}`,
    SLUICE_JOURNAL: join(folder, 'journal.db'),
  }
  const run = async (...args: string[]): Promise<{ code: number | null; output: string }> => {
    const sluice = startSluice(['reconcile', ...args], env)
    return { code: await sluice.exited, output: sluice.output() }
  }
  const online = await run(bill, '--provider', 'up', '--url', gateway.url, '--token', ADMIN_TOKEN)
  expect(online.code, online.output).toBe(1)
  expect(online.output).toContain('price of output 10 against 8: 0.0006')
  expect(online.output).toContain('1 differences beyond tolerance')
  await gateway.kill('SIGTERM')
  const offline = ['--config', join(folder, 'sluice.yaml'), bill, '--provider', 'up']
  const json = await run(...offline, '--json')
  expect([json.code, (JSON.parse(json.output) as Json)['exceeding']]).toEqual([1, 1])
  const csv = await run(...offline, '--csv')
  expect(csv.output).toContain(`${day},x,,0.009,0.0084,0.0006,false,price,output,10,8,0.0006,`)
  expect((await run(...offline, '--relative', '0.1')).code).toBe(0)
  expect((await run(...offline, '--relative', 'ten')).code).toBe(2)
  expect((await run(...offline, '--month', '2026-13')).code).toBe(2)
  expect((await run(bill)).code).toBe(2)
  const none = await run(...offline, '--month', '2020-01')
  expect([none.code, none.output]).toEqual([1, expect.stringContaining('no line in the span')])
})
