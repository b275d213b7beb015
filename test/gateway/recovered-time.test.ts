// What a crash cut off of a model that is billed by the time it takes: charged for the time that it may have run, with a
// bound, and counted by budgets.

import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { answer, contentEvent, ROLE_EVENT } from '../support/chat-bytes.ts'
import { type AttemptDetail, type ChildGateway, KEY, startChildGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const GPUS = 8
const PRICE = { currency: 'CNY', unit: 'per_gpu_second', gpus: GPUS, tiers: [{ price: '0.001' }] }

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startRawUpstream()
})

afterAll(() => upstream.close())

function start(folder?: string): Promise<ChildGateway> {
  return startChildGateway({
    config: configOf({
      providers: { up: upstream.baseUrl },
      prices: { 'up/*': PRICE },
      policy: { timeouts: { total_ms: 60_000 } },
      over: { keys: [{ name: 'tester', key: KEY, max_budget: '100' }] },
    }),
    ...(folder === undefined ? {} : { folder }),
  })
}

/** Dies while an answer runs, and is started again a while later. */
async function crash(
  first: ChildGateway,
): Promise<{ second: ChildGateway; row: AttemptDetail; ranMs: number }> {
  upstream.script({ steps: [ROLE_EVENT, contentEvent('begun')], ending: 'hang' })
  const askedAtMs = Date.now()
  const client = await first.chatStream()
  await client.until('begun')
  const id = client.headers['x-request-id'] ?? ''
  await first.kill('SIGKILL')
  await wait(700)
  const second = await start(first.folder)
  const ranMs = Date.now() - askedAtMs
  const detail = await second.detail(id)
  expect(detail.outcome).toBe('interrupted')
  const [row] = detail.attempts
  if (row === undefined) throw new Error('no attempt')
  expect(row).toMatchObject({ outcome: 'interrupted', usage: { source: 'recovered' }, unpriced: false })
  return { second, row, ranMs }
}

interface Timed {
  readonly gpu_ms: number
  readonly error_bound: { readonly gpu_ms: number }
}

test('without any count it costs the most that it can have run', async () => {
  const first = await start()
  const { second, row, ranMs } = await crash(first)
  try {
    const usage = row.usage as unknown as Timed
    expect(usage.gpu_ms).toBeGreaterThanOrEqual(700)
    expect(usage.gpu_ms).toBeLessThanOrEqual(ranMs)
    // Nothing shows that it lived on behind its own row.
    expect(usage.error_bound.gpu_ms).toBeGreaterThan(0)
    expect(usage.error_bound.gpu_ms).toBeLessThanOrEqual(usage.gpu_ms)
    const amount = (usage.gpu_ms * GPUS) / 1_000_000
    expect(Number(row.cost?.amount)).toBeCloseTo(amount, 9)
    expect(row.cost?.lines.map(({ item }) => item)).toEqual(['gpu_second'])
    const { data } = (await second.admin('/budgets')) as { data: { budget: { spent: string } }[] }
    expect(data[0]?.budget.spent).toBe(row.cost?.amount)
  } finally {
    await second.close()
  }
})

test('where the target’s answers are known it costs what they take', async () => {
  const first = await start()
  upstream.script(answer('quick'))
  const took: number[] = []
  for (let index = 0; index < 10; index++) {
    const got = await first.chat()
    const [row] = (await first.detail(got.headers['x-request-id'] ?? '')).attempts
    took.push(Number(row?.usage['gpu_ms']))
  }
  const { second, row } = await crash(first)
  try {
    const usage = row.usage as unknown as Timed
    expect(usage.gpu_ms).toBeLessThanOrEqual(Math.max(...took) + 1)
    // It may have run until the gateway was there again.
    expect(usage.gpu_ms + usage.error_bound.gpu_ms).toBeGreaterThanOrEqual(700)
  } finally {
    await second.close()
  }
})
