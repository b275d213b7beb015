// Everything at once: hedges, fallbacks, keys of a pool, rate limits, hangs, cut streams and clients that leave, under
// budgets. Afterwards nothing runs, nothing is held, and each upstream call has its row.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRandom } from '#simulator/random.ts'
import { answer, contentEvent, errorAnswer, isStreaming, ROLE_EVENT } from '../support/chat-bytes.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, openAiCompatible, priceOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { type RawUpstream, type ScriptedAnswer, startRawUpstream } from '../support/raw-upstream.ts'

const REQUESTS = 600
const AT_ONCE = 40
const USAGE = { prompt_tokens: 10, completion_tokens: 5 }

const random = createRandom(7)
const statuses = new Map<number, number>()
let upstream: RawUpstream
let gateway: LocalGateway

/** What an upstream does with a request: mostly well, now and then anything else. */
function behave(body: string): ScriptedAnswer {
  const at = random.unit()
  if (at < 0.01) return errorAnswer(429, { message: 'slow down', code: 'rate_limit_exceeded' })
  if (at < 0.03) return errorAnswer(500, { message: 'down' })
  if (at < 0.05) return { ending: 'reset' }
  if (at < 0.055) return errorAnswer(401, { message: 'bad key', code: 'invalid_api_key' })
  if (!isStreaming(body)) return answer('ok', USAGE)({ body })
  if (at < 0.1) return { ending: 'hang' }
  if (at < 0.12) return { steps: [ROLE_EVENT, contentEvent('cut')], ending: 'fin' }
  const steps = answer('ok', USAGE)({ body }).steps ?? []
  return { steps: [Math.floor(random.unit() * 30), ...steps] }
}

beforeAll(async () => {
  upstream = await startRawUpstream((request) => behave(request.body))
  const { api_key: _, ...open } = openAiCompatible(upstream.baseUrl)
  gateway = await startLocalGateway({
    config: configOf({
      providers: {
        pool: { ...open, api_keys: ['sk-pool-one-0123456789', 'sk-pool-two-0123456789'] },
        b: openAiCompatible(upstream.baseUrl),
        c: openAiCompatible(upstream.baseUrl),
      },
      prices: { 'pool/*': priceOf('1', '1'), 'b/*': priceOf('2', '2'), 'c/*': priceOf('3', '3') },
      policy: {
        sort: 'value',
        slo: { ttft_ms: 1_200, value: 1 },
        hedge: { enabled: true, max_extra_cost: 1, max_share: 1 },
        outlier_detection: { consecutive_5xx: 3, base_ejection_ms: 100, max_ejection_ms: 400 },
        timeouts: { connect_ms: 500, ttft_ms: 2_000, idle_ms: 500, total_ms: 6_000 },
      },
      over: { keys: [{ name: 'tester', key: KEY, max_budget: '1000', concurrency: 1_000 }] },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

async function one(index: number): Promise<void> {
  const controller = new AbortController()
  const leaves = random.unit() < 0.1
  if (leaves) setTimeout(() => controller.abort(), random.unit() * 60)
  const body = {
    model: 'm',
    stream: random.unit() < 0.8,
    max_tokens: 20,
    user: `u${index % 7}`,
    messages: [{ role: 'user', content: `question ${index}` }],
  }
  await ask(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    key: KEY,
    body,
    ...(leaves ? { signal: controller.signal } : {}),
  })
    .then((got) => {
      statuses.set(got.status, (statuses.get(got.status) ?? 0) + 1)
    })
    .catch((error: unknown) => {
      if (!leaves) throw error
    })
}

/** Attempts that the planner takes to run, by target and by key. */
async function running(): Promise<number> {
  const { data } = (await gateway.admin('/targets')) as {
    data: { in_flight: number; accounts?: { in_flight: number }[] }[]
  }
  return data
    .flatMap(({ in_flight, accounts = [] }) => [in_flight, ...accounts.map((account) => account.in_flight)])
    .reduce((sum, count) => sum + count, 0)
}

test('nothing is left over, nothing is lost', async () => {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < REQUESTS) await one(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  await eventually(async () => (await running()) === 0, 'no attempt runs')
  await eventually(async () => /^sluice_holds_cny 0$/m.test(await gateway.metrics()), 'no money is held')
  const usage = (await gateway.admin('/usage?group_by=target')) as {
    total: { requests: number; attempts: number }
  }
  const answered = [...statuses.values()].reduce((sum, count) => sum + count, 0)
  expect([...statuses.keys()].filter((status) => ![200, 429, 502, 503, 504].includes(status))).toEqual([])
  expect(statuses.get(200) ?? 0).toBeGreaterThan(0.9 * answered)
  // A request whose connection broke before it was written whole never came to be seen there.
  expect(usage.total.attempts).toBeGreaterThanOrEqual(upstream.requests.length)
  const metrics = await gateway.metrics()
  expect(Number(/^sluice_hedges_total (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(0)
  expect(metrics).toMatch(/^sluice_planner_requests 0$/m)
  const { data: budgets } = (await gateway.admin('/budgets')) as { data: Record<string, unknown>[] }
  expect(budgets[0]).toMatchObject({ budget: { held: '0' } })
  expect(gateway.logs.filter(({ event }) => event.endsWith('.crashed'))).toEqual([])
})
