// What was spent outlives the process, and what was held does not.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { type ChildGateway, eventually, KEY, startChildGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

let upstream: RawUpstream
let gateway: ChildGateway

const config = (keyName = 'tester'): Record<string, unknown> =>
  configOf({
    providers: { a: upstream.baseUrl },
    over: {
      teams: { growth: { max_budget: '0.01', budget_duration: 'month', budget_mode: 'strict' } },
      keys: [{ name: keyName, key: KEY, team: 'growth', rpm: 100, tpm: 100_000 }],
    },
  })

beforeEach(async () => {
  upstream = await startRawUpstream(answer('hello'))
  gateway = await startChildGateway({ config: config() })
})

afterEach(async () => {
  await gateway.close()
  await upstream.close()
})

async function restart(keyName?: string): Promise<void> {
  await gateway.close({ keepFolder: true })
  gateway = await startChildGateway({ config: config(keyName), folder: gateway.folder })
}

const spentIn = (text: string): number => Number(/: ([\d.]+) of 0\.01 CNY spent/.exec(text)?.[1])

const TOO_LONG = { messages: [{ role: 'user', content: 'x'.repeat(6_000) }], max_tokens: 100 }

test('a restart keeps what was spent', async () => {
  for (let index = 0; index < 3; index++) expect((await gateway.chat({ max_tokens: 50 })).status).toBe(200)
  const before = await gateway.chat(TOO_LONG)
  expect(before.status).toBe(402)
  await restart()
  const after = await gateway.chat(TOO_LONG)
  expect(after.status).toBe(402)
  expect(spentIn(after.text)).toBe(spentIn(before.text))
  expect(spentIn(after.text)).toBeGreaterThan(0)
})

test('a team that gives its key another name has spent what it had', async () => {
  expect((await gateway.chat({ max_tokens: 50 })).status).toBe(200)
  const before = await gateway.chat(TOO_LONG)
  await restart('another')
  const after = await gateway.chat(TOO_LONG)
  expect(spentIn(after.text)).toBe(spentIn(before.text))
  expect(spentIn(after.text)).toBeGreaterThan(0)
})

test('a restart does not open the windows of rates anew', async () => {
  for (let index = 0; index < 3; index++) expect((await gateway.chat({ max_tokens: 50 })).status).toBe(200)
  await restart()
  const got = await gateway.chat({ max_tokens: 50 })
  expect(got.headers['x-ratelimit-remaining-requests']).toBe('96')
  const claimed = 100_000 - Number(got.headers['x-ratelimit-remaining-tokens'])
  await restart()
  const next = await gateway.chat({ max_tokens: 50 })
  expect(next.headers['x-ratelimit-remaining-requests']).toBe('95')
  expect(claimed).toBeGreaterThan(50)
})

// litellm #29493
test('PEERS 31: killed between hold and settlement: the hold is gone, and what the open attempt was taken to cost is spent', async () => {
  upstream.script({ ending: 'hang', steps: [] })
  void gateway.chat({ max_tokens: 1_000 }).catch(() => undefined)
  await eventually(() => upstream.requests.length === 1, 'the request is at the upstream')
  await eventually(
    async () => readScrape(await gateway.metrics()).sum('sluice_holds_cny') > 0,
    'its money is held',
  )
  await restart()
  expect(readScrape(await gateway.metrics()).sum('sluice_holds_cny')).toBe(0)
  const got = await gateway.chat(TOO_LONG)
  expect(got.status).toBe(402)
  expect(got.text).toContain(' 0 held')
  // 400 tokens of an answer at 8 CNY per million, and a few of input.
  expect(spentIn(got.text)).toBeGreaterThan(0.0032)
  expect(spentIn(got.text)).toBeLessThan(0.004)
})
