// What upstreams say of their usage, where they say it and how: each shape is one row with the figures that bill, and
// what cannot be so is marked and counted. Figures are totals: the last ones win and are never summed.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerText, DONE, FINISH_EVENT, JSON_HEADERS, ROLE_EVENT } from '../support/chat-bytes.ts'
import { type AttemptDetail, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { eventsOf } from '../support/http-client.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, type ScriptedAnswer, startRawUpstream } from '../support/raw-upstream.ts'
import { figures, SHAPES, TEXT, usageOnly } from './usage-shapes.ts'

const POLICY = {
  sort: 'priority',
  retry: { attempts: 3 },
  outlier_detection: { consecutive_5xx: 1_000_000 },
  timeouts: { idle_ms: 500 },
}

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startLocalGateway({
    config: configOf({
      providers: { up: upstream.baseUrl, spare: upstream.baseUrl },
      targets: ['up/x', 'spare/x'],
      over: { policies: { p: POLICY, default: POLICY } },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

/** A target that has counted nothing yet: four bytes are taken for a token. */
let models = 0
const freshModel = (): string => `up/${models++}`

const counted = async (name: string, labels: Record<string, string>): Promise<number> =>
  readScrape(await gateway.metrics()).sum(name, labels)

const REASONS = ['zero', 'behind', 'total', 'parts', 'malformed'] as const

describe('a stream that says', () => {
  test.each(SHAPES)('$name', async ({ steps, ending, want }) => {
    const before = Object.fromEntries(
      await Promise.all(
        REASONS.map(async (reason) => [
          reason,
          await counted('sluice_usage_contradictions_total', { reason }),
        ]),
      ),
    ) as Record<string, number>
    upstream.script({ steps, ...(ending === undefined ? {} : { ending }) })
    const client = await gateway.chatStream({ model: freshModel() })
    await client.ended
    expect(client.text()).not.toContain('prompt_tokens')
    if (want.outcome === undefined)
      expect(eventsOf(client.text()).filter((data) => data === '[DONE]')).toHaveLength(1)
    const { attempts, cost } = await gateway.detail(client.headers['x-request-id'] ?? '')
    expect(attempts).toHaveLength(1)
    const [row] = attempts
    expect(row?.outcome).toBe(want.outcome ?? 'success')
    expect(row?.usage).toMatchObject({
      output_tokens: want.output,
      source: want.source,
      contradiction: want.contradiction ?? null,
      cached_input_tokens: want.cached ?? 0,
      ...(want.input === undefined ? {} : { input_tokens: want.input }),
    })
    if (want.input !== 0) {
      expect(Number(row?.usage['input_tokens'])).toBeGreaterThan(0)
      expect(Number(cost)).toBeGreaterThan(0)
    }
    expectBound(row, want.source === 'estimated' || want.outcome !== undefined)
    for (const reason of REASONS) {
      const more = (await counted('sluice_usage_contradictions_total', { reason })) - (before[reason] ?? 0)
      expect(more, reason).toBe(want.contradiction === reason ? 1 : 0)
    }
  })
})

/** Estimates say how far off they may be, and so do figures that came before the end. */
function expectBound(row: AttemptDetail | undefined, isBounded: boolean): void {
  const bound = row?.usage['error_bound'] as unknown as { output_tokens: number } | null
  if (isBounded) expect(bound?.output_tokens).toBeGreaterThan(0)
  else expect(bound).toBeNull()
}

describe('a whole answer that says', () => {
  const whole = (usage: unknown): ScriptedAnswer => ({
    headers: JSON_HEADERS,
    steps: [
      answerText('0123456789'.repeat(4), null).replace(
        '"vendor_extra"',
        `"usage":${JSON.stringify(usage)},"vendor_extra"`,
      ),
    ],
  })

  test.each<[string, unknown, object]>([
    [
      'its usage',
      figures(100, 12),
      { input_tokens: 100, output_tokens: 12, source: 'provider', contradiction: null },
    ],
    ['null', null, { output_tokens: 10, source: 'estimated', contradiction: null }],
    [
      'no output',
      figures(100, 0),
      { input_tokens: 100, output_tokens: 0, source: 'provider', contradiction: 'zero' },
    ],
    ['a fraction', figures(100, 0.5), { input_tokens: 100, output_tokens: 10, contradiction: 'malformed' }],
    [
      'another total',
      figures(100, 12, { total_tokens: 200 }),
      { input_tokens: 100, output_tokens: 100, source: 'provider', contradiction: 'total' },
    ],
  ])('%s is booked as a stream that says it', async (_name, usage, want) => {
    upstream.script(whole(usage))
    const got = await gateway.chat({ model: freshModel() })
    expect(got.status).toBe(200)
    const { attempts } = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(attempts.map((row) => row.usage)).toMatchObject([want])
  })
})

test('retries and fallbacks are one row each, each with what it used', async () => {
  upstream.script((_request, _count) => {
    const attempt = attempts++
    // A 200 that fails before its content, with and without figures; then an answer.
    if (attempt === 0) return { steps: [ROLE_EVENT, usageOnly(figures(100, 3)), FAILED] }
    if (attempt === 1) return { steps: [ROLE_EVENT, FAILED] }
    return { steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 12)), DONE] }
  })
  let attempts = 0
  const client = await gateway.chatStream()
  await client.ended
  const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
  expect(detail.outcome).toBe('success')
  expect(
    detail.attempts.map((row) => [row.outcome, row.usage['source'], row.usage['output_tokens']]),
  ).toEqual([
    ['server', 'provider', 3],
    ['server', 'estimated', 0],
    ['success', 'provider', 12],
  ])
  const sum = detail.attempts.reduce((total, row) => total + Number(row.cost?.amount), 0)
  expect(Number(detail.cost)).toBeCloseTo(sum, 9)
})

const FAILED = 'data: {"error":{"message":"engine died","type":"server_error"}}\n\n'

test('PEERS 2: usage is asked for upstream, and hidden from a client that did not ask for it', async () => {
  upstream.script({ steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 12)), DONE] })
  const client = await gateway.chatStream()
  await client.ended
  expect(upstream.requests.at(-1)?.json['stream_options']).toEqual({ include_usage: true })
  expect(client.text()).toBe([ROLE_EVENT, TEXT, FINISH_EVENT, DONE].join(''))
})

test('PEERS 3: usage is found wherever the bytes of its event are cut, and whatever ends their lines', async () => {
  const events = [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 12))].map((event, index) =>
    index % 2 === 0 ? event : event.replaceAll('\n', '\r\n'),
  )
  for (const pieces of [[...events.join('')], [events.join('')], events.join('').split(/(?=[\r\n])/)]) {
    upstream.script({ steps: [...pieces, DONE] })
    const client = await gateway.chatStream()
    await client.ended
    const { attempts } = await gateway.detail(client.headers['x-request-id'] ?? '')
    expect(attempts[0]?.usage).toMatchObject({ input_tokens: 100, output_tokens: 12, source: 'provider' })
  }
})

test('PEERS 6: the figures that bill are those that the client is shown', async () => {
  upstream.script({
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 12, { total_tokens: 112 })), DONE],
  })
  const client = await gateway.chatStream({ stream_options: { include_usage: true } })
  await client.ended
  const shown = eventsOf(client.text())
    .filter((data) => data.includes('"usage":{'))
    .map((data) => (JSON.parse(data) as { usage: Record<string, unknown> }).usage)
  const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
  expect(shown).toMatchObject([{ prompt_tokens: 100, completion_tokens: 12, cost: detail.cost }])
  expect(detail.attempts[0]?.usage).toMatchObject({ input_tokens: 100, output_tokens: 12 })
})
