// Legacy completions at the servers that have an endpoint for them: bytes pass, each prompt has its choices, and what was
// used is booked.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, KEY } from '../support/gateway.ts'
import { ask, type ClientAnswer, eventsOf } from '../support/http-client.ts'
import { SPOKEN, type SpokenGateway, startSpokenGateway } from '../support/spoken-gateway.ts'

const OWN = SPOKEN.filter(({ use }) => ['vllm', 'ollama', 'tgi', 'llamacpp'].includes(use))

interface Choice {
  readonly index: number
  readonly text: string
  readonly finish_reason: string | null
}

let spokenGateway: SpokenGateway

beforeAll(async () => {
  spokenGateway = await startSpokenGateway()
})

afterAll(() => spokenGateway.close())

describe.each(OWN)('$name', (spoken) => {
  const complete = (body: object): Promise<ClientAnswer> =>
    ask(`${spokenGateway.gateway.url}/v1/completions`, {
      key: KEY,
      body: { model: spoken.name, prompt: 'Once upon a time', max_tokens: 60, ...body },
    })

  const asked = () => spokenGateway.simulatorOf(spoken).requests.findLast(({ model }) => model !== '')

  async function expectBilled(answer: ClientAnswer): Promise<void> {
    await eventually(() => asked()?.endedAtMs !== null, 'the simulator has booked the request')
    expect(asked()?.path).toBe('/v1/completions')
    const detail = await spokenGateway.gateway.detail(answer.headers['x-request-id'] ?? '')
    expect(detail.attempts[0]?.usage).toMatchObject({
      input_tokens: asked()?.billed?.inputTokens,
      output_tokens: asked()?.billed?.outputTokens,
      source: 'provider',
    })
  }

  test('continues a prompt', async () => {
    const answer = await complete({})
    expect(answer.status, answer.text).toBe(200)
    expect(answer.json).toMatchObject({ object: 'text_completion' })
    const choices = answer.json['choices'] as Choice[]
    expect(choices).toMatchObject([{ index: 0, finish_reason: 'stop' }])
    expect(choices[0]?.text).toContain('Once upon a time')
    await expectBilled(answer)
  })

  test('streams the same text, with usage where it is asked for', async () => {
    const whole = (await complete({})).json['choices'] as Choice[]
    const answer = await complete({ stream: true, stream_options: { include_usage: true } })
    const events = eventsOf(answer.text)
    expect(events.at(-1)).toBe('[DONE]')
    const chunks = events.slice(0, -1).map((data) => JSON.parse(data) as Record<string, unknown>)
    const choices = chunks.flatMap((chunk) => chunk['choices'] as Choice[])
    expect(choices.map(({ text }) => text).join('')).toBe(whole[0]?.text)
    expect(choices.at(-1)?.finish_reason).toBe('stop')
    expect(chunks.filter((chunk) => (chunk['usage'] ?? null) !== null)).toHaveLength(1)
    await expectBilled(answer)
  })

  test('gives each prompt of a list its own choice, or says that it cannot', async () => {
    const answer = await complete({ prompt: ['Once upon a time', 'The sea is'] })
    if (spoken.use === 'ollama') {
      expect([answer.status, answer.error.code]).toEqual([400, 'invalid_request'])
      return
    }
    expect(answer.status, answer.text).toBe(200)
    const choices = answer.json['choices'] as Choice[]
    expect(choices.map(({ index }) => index)).toEqual([0, 1])
    expect(choices[0]?.text).toContain('Once upon a time')
    expect(choices[1]?.text).toContain('The sea is')
    await expectBilled(answer)
  })
})

test('vllm: `n` choices of each prompt stand together, in a stream too', async () => {
  const body = { model: 'vllm', prompt: ['Once upon', 'The sea is'], n: 2, max_tokens: 60, stream: true }
  const answer = await ask(`${spokenGateway.gateway.url}/v1/completions`, { key: KEY, body })
  const texts = new Map<number, string>()
  for (const data of eventsOf(answer.text).slice(0, -1)) {
    const { choices } = JSON.parse(data) as { choices: Choice[] }
    for (const { index, text } of choices) texts.set(index, (texts.get(index) ?? '') + text)
  }
  expect([...texts.keys()].toSorted()).toEqual([0, 1, 2, 3])
  expect(texts.get(1)).toContain('Once upon')
  expect(texts.get(2)).toContain('The sea is')
})
