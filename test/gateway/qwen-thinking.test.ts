// DashScope's rules on thinking, as its simulator holds them: what a model cannot do while it thinks.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Simulator, startSimulator } from '#simulator/simulate.ts'
import { readClientAnswer } from '../support/chat-answer.ts'
import { type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { QUICK } from '../support/spoken-gateway.ts'

let simulator: Simulator
let gateway: LocalGateway

beforeAll(async () => {
  simulator = await startSimulator({
    dialect: 'qwen',
    models: {
      'qwen3-8b': { ...QUICK, thinking: 'on', open: true },
      'qwen-plus': { ...QUICK, thinking: 'off' },
    },
  })
  const provider = { use: 'qwen', api_key: 'sk-simulated-0123456789', allow_private: true, region: 'cn' }
  gateway = await startLocalGateway({
    config: configOf({
      providers: {
        compatible: { ...provider, base_url: simulator.baseUrl },
        native: { ...provider, base_url: `${simulator.url}/api/v1` },
      },
      targets: ['compatible/qwen3-8b', 'compatible/qwen-plus'],
      prices: {},
      policy: { retry: { attempts: 1 } },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await simulator.close()
})

const JSON_MODE = { type: 'json_object' }
const JSON_MESSAGES = [{ role: 'user', content: 'Answer in JSON: why is the sky blue?' }]
const lastBody = () =>
  JSON.parse(simulator.requests.findLast(({ model }) => model !== '')?.body ?? '{}') as Record<
    string,
    unknown
  >

describe.each(['compatible', 'native'])('an open hybrid in the %s dialect', (provider) => {
  const model = `${provider}/qwen3-8b`

  test.each([{ reasoning_effort: 'high' }, { enable_thinking: true }])(
    'thinks in an unstreamed call that asks for it: %o',
    async (asked) => {
      const answer = await gateway.chat({ model, ...asked })
      expect(answer.status, answer.text).toBe(200)
      const { text, reasoning } = readClientAnswer(answer.text, false)
      expect(reasoning.length).toBeGreaterThan(10)
      expect(text.length).toBeGreaterThan(10)
      const detail = await gateway.detail(answer.headers['x-request-id'] ?? '')
      // Its thinking output has a price of its own.
      expect(detail.attempts[0]?.cost?.lines).toContainEqual(
        expect.objectContaining({ item: 'output', price: '5' }),
      )
    },
  )

  test('does not think in one that says nothing of it, and is billed so', async () => {
    const answer = await gateway.chat({ model })
    expect(answer.status, answer.text).toBe(200)
    expect(readClientAnswer(answer.text, false).reasoning).toBe('')
    const detail = await gateway.detail(answer.headers['x-request-id'] ?? '')
    expect(detail.attempts[0]?.cost?.lines).toContainEqual(
      expect.objectContaining({ item: 'output', price: '2' }),
    )
  })

  test.each([true, false])('writes JSON, for which it stops thinking (stream: %s)', async (stream) => {
    const answer = await gateway.chat({
      model,
      stream,
      messages: JSON_MESSAGES,
      response_format: JSON_MODE,
    })
    expect(answer.status, answer.text).toBe(200)
    const { text, reasoning } = readClientAnswer(answer.text.replace('data: [DONE]\n\n', ''), stream)
    expect(reasoning).toBe('')
    expect(JSON.parse(text)).toHaveProperty('answer')
  })

  test('refuses JSON from a client that asks for thinking', async () => {
    const seen = simulator.requests.length
    const answer = await gateway.chat({
      model,
      messages: JSON_MESSAGES,
      response_format: JSON_MODE,
      enable_thinking: true,
    })
    expect(answer.status).toBe(400)
    expect(answer.error).toMatchObject({ code: 'unsupported_parameter', param: 'response_format' })
    expect(simulator.requests.length).toBe(seen)
  })
})

test('a commercial hybrid is asked for JSON as it is, and not while it thinks', async () => {
  const body = { model: 'compatible/qwen-plus', messages: JSON_MESSAGES, response_format: JSON_MODE }
  expect((await gateway.chat(body)).status).toBe(200)
  expect(lastBody()).not.toHaveProperty('enable_thinking')
  const thinking = await gateway.chat({ ...body, reasoning_effort: 'low' })
  expect(thinking.error).toMatchObject({ code: 'unsupported_parameter', param: 'response_format' })
})
