// File parts of chat messages against simulated vendors: the request goes to a target that takes them, or says why not.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Simulator, startSimulator } from '#simulator/simulate.ts'
import { answer } from '../support/chat-bytes.ts'
import { KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, openAiCompatible, priceOf } from '../support/gateway-config.ts'
import type { ClientAnswer } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const QUICK = { ttftMs: 1, ttftMsPer1kInput: 0, tokensPerSecond: 100_000, answerTokens: 5 } as const
const MODELS = {
  doubao: ['doubao-seed-1-6-flash-250828'],
  qwen: ['qwen-plus'],
  openai: ['gpt-4.1-mini', 'gpt-3.5-turbo'],
} as const
const STRICT_KEY = 'sk-strict-0123456789'

let simulators: Simulator[] = []
let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream()
  const entries = Object.entries(MODELS)
  simulators = await Promise.all(
    entries.map(([dialect, models]) =>
      startSimulator({
        dialect: dialect as keyof typeof MODELS,
        models: Object.fromEntries(models.map((model) => [model, { ...QUICK, vision: true }])),
      }),
    ),
  )
  const entry = (use: string, index: number) => ({
    use,
    base_url: simulators[index]?.baseUrl,
    api_key: 'sk-simulated-0123456789',
    allow_private: true,
  })
  const providers = {
    ...Object.fromEntries(entries.map(([use], index) => [use, entry(use, index)])),
    unknown: entry('openai-compatible', 2),
    raw: openAiCompatible(upstream.baseUrl),
  }
  gateway = await startLocalGateway({
    config: configOf({
      providers,
      prices: Object.fromEntries(Object.keys(providers).map((name) => [`${name}/*`, priceOf('2', '8')])),
      targets: [
        'doubao/doubao-seed-1-6-flash-250828',
        { target: 'qwen/qwen-plus', priority: 1 },
        { target: 'openai/gpt-4.1-mini', priority: 2 },
      ],
      models: {
        told: {
          policy: 'p',
          targets: [
            { target: 'openai/gpt-4.1-mini', capabilities: ['tools', 'vision'] },
            { target: 'doubao/doubao-seed-1-6-flash-250828', priority: 1, capabilities: ['file_input'] },
          ],
        },
        unable: { policy: 'p', targets: ['doubao/doubao-seed-1-6-flash-250828', 'qwen/qwen-plus'] },
      },
      over: {
        keys: [
          { name: 'tester', key: KEY },
          { name: 'strict', key: STRICT_KEY, max_budget: '100', budget_mode: 'strict' },
        ],
      },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
  await Promise.all(simulators.map((simulator) => simulator.close()))
})

const INLINE = { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0xLjcK' }
const asking = (...files: object[]) => [
  { role: 'system', content: 'Be brief.' },
  {
    role: 'user',
    content: [{ type: 'text', text: 'What is in it?' }, ...files.map((file) => ({ type: 'file', file }))],
  },
]

const bodies = (): string[] => simulators.flatMap(({ requests }) => requests.map(({ body }) => body))

function expectRefused(got: ClientAnswer): void {
  expect(got.status).toBe(400)
  expect(got.error).toMatchObject({
    type: 'invalid_request_error',
    code: 'unsupported_parameter',
    param: 'messages[1].content',
  })
}

describe.each([
  ['in the request', INLINE],
  ['by its id', { file_id: 'file-6F2ksmvXxt4VdoqmHRw6kL' }],
])('a file %s', (_where, file) => {
  test('goes to the target that takes files, as it is', async () => {
    const got = await gateway.chat({ messages: asking(file) })
    expect([got.status, got.headers['x-sluice-target']]).toEqual([200, 'openai/gpt-4.1-mini'])
    expect(JSON.parse(bodies().at(-1) ?? '')).toMatchObject({ messages: asking(file) })
    const { decision } = await gateway.detail(got.headers['x-request-id'] ?? '')
    expect(decision.excluded.map(({ target, detail }) => [target, detail])).toEqual([
      ['doubao/doubao-seed-1-6-flash-250828', expect.stringContaining('file_input')],
      ['qwen/qwen-plus', expect.stringContaining('file_input')],
    ])
  })

  test.each([true, false])(
    'that no target takes is a 400 that says where it stands (stream: %s)',
    async (stream) => {
      const before = bodies().length
      expectRefused(await gateway.chat({ model: 'unable', stream, messages: asking(file) }))
      expectRefused(await gateway.chat({ model: 'openai/gpt-3.5-turbo', stream, messages: asking(file) }))
      expect(bodies()).toHaveLength(before)
    },
  )

  test('is assumed to be taken where nothing is known', async () => {
    const got = await gateway.chat({ model: 'unknown/gpt-4.1-mini', messages: asking(file) })
    expect(got.status).toBe(200)
  })

  test('goes by the `capabilities` of a target, which are final', async () => {
    const got = await gateway.chat({ model: 'told', messages: asking(file) })
    expect([got.status, got.headers['x-sluice-target']]).toEqual([200, 'doubao/doubao-seed-1-6-flash-250828'])
  })

  test('passes no strict budget, as nothing bounds its tokens', async () => {
    const got = await gateway.chat({ messages: asking(file) }, { key: STRICT_KEY })
    expect([got.status, got.error.code]).toEqual([503, 'no_target'])
    expect(got.error.message).toContain('nothing bounds the tokens of a clip or file')
  })
})

test('a request without one goes where it went', async () => {
  const got = await gateway.chat({ messages: asking() })
  expect(got.headers['x-sluice-target']).toBe('doubao/doubao-seed-1-6-flash-250828')
})

test.each([
  ['file', { type: 'file', file: { file_data: `data:application/pdf;base64,${'A'.repeat(100_000)}` } }],
  ['clip', { type: 'input_audio', input_audio: { data: 'A'.repeat(100_000), format: 'mp3' } }],
])('the bytes of a %s teach nothing of how many tokens a text has', async (_what, part) => {
  upstream.script(answer('read', { prompt_tokens: 20, completion_tokens: 5 }))
  const messages = [{ role: 'user', content: [part] }]
  for (let index = 0; index < 10; index++) await gateway.chat({ model: 'raw/x', messages })
  upstream.script(answer('read', null))
  const words = 'word '.repeat(400)
  const got = await gateway.chat({ model: 'raw/x', messages: [{ role: 'user', content: words }] })
  const [row] = (await gateway.detail(got.headers['x-request-id'] ?? '')).attempts
  expect(row?.usage['source']).toBe('estimated')
  expect(Number(row?.usage['input_tokens'])).toBeGreaterThan(400)
})
