// Who pays when a client leaves, by the policy of the provider: what came is booked, what comes yet is read on behind
// the client, or what will be billed is estimated. Each attempt is one row, and none is a silent zero.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  answer,
  contentEvent,
  DONE,
  errorAnswer,
  FINISH_EVENT,
  ROLE_EVENT,
  usageEvent,
} from '../support/chat-bytes.ts'
import { eventually, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, openAiCompatible, priceOf } from '../support/gateway-config.ts'
import {
  BODY,
  counted,
  expectDrained,
  holdBack,
  leaveBehind,
  leaveMidway,
  leavingConfig,
  newest,
  REST,
  readOn,
  sendAndLeave,
  settled,
  USAGE,
} from '../support/leaving.ts'
import { type RawUpstream, startBlackHole, startRawUpstream } from '../support/raw-upstream.ts'

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startLocalGateway({ config: leavingConfig(upstream) })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

describe('drain', () => {
  test.each([true, false])(
    'PEERS 8: a client that leaves before the first byte is billed what the upstream then says (stream: %s)',
    async (stream) => {
      const { asked, release } = holdBack(upstream, [], [ROLE_EVENT, ...REST])
      const before = upstream.requests.length
      await sendAndLeave(gateway, 'drain', asked, stream)
      await readOn(gateway)
      release()
      await settled(gateway)
      expectDrained(await newest(gateway))
      expect((await asked).aborted).toBe(false)
      expect(upstream.requests, 'nobody else is asked').toHaveLength(before + 1)
      expect(await counted(gateway, 'sluice_drains_running')).toBe(0)
    },
  )

  test('PEERS 8: a client that leaves in mid-stream is billed the whole answer', async () => {
    const learned = await counted(gateway, 'sluice_drains_total', { outcome: 'learned' })
    const { release } = holdBack(upstream, [ROLE_EVENT, contentEvent('begun')], REST)
    const id = await leaveBehind(gateway, 'begun')
    const page = (await gateway.admin('/requests?limit=1')) as { data: { outcome: string }[] }
    expect(page.data[0]?.outcome, 'while it is read on, its row is open').toBe('open')
    release()
    expectDrained(await gateway.detail(id))
    expect(await counted(gateway, 'sluice_drains_total', { outcome: 'learned' })).toBe(learned + 1)
  })

  test('the connection of an answer that was read on is used again', async () => {
    const { release } = holdBack(upstream, [ROLE_EVENT, contentEvent('begun')], REST)
    const id = await leaveBehind(gateway, 'begun')
    release()
    expectDrained(await gateway.detail(id))
    expect(upstream.requests.at(-1)?.aborted).toBe(false)
  })

  test('PEERS 8: a client that leaves behind finish and usage leaves nothing to be read on', async () => {
    upstream.script({
      steps: [ROLE_EVENT, contentEvent('all'), FINISH_EVENT, usageEvent(USAGE), ': marker\n\n'],
      ending: 'hang',
    })
    const id = await leaveMidway(gateway, 'drain', 'marker')
    await upstream.requests.at(-1)?.whenAborted
    expect((await gateway.detail(id)).attempts[0]).toMatchObject({
      outcome: 'cancelled',
      usage: { input_tokens: 120, output_tokens: 340, source: 'provider', error_bound: null },
    })
  })

  test('a client that reads slowly and leaves is billed the whole answer', async () => {
    // What the sockets between take is more than nothing; the rest waits for the reader.
    const long = Array.from({ length: 24 }, () => contentEvent('y'.repeat(256 * 1024)))
    const { release } = holdBack(upstream, [ROLE_EVENT, contentEvent('begun'), ...long], REST)
    const client = await gateway.chatStream({ ...BODY, model: 'drain' })
    await client.until('begun')
    client.pause()
    await new Promise((resolve) => setTimeout(resolve, 300))
    client.abort()
    await readOn(gateway)
    release()
    expectDrained(await gateway.detail(client.headers['x-request-id'] ?? ''))
  })

  test('an upstream that ends without a usage is estimated, within what came', async () => {
    const { release } = holdBack(
      upstream,
      [ROLE_EVENT, contentEvent('begun')],
      [contentEvent('z'.repeat(395)), FINISH_EVENT, DONE],
    )
    const id = await leaveBehind(gateway, 'begun')
    release()
    const [row] = (await gateway.detail(id)).attempts
    expect(row).toMatchObject({ outcome: 'cancelled', usage: { source: 'estimated' } })
    const bound = row?.usage['error_bound'] as unknown as { input_tokens: number; output_tokens: number }
    // 400 bytes of text are 416 tokens at most, with what opens and closes them.
    expect(Number(row?.usage['output_tokens']) + bound.output_tokens).toBeLessThanOrEqual(416)
    expect(await counted(gateway, 'sluice_drains_total', { outcome: 'unsaid' })).toBe(1)
  })

  test('an upstream that breaks off behind the client has failed, and what came is booked', async () => {
    const { release } = holdBack(upstream, [ROLE_EVENT, contentEvent('begun')], [contentEvent('more')])
    const id = await leaveBehind(gateway, 'begun')
    release()
    const detail = await gateway.detail(id)
    expect(detail.outcome).toBe('cancelled')
    expect(detail.attempts[0]).toMatchObject({ outcome: 'truncated', usage: { source: 'estimated' } })
    expect(Number(detail.cost)).toBeGreaterThan(0)
  })

  test('an upstream that refuses behind the client bills nothing, and nobody else is asked', async () => {
    const asked = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    upstream.script(async () => {
      asked.resolve()
      await gate.promise
      return errorAnswer(429, { message: 'slow down', code: 'rate_limit_exceeded' })
    })
    const before = upstream.requests.length
    await sendAndLeave(gateway, 'drain', asked.promise)
    await readOn(gateway)
    gate.resolve()
    await settled(gateway)
    const detail = await newest(gateway)
    expect(detail).toMatchObject({ outcome: 'cancelled', cost: '0' })
    expect(detail.attempts.map((row) => row.outcome)).toEqual(['rate_limit'])
    expect(upstream.requests).toHaveLength(before + 1)
  })

  test('a client that leaves while the upstream is being connected to is billed nothing', async () => {
    const hole = await startBlackHole()
    const base = `http://127.0.0.1:${hole.port}/v1`
    const own = await startLocalGateway({
      config: configOf({
        providers: { far: { ...openAiCompatible(base), on_client_abort: 'drain' } },
        policy: { timeouts: { connect_ms: 20_000 } },
      }),
    })
    try {
      await sendAndLeave(own, 'm', new Promise((resolve) => setTimeout(resolve, 200)))
      await settled(own)
      const detail = await newest(own)
      expect(detail).toMatchObject({ outcome: 'cancelled', cost: '0' })
      expect(detail.attempts[0]?.usage).toMatchObject({ input_tokens: 0, source: 'provider' })
    } finally {
      await own.close()
      hole.close()
    }
  })
})

describe('cancel', () => {
  test('PEERS 9: the upstream sees the close, and input and what came are booked with their bound', async () => {
    upstream.script({ steps: [ROLE_EVENT, contentEvent('word '.repeat(40))], ending: 'hang' })
    const id = await leaveMidway(gateway, 'cancel', 'word word')
    await upstream.requests.at(-1)?.whenAborted
    const [row] = (await gateway.detail(id)).attempts
    expect(row).toMatchObject({ outcome: 'cancelled', usage: { source: 'estimated', output_tokens: 50 } })
    const bound = row?.usage['error_bound'] as unknown as { input_tokens: number; output_tokens: number }
    expect(bound.output_tokens).toBe(450)
    expect(bound.input_tokens).toBeGreaterThan(0)
    expect(await counted(gateway, 'sluice_usage_estimates_total', { reason: 'cancelled' })).toBeGreaterThan(0)
  })

  test('figures that came before the end are the upstream’s, and may have grown', async () => {
    const said = { prompt_tokens: 77, completion_tokens: 33 }
    upstream.script({
      steps: [ROLE_EVENT, contentEvent('Hi'), usageEvent(said), contentEvent('marker')],
      ending: 'hang',
    })
    const id = await leaveMidway(gateway, 'cancel', 'marker')
    expect((await gateway.detail(id)).attempts[0]?.usage).toMatchObject({
      input_tokens: 77,
      output_tokens: 33,
      source: 'provider',
      error_bound: { input_tokens: 0, output_tokens: 467 },
    })
  })
})

describe('estimate', () => {
  test('goes by the first answer that the target has counted', async () => {
    const leave = async (): Promise<unknown> => {
      upstream.script({ steps: [ROLE_EVENT, contentEvent('begun')], ending: 'hang' })
      const id = await leaveMidway(gateway, 'estimate/new', 'begun')
      return (await gateway.detail(id)).attempts[0]?.usage['output_tokens']
    }
    expect(await leave(), 'a guess').toBe(400)
    upstream.script(answer('done', USAGE))
    await gateway.chat({ ...BODY, model: 'estimate/new' })
    expect(await leave()).toBe(340)
  })

  test('the upstream is aborted at once, and what it usually answers is booked', async () => {
    // What it has counted so far: 340 tokens an answer.
    upstream.script(answer('done', USAGE))
    for (let index = 0; index < 10; index++)
      await gateway.chat({ ...BODY, model: 'estimate', stream: index % 2 === 0 })
    upstream.script({ steps: [ROLE_EVENT, contentEvent('begun')], ending: 'hang' })
    const id = await leaveMidway(gateway, 'estimate', 'begun')
    await upstream.requests.at(-1)?.whenAborted
    expect((await gateway.detail(id)).attempts[0]).toMatchObject({
      outcome: 'cancelled',
      usage: {
        input_tokens: 120,
        output_tokens: 340,
        source: 'estimated',
        error_bound: { output_tokens: 340 },
      },
    })
    expect(await counted(gateway, 'sluice_usage_estimates_total', { reason: 'abandoned' })).toBe(3)
  })
})

test('without a word of the configuration an unknown provider is drained, and one that stops billing is not', async () => {
  const silent = (use: string): Record<string, unknown> => ({
    use,
    base_url: upstream.baseUrl,
    api_key: 'sk-x-0123456789',
    allow_private: true,
  })
  const uses = ['openai-compatible', 'doubao', 'ernie', 'minimax', 'openai', 'qwen', 'vllm'] as const
  const own = await startLocalGateway({
    config: configOf({
      providers: Object.fromEntries(uses.map((use) => [use, silent(use)])),
      targets: ['vllm/x'],
      prices: Object.fromEntries(uses.map((use) => [`${use}/*`, priceOf('2', '8')])),
    }),
  })
  try {
    const seen: Record<string, string> = {}
    for (const use of uses) {
      const drains = () => counted(own, 'sluice_drains_total')
      const before = await drains()
      const { release } = holdBack(upstream, [ROLE_EVENT, contentEvent('begun')], REST)
      await leaveMidway(own, `${use}/x`, 'begun')
      const [request] = upstream.requests.slice(-1)
      await Promise.race([
        request?.whenAborted,
        eventually(async () => (await counted(own, 'sluice_drains_running')) === 1, `${use} is read on`),
      ])
      release()
      await settled(own)
      seen[use] = (await drains()) === before ? 'cancel' : 'drain'
    }
    expect(seen).toEqual({
      'openai-compatible': 'drain',
      doubao: 'drain',
      ernie: 'drain',
      minimax: 'drain',
      openai: 'cancel',
      qwen: 'cancel',
      vllm: 'cancel',
    })
  } finally {
    await own.close()
  }
})
