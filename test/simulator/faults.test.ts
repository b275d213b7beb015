// Every way to fail, at the right moment, and what is billed then.

import { expect, test } from 'vitest'
import type { FaultRule } from '#simulator/settings.ts'
import type { Simulator } from '#simulator/simulate.ts'
import { type Answer, ask, call, events, head, open, start, until } from './caller.ts'

const STREAM = ask('数', { stream: true, stream_options: { include_usage: true } })

async function struck(fault: FaultRule, body: unknown = STREAM): Promise<readonly [Answer, Simulator]> {
  const simulator = await start('openai', { answer: '一二三四五六七八' }, { faults: [fault] })
  return [await call(simulator, body), simulator]
}

test('cut: the connection closes within the body, after so many events', async () => {
  const [answer, simulator] = await struck({ fault: 'cut', afterEvents: 2 })
  expect(answer.fault).toBe('ECONNRESET')
  expect(events(answer.text)).toHaveLength(3)
  await until(() => simulator.stats.inFlight === 0)
  expect(simulator.requests[0]).toMatchObject({ fault: 'cut', aborted: false, billed: { outputTokens: 2 } })
})

test('truncate: the body ends properly without a finish reason', async () => {
  const [answer] = await struck({ fault: 'truncate', afterEvents: 2 })
  expect(answer.fault).toBeNull()
  expect(answer.text).not.toMatch(/"finish_reason":"|\[DONE\]/)
})

test('reset: the connection breaks after some events', async () => {
  const [answer] = await struck({ fault: 'reset', afterEvents: 2 })
  expect(answer.fault).toBe('ECONNRESET')
})

test('a fault that was to strike later than the answer is long strikes before its end', async () => {
  const [answer] = await struck({ fault: 'truncate', afterEvents: 1000 })
  expect(events(answer.text)).toHaveLength(9)
  expect(answer.text).not.toMatch(/"finish_reason":"/)
})

test('garbage: one event is no JSON and the stream goes on', async () => {
  const [answer] = await struck({ fault: 'garbage' })
  const bad = answer.text.split('\n\n').filter((event) => {
    const data = event.slice(6)
    return event !== '' && data !== '[DONE]' && !data.endsWith('}')
  })
  expect(bad).toHaveLength(1)
  expect(answer.text).toMatch(/"finish_reason":"stop"[\s\S]*\[DONE\]/)
})

test('error_in_200: the error that is asked for follows some content', async () => {
  const [answer] = await struck({ fault: 'error_in_200', error: 'rate_limit', afterEvents: 1 })
  expect(answer.status).toBe(200)
  expect(events(answer.text).at(-1)).toMatchObject({ error: { code: 'rate_limit_exceeded' } })
  const [whole] = await struck({ fault: 'error_in_200', error: 'quota' }, ask('数'))
  expect([whole.status, JSON.parse(whole.text).error.code]).toEqual([200, 'insufficient_quota'])
})

test('no_done and no_usage: what their names say', async () => {
  const [undone] = await struck({ fault: 'no_done' })
  expect(undone.text).toContain('"completion_tokens":8')
  expect(undone.text).not.toContain('[DONE]')
  const [unbilled] = await struck({ fault: 'no_usage' })
  expect(unbilled.text).not.toContain('"completion_tokens"')
  expect(unbilled.text).toContain('[DONE]')
})

test('malformed: 200 with broken JSON, whole or where a stream was asked for', async () => {
  for (const body of [ask('数'), STREAM]) {
    const [answer] = await struck({ fault: 'malformed' }, body)
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json'])
    expect(() => JSON.parse(answer.text)).toThrow()
  }
})

test('html: the page of a gateway', async () => {
  const [answer] = await struck({ fault: 'html' })
  expect([answer.status, answer.headers['content-type']]).toEqual([502, 'text/html'])
  expect(answer.text).toContain('<html>')
})

test('oversize: an answer of so many bytes', async () => {
  const [answer] = await struck({ fault: 'oversize', bytes: 300_000 })
  expect(answer.text.length).toBeGreaterThan(300_000)
  expect(events(answer.text)).toHaveLength(1)
})

test.each(['hang', 'stall'] as const)('%s: the answer waits until the caller goes away', async (fault) => {
  const simulator = await start('openai', { answer: '一二三四五六' }, { faults: [{ fault }] })
  const request = open(simulator)
  request.on('error', () => undefined)
  if (fault === 'hang') request.end(JSON.stringify(STREAM))
  else (await head(request, STREAM)).on('error', () => undefined).resume()
  await until(() => simulator.requests[0]?.fault === fault)
  request.destroy()
  await until(() => simulator.stats.inFlight === 0)
  expect(simulator.requests[0]).toMatchObject({ fault, aborted: true })
})

test('slow_head: the answer is late and complete', async () => {
  const [answer] = await struck({ fault: 'slow_head', delayMs: 5 })
  expect(answer.text).toContain('[DONE]')
})

test('refuse: the listener is closed, and opens again on the same port', async () => {
  const simulator = await start('openai', {}, { faults: [{ fault: 'refuse' }] })
  await expect(call(simulator, ask('hi'))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await simulator.configure({ faults: [] })
  expect((await call(simulator, ask('hi'))).status).toBe(200)
})

test.each([
  ['the first two', { first: 2 }, [500, 500, 200, 200, 200, 200]],
  ['every third', { every: 3 }, [200, 200, 500, 200, 200, 500]],
  ['none by chance', { probability: 0 }, [200, 200, 200, 200, 200, 200]],
  ['other models', { models: ['other'] }, [200, 200, 200, 200, 200, 200]],
] as const)('a rule strikes %s', async (_name, bounds, statuses) => {
  const simulator = await start('openai', {}, { faults: [{ fault: 'server', ...bounds }] })
  const found: number[] = []
  for (let index = 0; index < 6; index++) found.push((await call(simulator, ask('hi'))).status)
  expect(found).toEqual(statuses)
})

test('chance is seeded: the same seed strikes the same requests', async () => {
  const run = async (seed: number): Promise<readonly number[]> => {
    const simulator = await start('openai', {}, { seed, faults: [{ fault: 'server', probability: 0.5 }] })
    const found: number[] = []
    for (let index = 0; index < 12; index++) found.push((await call(simulator, ask('hi'))).status)
    return found
  }
  const [first, again] = [await run(7), await run(7)]
  expect(again).toEqual(first)
  expect(new Set(first)).toEqual(new Set([200, 500]))
})

test('faults may be set while it runs, for the next requests', async () => {
  const simulator = await start('openai')
  expect((await call(simulator, ask('hi'))).status).toBe(200)
  await simulator.configure({ faults: [{ fault: 'overloaded', next: 1 }] })
  expect((await call(simulator, ask('hi'))).status).toBe(503)
  expect((await call(simulator, ask('hi'))).status).toBe(200)
})
