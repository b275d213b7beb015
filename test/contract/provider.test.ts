// Walks every folder of providers/: the required cases are there, and each is replayed under every chunking with
// the same events, usage and cost. Adding a folder adds its tests.

import { describe, expect, test } from 'vitest'
import { formatNano } from '#core/money.ts'
import { readClientAnswer } from '../support/chat-answer.ts'
import { CHUNKINGS } from '../support/chunkings.ts'
import {
  type Fixture,
  liveOf,
  providerNames,
  type Replayed,
  readFixtures,
  readProvider,
  replay,
} from '../support/replay.ts'

const REQUIRED = [
  'text',
  'stream-text',
  'tool-call',
  'stream-tool-call',
  'stream-usage',
  'cached-input',
  'stream-reasoning',
  'error-auth',
  'error-rate-limit',
  'error-overloaded',
  'error-context-length',
  'error-moderation',
  'error-quota',
  'error-invalid-request',
  'stream-cut',
]

describe.each(providerNames())('%s', async (name) => {
  const { provider, entries } = await readProvider(name)
  const { fixtures, notApplicable } = readFixtures(name)

  test('says who it is and where its facts come from', () => {
    expect(provider.id).toBe(name)
    expect(provider.source).toMatch(/\S/)
    expect(provider.title).toMatch(/\S/)
  })

  test('has every required case, or says why it cannot exist', () => {
    const missing = REQUIRED.filter((required) => !fixtures.some((fixture) => fixture.name === required))
    expect(missing.filter((required) => (notApplicable[required] ?? '') === '')).toEqual([])
  })

  describe.each(fixtures.map((fixture) => ({ fixture, title: fixture.name })))('$title', ({ fixture }) => {
    const { live, facts } = liveOf(provider, entries, fixture.case)

    test('quotes its source', () => {
      expect(['documented', 'made', 'recorded']).toContain(fixture.case.kind)
      expect(fixture.case.source).toMatch(/\S/)
    })

    test('asks the upstream as it should', async () => {
      const { text } = await replay(live, facts, fixture, [fixture.answer])
      const { expects } = fixture.case
      if (expects.path !== undefined) expect(text.url.pathname).toBe(expects.path)
      if (expects.dropped !== undefined) expect(text.dropped.toSorted()).toEqual(expects.dropped.toSorted())
      const sent = typeof text.body === 'string' ? text.body : new TextDecoder().decode(text.body)
      const parsed = JSON.parse(sent) as Record<string, unknown>
      if (expects.upstream_request !== undefined) expect(parsed).toEqual(expects.upstream_request)
      for (const own of ['models', 'provider']) expect(parsed).not.toHaveProperty(own)
    })

    test.each(CHUNKINGS)('answers the same when it comes $name', async ({ cut }) => {
      const whole = await replay(live, facts, fixture, [fixture.answer])
      const replayed = await replay(live, facts, fixture, cut(fixture.answer))
      expect(replayed.client).toBe(whole.client)
      checkAnswer(fixture, replayed)
    })
  })
})

function checkAnswer(fixture: Fixture, { end, metered, client }: Replayed): void {
  const { expects, stream } = fixture.case
  if (expects.failure === undefined) expect(end.failure).toBeNull()
  else expect(end.failure?.kind).toBe(expects.failure)
  if (expects.vendor_code !== undefined) expect(end.failure?.vendorCode).toBe(expects.vendor_code)
  if (expects.response_model !== undefined) expect(end.state.responseModel).toBe(expects.response_model)
  checkUsage(fixture, metered)
  if (expects.failure !== undefined && !end.committed) {
    expect(client).toBe('')
    return
  }
  const answer = readClientAnswer(client, stream)
  if (expects.text !== undefined) expect(answer.text).toBe(expects.text)
  if (expects.reasoning !== undefined) expect(answer.reasoning).toBe(expects.reasoning)
  if (expects.finish_reason !== undefined) expect(answer.finish).toBe(expects.finish_reason)
  if (expects.tool_calls !== undefined) {
    expect(answer.calls.map(({ name, arguments: text }) => ({ name, arguments: text }))).toEqual(
      expects.tool_calls.map(({ name, arguments: text }) => ({ name, arguments: text })),
    )
    for (const [index, { id }] of expects.tool_calls.entries())
      if (id !== undefined) expect(answer.calls[index]?.id).toBe(id)
  }
  const options = fixture.case.request['stream_options'] as { include_usage?: boolean } | undefined
  if (stream && options?.include_usage !== true) expect(answer.usageChunks).toBe(0)
  expect(client).not.toContain('[DONE]')
}

function checkUsage(fixture: Fixture, { usage, cost, source }: Replayed['metered']): void {
  const { expects } = fixture.case
  if (expects.usage !== undefined) {
    expect({
      input_tokens: usage.inputTokens,
      cached_input_tokens: usage.cachedInputTokens,
      output_tokens: usage.outputTokens,
      reasoning_tokens: usage.reasoningTokens,
    }).toEqual({ cached_input_tokens: 0, reasoning_tokens: 0, ...expects.usage })
    expect(source).toBe(expects.usage_source ?? 'provider')
  }
  if (expects.cost !== undefined)
    expect(cost === null ? null : formatNano(cost.nativeNano)).toBe(expects.cost)
}
