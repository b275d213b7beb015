// What ends an answer that is read on before its upstream does: bounds, and the end of the gateway itself. What it holds
// of others' room meanwhile.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { contentEvent, ROLE_EVENT } from '../support/chat-bytes.ts'
import {
  type ChildGateway,
  eventually,
  KEY,
  type LocalGateway,
  startChildGateway,
  startLocalGateway,
} from '../support/gateway.ts'
import {
  counted,
  expectDrained,
  holdBack,
  leaveBehind,
  leaveMidway,
  leavingConfig,
  REST,
} from '../support/leaving.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startRawUpstream()
})

afterAll(() => upstream.close())

describe('what bounds a drain', () => {
  let bounded: LocalGateway

  afterEach(() => bounded.close())

  const start = async (abandoned: Record<string, number>): Promise<void> => {
    bounded = await startLocalGateway({
      config: leavingConfig(upstream, { server: { host: '127.0.0.1', port: 0, drain_ms: 600, abandoned } }),
    })
  }

  const expectCapped = async (id: string, outcome: string): Promise<void> => {
    const detail = await bounded.detail(id)
    expect(detail.attempts[0]).toMatchObject({ outcome: 'cancelled', usage: { source: 'estimated' } })
    expect(Number(detail.cost)).toBeGreaterThan(0)
    expect(await counted(bounded, 'sluice_drains_total', { outcome })).toBe(1)
    expect(await counted(bounded, 'sluice_usage_estimates_total', { reason: 'drain_capped' })).toBe(1)
    // The upstream may go on and bill all of it, which is at most what it was allowed.
    const bound = detail.attempts[0]?.usage['error_bound'] as unknown as { output_tokens: number }
    expect(Number(detail.attempts[0]?.usage['output_tokens']) + bound.output_tokens).toBeGreaterThanOrEqual(
      500,
    )
  }

  test('time: it is aborted then, and estimated', async () => {
    await start({ drain_ms: 200 })
    holdBack(upstream, [ROLE_EVENT, contentEvent('begun')], REST)
    const id = await leaveMidway(bounded, 'drain', 'begun')
    await upstream.requests.at(-1)?.whenAborted
    await expectCapped(id, 'time')
  })

  test('bytes: it is aborted then, and estimated', async () => {
    await start({ bytes_max: 10_000 })
    const { release } = holdBack(
      upstream,
      [ROLE_EVENT, contentEvent('begun')],
      [contentEvent('w'.repeat(20_000)), 100, ...REST],
    )
    const id = await leaveBehind(bounded, 'begun')
    release()
    await upstream.requests.at(-1)?.whenAborted
    await expectCapped(id, 'bytes')
  })

  test('PEERS 10: number: one more than may be read on is aborted at once, and estimated', async () => {
    await start({ drains_max: 2 })
    const { release } = holdBack(upstream, [ROLE_EVENT, contentEvent('begun')], REST)
    const first = [await leaveMidway(bounded, 'drain', 'begun'), await leaveMidway(bounded, 'drain', 'begun')]
    await eventually(async () => (await counted(bounded, 'sluice_drains_running')) === 2, 'two are read on')
    const third = await leaveMidway(bounded, 'drain', 'begun')
    await upstream.requests.at(-1)?.whenAborted
    await expectCapped(third, 'number')
    release()
    for (const id of first) expectDrained(await bounded.detail(id))
  })
})

test('while an answer is read on its hold stays, and so does the place of its key', async () => {
  const own = await startLocalGateway({
    config: leavingConfig(upstream, {
      keys: [{ name: 'tester', key: KEY, max_budget: '1', concurrency: 1 }],
    }),
  })
  try {
    const { release } = holdBack(upstream, [ROLE_EVENT, contentEvent('begun')], REST)
    const id = await leaveBehind(own, 'begun')
    expect(await counted(own, 'sluice_holds_cny')).toBeGreaterThan(0)
    const refused = await own.chat({ model: 'drain' })
    expect([refused.status, refused.error.code]).toEqual([429, 'rate_limit_exceeded'])
    release()
    expectDrained(await own.detail(id))
    await eventually(async () => (await counted(own, 'sluice_holds_cny')) === 0, 'the hold is settled')
    expect((await own.chat({ model: 'drain' })).status).toBe(200)
  } finally {
    await own.close()
  }
})

describe('a gateway that ends while an answer is read on', () => {
  const children: ChildGateway[] = []

  afterEach(async () => {
    for (const child of children.splice(0)) await child.close()
  })

  const child = async (drainMs: number, folder?: string): Promise<ChildGateway> => {
    const started = await startChildGateway({
      config: leavingConfig(upstream, { server: { host: '127.0.0.1', port: 0, drain_ms: drainMs } }),
      ...(folder === undefined ? {} : { folder }),
    })
    children.push(started)
    return started
  }

  const begin = async (drainMs: number) => {
    const gate = holdBack(upstream, [ROLE_EVENT, contentEvent('begun')], REST)
    const first = await child(drainMs)
    const id = await leaveBehind(first, 'begun')
    return { ...gate, first, id }
  }

  test('by SIGTERM waits for it', async () => {
    const { first, id, release } = await begin(20_000)
    first.child.kill('SIGTERM')
    await new Promise((resolve) => setTimeout(resolve, 800))
    expect(first.child.exitCode, 'it still runs').toBeNull()
    release()
    expect(await first.exited).toBe(0)
    expectDrained(await (await child(600, first.folder)).detail(id))
  })

  test('by SIGTERM does not wait beyond drain_ms, and books an estimate', async () => {
    const { first, id } = await begin(900)
    first.child.kill('SIGTERM')
    expect(await first.exited).toBe(0)
    const detail = await (await child(600, first.folder)).detail(id)
    expect(detail.outcome).toBe('cancelled')
    expect(detail.attempts[0]).toMatchObject({ outcome: 'cancelled', usage: { source: 'estimated' } })
    expect(Number(detail.cost)).toBeGreaterThan(0)
  })

  test('PEERS 31: by kill -9 books it as recovered, with a bound, and holds nothing', async () => {
    const { first, id } = await begin(20_000)
    await first.kill('SIGKILL')
    const second = await child(600, first.folder)
    const detail = await second.detail(id)
    expect(detail.outcome).toBe('interrupted')
    expect(detail.attempts).toHaveLength(1)
    expect(detail.attempts[0]).toMatchObject({
      outcome: 'interrupted',
      usage: { source: 'recovered', error_bound: { output_tokens: 400 } },
    })
    expect(await counted(second, 'sluice_usage_estimates_total', { reason: 'recovered' })).toBe(1)
    expect(await counted(second, 'sluice_holds_cny')).toBe(0)
  })
})
