// The ledger under load, faults and kills: each upstream attempt once, tokens and money to the last digit, read
// through the admin API and held against what the upstream itself counted.

import { Agent } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import {
  answer,
  contentEvent,
  DONE,
  errorAnswer,
  FINISH_EVENT,
  isStreaming,
  ROLE_EVENT,
  usageEvent,
} from '../support/chat-bytes.ts'
import {
  type ChildGateway,
  eventually,
  KEY,
  startChildGateway,
  type TestGateway,
} from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { ask, openStream } from '../support/http-client.ts'
import {
  type RawUpstream,
  type ScriptedAnswer,
  type SeenRequest,
  startRawUpstream,
} from '../support/raw-upstream.ts'

const REQUESTS = 10_000
const AGENTS = 4
const WORKERS_PER_AGENT = 6
/** Per token, of 2 and 8 CNY per million. */
const INPUT_NANO = 2_000n
const OUTPUT_NANO = 8_000n

const closers: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function upstreamWith(script: Parameters<typeof startRawUpstream>[0]): Promise<RawUpstream> {
  const upstream = await startRawUpstream(script)
  closers.push(() => upstream.close())
  return upstream
}

async function childWith(config: Record<string, unknown>, folder?: string): Promise<ChildGateway> {
  const gateway = await startChildGateway({ config, ...(folder === undefined ? {} : { folder }) })
  closers.push(() => gateway.close())
  return gateway
}

const configFor = (upstream: RawUpstream): Record<string, unknown> =>
  configOf({
    providers: { up: upstream.baseUrl, spare: upstream.baseUrl },
    prices: { 'up/*': priceOf('2', '8'), 'spare/*': priceOf('2', '8') },
    over: {
      policies: {
        p: {
          sort: 'priority',
          outlier_detection: { consecutive_5xx: 1_000_000 },
          retry: { attempts: 2 },
        },
      },
    },
  })

interface Totals {
  readonly requests: number
  readonly attempts: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost: string
  readonly estimated_attempts: number
}

const totalsOf = async (gateway: TestGateway): Promise<Totals> =>
  (await gateway.admin('/usage'))['total'] as unknown as Totals

interface ListedRequest {
  readonly id: string
  readonly outcome: string
  readonly status: number
  readonly attempt_count: number
  readonly cost: string | null
}

async function allRequests(gateway: TestGateway): Promise<ListedRequest[]> {
  const rows: ListedRequest[] = []
  let cursor: string | null = null
  do {
    const page = await gateway.admin(
      `/requests?limit=500${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    rows.push(...(page['data'] as ListedRequest[]))
    cursor = page['next_cursor'] as string | null
  } while (cursor !== null)
  return rows
}

/** An upstream that keeps books of its own, and fails in some ways on some requests. */
class CountingUpstream {
  attempts = 0
  inputTokens = 0
  outputTokens = 0

  answer(request: SeenRequest): ScriptedAnswer {
    this.attempts += 1
    const number = this.attempts
    if (number % 17 === 0) return errorAnswer(500, { message: 'down', type: 'server_error' })
    const usage = { prompt_tokens: 10 + (number % 90), completion_tokens: 1 + (number % 7) }
    this.inputTokens += usage.prompt_tokens
    this.outputTokens += usage.completion_tokens
    if (!isStreaming(request.body)) return answer('ok', usage)(request)
    const begun = [ROLE_EVENT, usageEvent(usage), contentEvent('ok')]
    if (number % 23 === 0) return { steps: begun, ending: 'fin' }
    if (number % 101 === 0) return { steps: [...begun, contentEvent('leave now')], ending: 'hang' }
    return { steps: [...begun, FINISH_EVENT, DONE] }
  }
}

const nano = (inputTokens: number, outputTokens: number): bigint =>
  BigInt(inputTokens) * INPUT_NANO + BigInt(outputTokens) * OUTPUT_NANO

function toNano(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.split('.')
  return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
}

async function sendOne(gateway: TestGateway, agent: Agent, index: number): Promise<string> {
  const body = { model: 'm', stream: index % 2 === 0, messages: [{ role: 'user', content: 'x' }] }
  const client = await openStream(`${gateway.url}/v1/chat/completions`, { key: KEY, body, agent })
  const leaving = client.until('leave now').then(
    () => client.abort(),
    () => undefined,
  )
  await client.ended.catch(() => undefined)
  await leaving
  return client.headers['x-request-id'] ?? ''
}

describe('ten thousand requests from several clients with faults among them', () => {
  test('are each there once, with the tokens of the upstream and the money of the price', {
    timeout: 180_000,
  }, async () => {
    const counted = new CountingUpstream()
    const upstream = await upstreamWith((request) => counted.answer(request))
    const gateway = await childWith(configFor(upstream))
    const agents = Array.from(
      { length: AGENTS },
      () => new Agent({ keepAlive: true, maxSockets: WORKERS_PER_AGENT }),
    )
    const ids: string[] = []
    let next = 0
    const work = async (agent: Agent): Promise<void> => {
      while (next < REQUESTS) {
        next += 1
        ids.push(await sendOne(gateway, agent, next))
      }
    }
    await Promise.all(agents.flatMap((agent) => Array.from({ length: WORKERS_PER_AGENT }, () => work(agent))))
    for (const agent of agents) agent.destroy()
    await eventually(
      async () => /^sluice_requests_in_flight 0$/m.test(await gateway.metrics()),
      'nothing is in flight',
    )

    const rows = await allRequests(gateway)
    expect(new Set(rows.map((row) => row.id))).toEqual(new Set(ids))
    expect(rows).toHaveLength(REQUESTS)
    expect(rows.reduce((sum, row) => sum + row.attempt_count, 0)).toBe(counted.attempts)
    const totals = await totalsOf(gateway)
    expect(totals).toMatchObject({
      requests: REQUESTS,
      attempts: counted.attempts,
      input_tokens: counted.inputTokens,
      output_tokens: counted.outputTokens,
      estimated_attempts: 0,
    })
    expect(toNano(totals.cost)).toBe(nano(counted.inputTokens, counted.outputTokens))
    expect(rows.reduce((sum, row) => sum + toNano(row.cost ?? '0'), 0n)).toBe(toNano(totals.cost))
    const byTarget = (await gateway.admin('/usage?group_by=target'))['data'] as {
      target: string
      attempts: number
    }[]
    expect(byTarget.map((row) => row.target).toSorted()).toEqual(['spare/x', 'up/x'])
    expect(byTarget.reduce((sum, row) => sum + row.attempts, 0)).toBe(counted.attempts)
    const outcomes = Object.groupBy(rows, (row) => row.outcome)
    expect(Object.keys(outcomes).toSorted()).toEqual(['cancelled', 'failed', 'success'])
  })
})

test('the cost of a request is the sum of its attempts, also of those that failed', async () => {
  const first = { prompt_tokens: 1_000, completion_tokens: 10 }
  const second = { prompt_tokens: 1_000, completion_tokens: 500 }
  const failing = 'data: {"error":{"message":"engine died","type":"server_error"}}\n\n'
  const upstream = await upstreamWith((request, count) =>
    count === 1 ? { steps: [ROLE_EVENT, usageEvent(first), failing] } : answer('ok', second)(request),
  )
  const gateway = await childWith(configFor(upstream))
  const got = await gateway.chat({ stream: true, stream_options: { include_usage: true } })
  // (1000 × 2 + 10 × 8 + 1000 × 2 + 500 × 8) / 10⁶
  expect(got.text).toContain('"cost":"0.00808"')
  const detail = await gateway.detail(got.headers['x-request-id'] ?? '')
  expect(detail.cost).toBe('0.00808')
  expect(detail.attempts.map((row) => [row.outcome, row.cost?.amount])).toEqual([
    ['server', '0.00208'],
    ['success', '0.006'],
  ])
})

describe('a gateway that is killed', () => {
  test('books what was under way as recovered estimates, keeps what was committed, and repeats nothing', async () => {
    const usage = { prompt_tokens: 100, completion_tokens: 50 }
    const upstream = await upstreamWith(answer('done', usage))
    const first = await childWith(configFor(upstream))
    const done: string[] = []
    for (let index = 0; index < 20; index += 1) {
      done.push((await first.chat({ stream: index % 2 === 0 })).headers['x-request-id'] ?? '')
    }
    upstream.script({ steps: [ROLE_EVENT, contentEvent('half')], ending: 'hang' })
    const open = await Promise.all(Array.from({ length: 5 }, () => first.chatStream()))
    for (const stream of open) await stream.until('half')
    const openIds = open.map((stream) => stream.headers['x-request-id'] ?? '')
    await first.kill('SIGKILL')

    const second = await childWith(configFor(upstream), first.folder)
    for (const id of done) {
      const detail = await second.detail(id)
      expect(detail).toMatchObject({ outcome: 'success', cost: '0.0006' })
      expect(detail.attempts).toHaveLength(1)
    }
    for (const id of openIds) {
      const detail = await second.detail(id)
      expect(detail.outcome).toBe('interrupted')
      expect(detail.attempts).toHaveLength(1)
      expect(detail.attempts[0]).toMatchObject({ outcome: 'interrupted', usage: { source: 'recovered' } })
      expect(Number(detail.attempts[0]?.usage['input_tokens'])).toBeGreaterThan(0)
      expect(Number(detail.attempts[0]?.cost?.amount)).toBeGreaterThan(0)
      expect(Number(detail.cost)).toBeGreaterThan(0)
    }
    const totals = await totalsOf(second)
    expect(totals).toMatchObject({ requests: 25, attempts: 25, estimated_attempts: 5 })
    await second.kill('SIGKILL')
    const third = await childWith(configFor(upstream), first.folder)
    expect(await totalsOf(third)).toEqual(totals)
  })

  test('under load at any moment has every request that was answered, once', async () => {
    const counted = new CountingUpstream()
    const upstream = await upstreamWith((request) => counted.answer(request))
    let folder: string | undefined
    const answered: string[] = []
    for (const momentMs of [150, 400, 700]) {
      const gateway: ChildGateway = await childWith(configFor(upstream), folder)
      folder = gateway.folder
      const agent = new Agent({ keepAlive: true })
      let killed = false
      const work = async (): Promise<void> => {
        while (!killed) {
          const got = await ask(`${gateway.url}/v1/chat/completions`, {
            key: KEY,
            agent,
            body: { model: 'm', messages: [{ role: 'user', content: 'x' }] },
          }).catch(() => null)
          if (got?.status === 200) answered.push(got.headers['x-request-id'] ?? '')
        }
      }
      const workers = Array.from({ length: 8 }, work)
      await wait(momentMs)
      await gateway.kill('SIGKILL')
      killed = true
      await Promise.all(workers)
      agent.destroy()
    }
    const last = await childWith(configFor(upstream), folder)
    const rows = await allRequests(last)
    const byId = new Map(rows.map((row) => [row.id, row]))
    expect(byId.size).toBe(rows.length)
    expect(answered.length).toBeGreaterThan(0)
    expect(answered.filter((id) => byId.get(id)?.outcome !== 'success')).toEqual([])
    expect(rows.filter((row) => row.outcome === 'open')).toEqual([])
    const totals = await totalsOf(last)
    expect(totals.attempts).toBe(rows.reduce((sum, row) => sum + row.attempt_count, 0))
    // One attempt may have been booked and not sent by each worker at each kill.
    expect(totals.attempts).toBeLessThanOrEqual(counted.attempts + 3 * 8)
  })
})

test('a second gateway on the same file is refused, and the first one goes on untouched', async () => {
  const upstream = await upstreamWith({ steps: [ROLE_EVENT, contentEvent('half')], ending: 'hang' })
  const first = await childWith(configFor(upstream))
  const stream = await first.chatStream()
  await stream.until('half')
  await expect(childWith(configFor(upstream), first.folder)).rejects.toThrow(/used by another/)
  const [row] = await allRequests(first)
  expect(row?.outcome).toBe('open')
  upstream.script(answer('ok'))
  expect((await first.chat()).status).toBe(200)
})

describe('a gateway that is told to stop', () => {
  test('says so to its probe at once, still answers, lets streams end and exits with 0', async () => {
    const release = Promise.withResolvers<void>()
    const usage = { prompt_tokens: 100, completion_tokens: 50 }
    const upstream = await upstreamWith({
      steps: [
        ROLE_EVENT,
        contentEvent('begun'),
        () => release.promise,
        FINISH_EVENT,
        usageEvent(usage),
        DONE,
      ],
    })
    const gateway = await childWith({
      ...configFor(upstream),
      server: { host: '127.0.0.1', port: 0, drain_ms: 30_000 },
    })
    expect((await ask(`${gateway.url}/readyz`)).status).toBe(200)
    const stream = await gateway.chatStream()
    await stream.until('begun')
    const agent = new Agent({ keepAlive: true })
    await ask(`${gateway.url}/livez`, { agent })
    gateway.child.kill('SIGTERM')
    await eventually(
      async () => (await ask(`${gateway.url}/readyz`, { agent })).status === 503,
      'readyz says 503',
    )
    upstream.script(answer('late but served', usage))
    expect((await gateway.chat()).text).toContain('late but served')
    release.resolve()
    await stream.ended
    expect(stream.text().endsWith(DONE)).toBe(true)
    agent.destroy()
    expect(await gateway.exited).toBe(0)

    const after = await childWith(configFor(upstream), gateway.folder)
    const detail = await after.detail(stream.headers['x-request-id'] ?? '')
    expect(detail).toMatchObject({ outcome: 'success', cost: '0.0006' })
    expect(await totalsOf(after)).toMatchObject({ requests: 2, attempts: 2, estimated_attempts: 0 })
  })

  test('under load loses no request of clients that keep their connections', async () => {
    const upstream = await upstreamWith(answer('ok'))
    const gateway = await childWith(configFor(upstream))
    const agent = new Agent({ keepAlive: true })
    const failures: string[] = []
    let answered = 0
    const work = async (): Promise<void> => {
      for (;;) {
        try {
          const body = { model: 'm', messages: [{ role: 'user', content: 'x' }] }
          const got = await ask(`${gateway.url}/v1/chat/completions`, { key: KEY, agent, body })
          if (got.status === 200) answered += 1
          else failures.push(got.text)
          // What a balancer makes of it: the next request goes to another instance.
          if (got.headers['connection'] === 'close') return
        } catch (error) {
          failures.push(String(error))
          return
        }
      }
    }
    const workers = Array.from({ length: 8 }, work)
    await eventually(() => answered > 100, 'load runs')
    gateway.child.kill('SIGTERM')
    await Promise.all(workers)
    agent.destroy()
    expect(failures).toEqual([])
    expect(await gateway.exited).toBe(0)
    const after = await childWith(configFor(upstream), gateway.folder)
    expect(await totalsOf(after)).toMatchObject({
      requests: answered,
      attempts: answered,
      estimated_attempts: 0,
    })
  })

  test('does not wait for ever for a stream that does not end', async () => {
    const upstream = await upstreamWith({ steps: [ROLE_EVENT, contentEvent('begun')], ending: 'hang' })
    const gateway = await childWith({
      ...configFor(upstream),
      server: { host: '127.0.0.1', port: 0, drain_ms: 700 },
    })
    const stream = await gateway.chatStream()
    await stream.until('begun')
    gateway.child.kill('SIGTERM')
    expect(await gateway.exited).toBe(0)
    await expect(stream.ended).rejects.toThrow()
    const after = await childWith(configFor(upstream), gateway.folder)
    const detail = await after.detail(stream.headers['x-request-id'] ?? '')
    expect(detail.outcome).toBe('cancelled')
    expect(await totalsOf(after)).toMatchObject({ attempts: 1 })
  })

  test('twice goes at once', async () => {
    const upstream = await upstreamWith({ steps: [ROLE_EVENT, contentEvent('begun')], ending: 'hang' })
    const gateway = await childWith({
      ...configFor(upstream),
      server: { host: '127.0.0.1', port: 0, drain_ms: 600_000 },
    })
    const stream = await gateway.chatStream()
    await stream.until('begun')
    gateway.child.kill('SIGTERM')
    await eventually(async () => (await ask(`${gateway.url}/readyz`)).status === 503, 'it is stopping')
    gateway.child.kill('SIGTERM')
    expect(await gateway.exited).toBe(1)
  })
})
