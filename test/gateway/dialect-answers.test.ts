// Every dialect behind the gateway, spoken by the simulators, which share no code with the adapters: answers look
// the same to the client and are billed to the token, whichever vendor is behind.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readClientAnswer } from '../support/chat-answer.ts'
import { eventually } from '../support/gateway.ts'
import { eventsOf } from '../support/http-client.ts'
import { QUICK, SPOKEN, type SpokenGateway, startSpokenGateway } from '../support/spoken-gateway.ts'

let spokenGateway: SpokenGateway

beforeAll(async () => {
  spokenGateway = await startSpokenGateway()
})

afterAll(() => spokenGateway.close())

const ASK = { messages: [{ role: 'user', content: 'Why is the sky blue?' }] }
const WITH_USAGE = { ...ASK, stream: true, stream_options: { include_usage: true } }
const TOOLS = {
  ...ASK,
  messages: [{ role: 'user', content: 'What is the weather in Paris? Use the tool.' }],
  tools: [
    {
      type: 'function',
      function: {
        name: 'get_weather',
        description: 'The weather of a city',
        parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    },
  ],
}

describe.each(SPOKEN)('$name', (spoken) => {
  const { name } = spoken
  const gatewayOf = () => spokenGateway.gateway
  const simulator = () => spokenGateway.simulatorOf(spoken)

  const billed = async () => {
    const last = () => simulator().requests.findLast((request) => request.model !== '')
    await eventually(() => last()?.endedAtMs !== null, 'the simulator has booked the request')
    return last()?.billed
  }

  async function expectBilled(id: string | undefined): Promise<void> {
    const usage = await billed()
    const detail = await gatewayOf().detail(id ?? '')
    expect(detail.attempts[0]?.usage).toMatchObject({
      input_tokens: usage?.inputTokens,
      cached_input_tokens: usage?.cachedTokens,
      output_tokens: usage?.outputTokens,
      reasoning_tokens: usage?.reasoningTokens,
      source: 'provider',
    })
    const amount = (2 * (usage?.inputTokens ?? 0) + 8 * (usage?.outputTokens ?? 0)) / 1e6
    expect(Number(detail.cost)).toBeCloseTo(amount, 9)
  }

  test('answers unstreamed, and is billed what the vendor counted', async () => {
    const got = await gatewayOf().chat({ model: name, ...ASK })
    expect(got.status, got.text).toBe(200)
    expect(got.json).toMatchObject({
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant' } }],
    })
    const answer = readClientAnswer(got.text, false)
    expect(answer.text.length).toBeGreaterThan(20)
    expect(answer.finish).toBe('stop')
    await expectBilled(got.headers['x-request-id'])
  })

  test('streams, ends once, and is billed what the vendor counted', async () => {
    const got = await gatewayOf().chat({ model: name, ...WITH_USAGE })
    expect(got.status, got.text).toBe(200)
    const answer = readClientAnswer(got.text, true)
    expect(answer.text.length).toBeGreaterThan(20)
    expect(answer.finish).toBe('stop')
    const events = eventsOf(got.text.replaceAll('\r\n', '\n'))
    expect(events.filter((data) => data === '[DONE]')).toHaveLength(1)
    const usage = await billed()
    const last = JSON.parse(events.at(-2) ?? '') as { usage: Record<string, unknown> }
    expect(last.usage).toMatchObject({
      prompt_tokens: usage?.inputTokens,
      completion_tokens: usage?.outputTokens,
      cost: expect.stringMatching(/^0\.\d+$/),
    })
    await expectBilled(got.headers['x-request-id'])
  })

  test('is billed the same when the client asked for no usage, and the client sees none', async () => {
    const got = await gatewayOf().chat({ model: name, ...ASK, stream: true })
    expect(readClientAnswer(got.text, true).usageChunks).toBe(0)
    await expectBilled(got.headers['x-request-id'])
  })

  test('calls tools, streamed and not, with arguments that are JSON', async () => {
    for (const stream of [false, true]) {
      const got = await gatewayOf().chat({ model: name, ...TOOLS, stream })
      if (got.status === 400) {
        expect(got.error).toMatchObject({ code: 'unsupported_parameter', param: 'tools' })
        continue
      }
      const answer = readClientAnswer(got.text, stream)
      expect(answer.calls.map((call) => call.name)).toEqual(['get_weather'])
      expect(answer.calls[0]?.id).not.toBe('')
      expect(JSON.parse(answer.calls[0]?.arguments ?? '')).toHaveProperty('city')
      expect(answer.finish).toBe('tool_calls')
    }
  })

  test('that leaves out its usage is billed by an estimate', async () => {
    await spokenGateway.recover(spoken)
    await simulator().configure({ faults: [{ fault: 'no_usage' }] })
    const got = await gatewayOf().chat({ model: name, ...ASK, stream: true })
    expect(got.status, got.text).toBe(200)
    const detail = await gatewayOf().detail(got.headers['x-request-id'] ?? '')
    expect(detail.attempts[0]?.usage).toMatchObject({ source: 'estimated' })
    expect(Number(detail.cost)).toBeGreaterThan(0)
  })

  test('that leaves out its end mark is complete', async () => {
    await simulator().configure({ faults: [{ fault: 'no_done' }] })
    const got = await gatewayOf().chat({ model: name, ...ASK, stream: true })
    expect(readClientAnswer(got.text, true).finish).toBe('stop')
    expect(got.text.trimEnd().endsWith('data: [DONE]')).toBe(true)
  })

  test('is aborted when its client leaves', async () => {
    await simulator().configure({
      faults: [],
      models: { [spoken.model]: { ...QUICK, tokensPerSecond: 20, answerTokens: 400 } },
    })
    const client = await gatewayOf().chatStream({ model: name, ...ASK })
    await client.until('"content":"')
    client.abort()
    await eventually(() => simulator().requests.at(-1)?.aborted === true, 'the simulator is aborted')
    expect((await gatewayOf().detail(client.headers['x-request-id'] ?? '')).outcome).toBe('cancelled')
    await simulator().configure({ models: { [spoken.model]: QUICK } })
  })
})
