// Upstreams that fail after content has reached the client: the stream ends with an error event and without
// [DONE], nobody else is asked, and the ledger has what was used.

import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { answer, contentEvent, DONE, FINISH_EVENT, ROLE_EVENT, streamEvents } from '../support/chat-bytes.ts'
import { KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, UPSTREAM_KEY } from '../support/gateway-config.ts'
import { contentOf, eventsOf } from '../support/http-client.ts'
import {
  type RawUpstream,
  type ScriptedAnswer,
  type Step,
  startRawUpstream,
} from '../support/raw-upstream.ts'

const MB = 1024 * 1024
const CONTENT = [ROLE_EVENT, contentEvent('Hello'), contentEvent(' there')]

let bad: RawUpstream
let good: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  bad = await startRawUpstream()
  good = await startRawUpstream(answer('never asked'))
  gateway = await startLocalGateway({
    config: configOf({
      providers: { bad: bad.baseUrl, good: good.baseUrl },
      targets: [
        { target: 'bad/x', priority: 0 },
        { target: 'good/x', priority: 1 },
      ],
      models: { hasty: { policy: 'hasty', targets: ['bad/x'] } },
      over: {
        policies: {
          p: {
            sort: 'priority',
            timeouts: { ttft_ms: 5_000, idle_ms: 1_200, total_ms: 20_000 },
            outlier_detection: { consecutive_5xx: 1_000 },
          },
          hasty: {
            sort: 'priority',
            timeouts: { ttft_ms: 5_000, idle_ms: 5_000, total_ms: 1_000 },
            outlier_detection: { consecutive_5xx: 1_000 },
          },
        },
      },
    }),
  })
})

beforeEach(() => good.script(answer('never asked')))

afterAll(async () => {
  await gateway.close()
  await bad.close()
  await good.close()
})

/** The log line of the last failed attempt says which deadline it was. */
const lastFailure = (): unknown =>
  gateway.logs.findLast((line) => line.event === 'attempt.failed')?.fields['vendor_message']

const forEver = (step: Step, gapMs: number): Step[] => Array.from({ length: 200 }, () => [step, gapMs]).flat()

interface Cut {
  readonly name: string
  readonly answer: ScriptedAnswer
  readonly code: string
  readonly outcome: string
  readonly model?: string
  readonly saying?: RegExp
}

const CUTS: readonly Cut[] = [
  {
    name: 'closes',
    answer: { steps: CONTENT, ending: 'fin' },
    code: 'upstream_truncated',
    outcome: 'truncated',
  },
  {
    name: 'ends an answer that the connection delimits, without a finish reason',
    answer: { steps: CONTENT, framing: 'close' },
    code: 'upstream_truncated',
    outcome: 'truncated',
  },
  {
    name: 'ends in due form without a finish reason',
    answer: { steps: CONTENT },
    code: 'upstream_truncated',
    outcome: 'truncated',
  },
  // The bytes before a reset may be lost with it: it comes when the client has them.
  {
    name: 'resets',
    answer: { steps: [...CONTENT, 300], ending: 'reset' },
    code: 'upstream_truncated',
    outcome: 'truncated',
  },
  {
    name: 'stalls',
    answer: { steps: CONTENT, ending: 'hang' },
    code: 'upstream_timeout',
    outcome: 'timeout',
    saying: /idle/,
  },
  {
    name: 'goes on for ever',
    answer: { steps: [...CONTENT, ...forEver(contentEvent('.'), 50)] },
    code: 'upstream_timeout',
    outcome: 'timeout',
    model: 'hasty',
    saying: /total/,
  },
  {
    name: 'says an error',
    answer: {
      steps: [
        ...CONTENT,
        `data: {"error":{"message":"${UPSTREAM_KEY} at http://10.0.0.7:8000","code":"server_error"}}\n\n`,
      ],
      ending: 'hang',
    },
    code: 'upstream_error',
    outcome: 'server',
  },
  {
    name: 'is filtered',
    answer: {
      steps: [...CONTENT, 'data: {"error":{"message":"sensitive","code":"content_filter"}}\n\n'],
      ending: 'hang',
    },
    code: 'content_filter',
    outcome: 'moderation',
  },
  {
    name: 'sends an event without end',
    answer: { steps: [...CONTENT, ...Array.from({ length: 6 }, () => 'y'.repeat(MB))], ending: 'hang' },
    code: 'upstream_protocol',
    outcome: 'protocol',
  },
]

describe('a stream whose upstream', () => {
  test.each(CUTS)(
    '$name after content ends with an error event',
    async ({ answer: script, code, outcome, model, saying }) => {
      bad.script(script)
      const client = await gateway.chatStream(model === undefined ? {} : { model })
      await client.ended
      expect(client.status).toBe(200)
      const events = eventsOf(client.text())
      expect(events).not.toContain('[DONE]')
      expect(contentOf(client.text())).toMatch(/^Hello there/)
      const last = JSON.parse(events.at(-1) ?? '') as { error: Record<string, unknown> }
      expect(last).toEqual({
        error: { message: expect.any(String), type: expect.any(String), param: null, code },
      })
      expect(events.filter((data) => data.includes('"error":{'))).toHaveLength(1)
      for (const secret of [UPSTREAM_KEY, String(bad.port), '10.0.0.7', '127.0.0.1'])
        expect(client.text()).not.toContain(secret)
      expect(good.requests).toHaveLength(0)
      if (saying !== undefined) expect(lastFailure()).toMatch(saying)
      const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
      expect(detail).toMatchObject({ status: 200, outcome: 'failed', error: code })
      expect(detail.attempts.map((row) => row.outcome)).toEqual([outcome])
      expect(detail.attempts[0]?.usage['source']).toBe('estimated')
      expect(Number(detail.attempts[0]?.usage['output_tokens'])).toBeGreaterThan(0)
      expect(Number(detail.cost)).toBeGreaterThan(0)
    },
  )

  test('is cut is an exception for the official SDK, not a short answer', async () => {
    bad.script({ steps: CONTENT, ending: 'fin' })
    const client = new OpenAI({ apiKey: KEY, baseURL: `${gateway.url}/v1`, maxRetries: 0 })
    const stream = await client.chat.completions.create({
      model: 'm',
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
    })
    let text = ''
    const reading = (async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    })()
    await expect(reading).rejects.toMatchObject({ code: 'upstream_truncated' })
    expect(text).toBe('Hello there')
  })

  test('breaks after its finish reason is whole', async () => {
    for (const ending of ['fin', 'reset', 'hang'] as const) {
      bad.script({ steps: [...CONTENT, FINISH_EVENT, 100], ending })
      const client = await gateway.chatStream()
      await client.ended
      expect(client.text(), ending).toBe([...CONTENT, FINISH_EVENT, DONE].join(''))
      const detail = await gateway.detail(client.headers['x-request-id'] ?? '')
      expect(detail.outcome).toBe('success')
    }
  })

  test('is slow but steady is not cut by the idle deadline', async () => {
    bad.script({
      steps: [
        ROLE_EVENT,
        ...Array.from({ length: 16 }, () => [contentEvent('.'), 100]).flat(),
        FINISH_EVENT,
        DONE,
      ],
    })
    const client = await gateway.chatStream()
    await client.ended
    expect(contentOf(client.text())).toBe('.'.repeat(16))
    expect(client.text().endsWith(DONE)).toBe(true)
  })

  test('sends events that are no JSON objects loses them, and they are counted', async () => {
    const before = droppedEvents(await gateway.metrics())
    bad.script({
      steps: [
        ROLE_EVENT,
        'data: hello\n\n',
        contentEvent('Hi'),
        'data: [1]\n\n',
        'data: "x"\n\n',
        FINISH_EVENT,
        DONE,
      ],
    })
    const client = await gateway.chatStream()
    await client.ended
    expect(client.text()).toBe(streamEvents(['Hi'], null).join(''))
    expect(droppedEvents(await gateway.metrics()) - before).toBe(3)
  })

  test('fails is aborted, so that it works for nobody no longer', async () => {
    bad.script({ steps: CONTENT, ending: 'hang' })
    const client = await gateway.chatStream()
    await client.ended
    await bad.requests.at(-1)?.whenAborted
  })
})

function droppedEvents(text: string): number {
  return Number(/^sluice_stream_events_dropped_total (\d+)/m.exec(text)?.[1])
}
