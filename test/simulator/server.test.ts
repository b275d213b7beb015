// Limits, load, the log and its bills, callers that leave or read slowly.

import { expect, test } from 'vitest'
import { createRandom } from '#simulator/random.ts'
import { SimulatedModel } from '#simulator/simulated-model.ts'
import { ask, call, head, open, start, until } from './caller.ts'

const ENDLESS = { answerTokens: 8_000, outputMax: 100_000 }

test('a caller that leaves a stream is billed what had been generated', async () => {
  const simulator = await start('openai', { ...ENDLESS, tokensPerSecond: 2_000 })
  const request = open(simulator)
  request.on('error', () => undefined)
  const response = await head(request, ask('数', { stream: true }))
  response.on('error', () => undefined)
  let text = ''
  response.setEncoding('utf8')
  await new Promise<void>((resolve) =>
    response.on('data', (chunk: string) => {
      text += chunk
      if (text.split('\n\n').length > 20) resolve()
    }),
  )
  request.destroy()
  await until(() => simulator.stats.inFlight === 0)
  const [logged] = simulator.requests
  expect(logged?.aborted).toBe(true)
  expect(logged?.billed?.inputTokens).toBe(8)
  expect(logged?.billed?.outputTokens).toBeGreaterThanOrEqual(18)
  expect(logged?.billed?.outputTokens).toBeLessThan(8_000)
  expect(simulator.stats).toMatchObject({ aborted: 1, outputTokens: logged?.billed?.outputTokens })
})

test('a caller that leaves before a whole answer is billed the tokens that were due', async () => {
  const simulator = await start('openai', { ...ENDLESS, tokensPerSecond: 2_000 })
  const request = open(simulator)
  request.on('error', () => undefined)
  request.end(JSON.stringify(ask('数')))
  await until(() => (simulator.requests[0]?.firstTokenAtMs ?? null) !== null)
  request.destroy()
  await until(() => simulator.stats.inFlight === 0)
  const [logged] = simulator.requests
  expect(logged).toMatchObject({ aborted: true, billed: { inputTokens: 8 } })
  expect(logged?.billed?.outputTokens).toBeLessThan(8_000)
})

test.each([true, false])(
  'a caller that leaves a vendor which goes on is billed the whole answer (stream: %s)',
  async (stream) => {
    const simulator = await start(
      'openai',
      { answerTokens: 300, tokensPerSecond: 500 },
      { onAbort: 'finish' },
    )
    const request = open(simulator)
    request.on('error', () => undefined)
    request.end(JSON.stringify(ask('数', { stream })))
    await until(() => (simulator.requests[0]?.firstTokenAtMs ?? null) !== null)
    request.destroy()
    await until(() => simulator.stats.inFlight === 0)
    await call(simulator, ask('数', { stream }))
    const [left, stayed] = simulator.requests
    expect(left).toMatchObject({ aborted: true, billed: { inputTokens: 8 } })
    expect(left?.billed).toEqual(stayed?.billed)
  },
)

test('a slow reader holds the stream up, and little is held for it', async () => {
  const simulator = await start('openai', { ...ENDLESS, answerTokens: 60_000 })
  const request = open(simulator)
  request.on('error', () => undefined)
  const response = await head(request, ask('数', { stream: true }))
  response.pause()
  let before = -1
  const generated = (): number => simulator.requests[0]?.billed?.outputTokens ?? 0
  // Many looks without another token: it waits for the reader, not for its own pace.
  let idleTurns = 0
  await until(() => {
    idleTurns = generated() === before && before > 0 ? idleTurns + 1 : 0
    before = generated()
    return idleTurns > 100
  })
  expect(before).toBeLessThan(60_000)
  let hasEnded = false
  response.on('end', () => {
    hasEnded = true
  })
  response.resume()
  await until(() => hasEnded)
  await until(() => simulator.stats.inFlight === 0)
  expect(simulator.requests[0]?.billed?.outputTokens).toBeGreaterThanOrEqual(60_000)
})

test('requests per minute, tokens per minute and requests at once are limited', async () => {
  const rpm = await start('doubao', { limits: { rpm: 2 } })
  const statuses = [1, 2, 3].map(async () => (await call(rpm, ask('hi'))).status)
  expect((await Promise.all(statuses)).sort()).toEqual([200, 200, 429])
  const tpm = await start('doubao', { limits: { tpm: 20 }, answer: '一二三' })
  expect((await call(tpm, ask('你好'))).status).toBe(200)
  const refused = await call(tpm, ask('你好'))
  expect(JSON.parse(refused.text).error.code).toBe('ModelAccountTpmRateLimitExceeded')
  const concurrency = await start('doubao', { limits: { concurrency: 1 }, ttftMs: 100_000 })
  const first = open(concurrency)
  first.on('error', () => undefined)
  first.end(JSON.stringify(ask('hi')))
  await until(() => concurrency.stats.inFlight === 1 && concurrency.requests[0]?.body !== '')
  const second = await call(concurrency, ask('hi'))
  expect(JSON.parse(second.text).error.code).toBe('InflightBatchsizeExceeded')
  first.destroy()
})

test('a limit of the server holds over all its models', async () => {
  const simulator = await start('openai', {}, { limits: { rpm: 1 } })
  await simulator.configure({ models: { other: { ttftMs: 0 } } })
  expect((await call(simulator, ask('hi'))).status).toBe(200)
  expect((await call(simulator, { ...ask('hi'), model: 'other' })).status).toBe(429)
})

test('the first token is later for long prompts and under load, and tokens are slower under load', () => {
  const model = new SimulatedModel('m', {
    ttftMs: 100,
    ttftMsPer1kInput: 50,
    tokensPerSecond: 100,
    jitter: 0,
    parallel: 2,
  })
  const random = createRandom(1)
  expect(model.ttftMs(0, random)).toBe(100)
  expect(model.ttftMs(4_000, random)).toBe(300)
  expect(model.tokenMs(random)).toBe(10)
  model.inFlight = 6
  expect(model.ttftMs(0, random)).toBe(300)
  expect(model.tokenMs(random)).toBe(30)
})

test('jitter stays within its ratio and is the same for the same seed', () => {
  const model = new SimulatedModel('m', { ttftMs: 100, jitter: 0.2 })
  const draw = (): readonly number[] => {
    const random = createRandom(3)
    return Array.from({ length: 50 }, () => model.ttftMs(0, random))
  }
  expect(draw()).toEqual(draw())
  expect(Math.min(...draw())).toBeGreaterThanOrEqual(80)
  expect(Math.max(...draw())).toBeLessThanOrEqual(120)
})

test('the log keeps the last requests only, with what came in', async () => {
  const simulator = await start('openai', {}, { logEntriesMax: 2 })
  for (const text of ['a', 'b', 'c']) await call(simulator, ask(text))
  expect(simulator.requests.map((logged) => logged.sequence)).toEqual([1, 2])
  expect(simulator.requests[1]).toMatchObject({
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { authorization: 'Bearer k' },
    body: JSON.stringify(ask('c')),
    model: 'm',
    status: 200,
    aborted: false,
  })
  expect(simulator.stats.requests).toBe(3)
})

test('a body beyond the bound is refused with 413', async () => {
  const simulator = await start('openai', {}, { bodyBytesMax: 1_000 })
  const { status } = await call(simulator, ask('x'.repeat(2_000)))
  expect(status).toBe(413)
})

test('a wrong key, and none, are refused', async () => {
  const simulator = await start('openai', {}, { keys: ['right'] })
  expect((await call(simulator, ask('hi'), { key: 'wrong' })).status).toBe(401)
  expect((await call(simulator, ask('hi'), { key: null })).status).toBe(401)
  expect((await call(simulator, ask('hi'), { key: 'right' })).status).toBe(200)
})

test('a body that is no JSON is an invalid request', async () => {
  const simulator = await start('openai')
  expect((await call(simulator, '{"model":')).status).toBe(400)
})
