// Faults of usage that trackers of other gateways are full of (PEERS 1 to 7), each from the upstream's bytes to the row
// of the ledger.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  answerText,
  contentEvent,
  DONE,
  FINISH_EVENT,
  JSON_HEADERS,
  ROLE_EVENT,
  usageEvent,
} from '../support/chat-bytes.ts'
import { CHUNKINGS } from '../support/chunkings.ts'
import { type AttemptDetail, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { type ClientAnswer, eventsOf } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const USAGE = { prompt_tokens: 1_234, completion_tokens: 567, total_tokens: 1_801 }

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream()
  gateway = await startLocalGateway({
    config: configOf({ providers: { up: upstream.baseUrl } }),
  })
})

beforeEach(() =>
  upstream.script({ steps: [ROLE_EVENT, contentEvent('hi'), FINISH_EVENT, usageEvent(USAGE), DONE] }),
)

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

const rowOf = async (got: ClientAnswer): Promise<AttemptDetail> => {
  const { attempts } = await gateway.detail(got.headers['x-request-id'] ?? '')
  expect(attempts).toHaveLength(1)
  return attempts[0] as AttemptDetail
}

const counted = { input_tokens: 1_234, output_tokens: 567, source: 'provider' }
/** 2 and 8 CNY per million. */
const COST = '0.007004'

test('PEERS 1: usage that comes in the last chunk alone, without choices, is the ledger’s to the token', async () => {
  const got = await gateway.chat({ stream: true, stream_options: { include_usage: true } })
  const row = await rowOf(got)
  expect(row.usage).toMatchObject(counted)
  expect(row.cost).toMatchObject({ amount: COST, currency: 'CNY' })
})

test('PEERS 2: usage is asked of the upstream, and its chunk hidden from a client that did not ask', async () => {
  const got = await gateway.chat({ stream: true })
  expect(upstream.requests.at(-1)?.json).toMatchObject({ stream_options: { include_usage: true } })
  expect(got.text).not.toContain('usage')
  expect(eventsOf(got.text).filter((event) => event.includes('"choices":[]'))).toEqual([])
  expect((await rowOf(got)).usage).toMatchObject(counted)
})

describe('PEERS 3: events in any pieces, with either line end, are the same answer and the same bill', () => {
  const mixed = [ROLE_EVENT, contentEvent('你好'), contentEvent(' hi'), FINISH_EVENT, usageEvent(USAGE), DONE]
    .map((event, index) => (index % 2 === 0 ? event : event.replaceAll('\n', '\r\n')))
    .join('')

  test.each(CHUNKINGS.map(({ name, cut }) => [name, cut] as const))('%s', async (_name, cut) => {
    upstream.script({ steps: cut(new TextEncoder().encode(mixed)) })
    const got = await gateway.chat({ stream: true })
    expect(got.text).toContain('你好')
    expect(got.text).toContain('[DONE]')
    const row = await rowOf(got)
    expect(row.usage).toMatchObject(counted)
    expect(row.cost?.amount).toBe(COST)
  })
})

describe('PEERS 4: usage is counted once wherever it stands', () => {
  const part = { prompt_tokens: 1_234, completion_tokens: 100, total_tokens: 1_334 }
  const withUsage = (event: string, usage: object): string =>
    event.replace(/\}\n\n$/, `,"usage":${JSON.stringify(usage)}}\n\n`)

  test.each([
    ['before the end mark', [contentEvent('hi'), FINISH_EVENT, usageEvent(USAGE), DONE]],
    ['with the finish reason', [contentEvent('hi'), withUsage(FINISH_EVENT, USAGE), DONE]],
    ['before the finish reason', [contentEvent('hi'), usageEvent(USAGE), FINISH_EVENT, DONE]],
    [
      'running, in every chunk',
      [
        withUsage(ROLE_EVENT, { ...part, completion_tokens: 0 }),
        withUsage(contentEvent('hi'), part),
        withUsage(FINISH_EVENT, USAGE),
        usageEvent(USAGE),
        DONE,
      ],
    ],
  ])('%s', async (_where, steps) => {
    upstream.script({ steps })
    const row = await rowOf(await gateway.chat({ stream: true }))
    expect(row.usage).toMatchObject(counted)
    expect(row.cost?.amount).toBe(COST)
  })
})

describe('PEERS 5: cached input is a part of the input, never more and never counted twice', () => {
  const cached = (details: object) => ({ ...USAGE, ...details })

  test.each([
    ['a subset, as OpenAI says it', cached({ prompt_tokens_details: { cached_tokens: 1_000 } }), 1_000],
    [
      'a subset, as DeepSeek says it',
      cached({ prompt_cache_hit_tokens: 1_000, prompt_cache_miss_tokens: 234 }),
      1_000,
    ],
    ['larger than its whole', cached({ prompt_tokens_details: { cached_tokens: 9_999 } }), 1_234],
    ['negative', cached({ prompt_tokens_details: { cached_tokens: -5 } }), 0],
  ])('%s', async (_what, usage, want) => {
    upstream.script({ headers: JSON_HEADERS, steps: [answerText('hi', usage)] })
    const row = await rowOf(await gateway.chat())
    expect(row.usage).toMatchObject({ ...counted, cached_input_tokens: want })
    const lines = row.cost?.lines ?? []
    const input = lines.filter(({ item }) => item === 'input' || item === 'cached_input')
    expect(input.reduce((sum, { quantity }) => sum + quantity, 0)).toBe(1_234)
    expect(lines.every(({ amount }) => !amount.startsWith('-'))).toBe(true)
  })
})

test.each([true, false])(
  'PEERS 6: what is billed is what the client is shown (stream: %s)',
  async (stream) => {
    upstream.script(
      stream
        ? { steps: [contentEvent('hi'), FINISH_EVENT, usageEvent(USAGE), DONE] }
        : { headers: JSON_HEADERS, steps: [answerText('hi', USAGE)] },
    )
    const got = await gateway.chat({ stream, ...(stream ? { stream_options: { include_usage: true } } : {}) })
    const shown = (
      stream
        ? eventsOf(got.text).map((event) =>
            event.includes('[DONE]') ? {} : (JSON.parse(event) as Record<string, unknown>),
          )
        : [got.json]
    ).findLast((body) => body['usage'] !== undefined && body['usage'] !== null)?.['usage'] as Record<
      string,
      unknown
    >
    const row = await rowOf(got)
    expect([shown['prompt_tokens'], shown['completion_tokens']]).toEqual([
      row.usage['input_tokens'],
      row.usage['output_tokens'],
    ])
    const header = got.headers['x-sluice-cost']
    expect(stream ? shown['cost'] : header?.split(' ')[0]).toBe(row.cost?.amount)
  },
)

test.each([true, false])(
  'PEERS 7: usage of zero is a zero that the provider said (stream: %s)',
  async (stream) => {
    const zero = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
    upstream.script(
      stream
        ? { steps: [contentEvent('hi'), FINISH_EVENT, usageEvent(zero), DONE] }
        : { headers: JSON_HEADERS, steps: [answerText('hi', zero)] },
    )
    const row = await rowOf(await gateway.chat({ stream }))
    expect(row.usage).toMatchObject({ input_tokens: 0, output_tokens: 0, source: 'provider' })
    expect(row.cost?.amount).toBe('0')
  },
)
