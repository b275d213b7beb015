// Strict budgets in the vendors' own dialects, thinking included: whoever keeps the bound that is sent, overspends
// nothing.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Simulator, startSimulator } from '#simulator/simulate.ts'
import { eventually, KEY, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'

const BUDGET = 0.02
const LONG = { ttftMs: 1, ttftMsPer1kInput: 0, tokensPerSecond: 100_000, answerTokens: 3_000 } as const

const DIALECTS = [
  {
    use: 'doubao',
    dialect: 'doubao',
    model: 'doubao-seed-1-6-flash-250828',
    says: { thinking: { type: 'enabled' } },
  },
  { use: 'qwen', dialect: 'qwen', model: 'qwen-plus', says: { enable_thinking: true } },
  { use: 'ernie', dialect: 'ernie', model: 'ernie-4.5-turbo-128k', says: {} },
  { use: 'openai', dialect: 'openai', model: 'gpt-4.1-mini', says: {} },
  {
    use: 'vllm',
    dialect: 'vllm',
    model: 'qwen3-8b',
    says: { chat_template_kwargs: { enable_thinking: true } },
  },
] as const

let simulators: Simulator[] = []
let gateway: LocalGateway

beforeEach(async () => {
  simulators = await Promise.all(
    DIALECTS.map(({ dialect, model }) => startSimulator({ dialect, models: { [model]: LONG } })),
  )
  const providers = Object.fromEntries(
    DIALECTS.map(({ use }, index) => [
      use,
      {
        use,
        base_url: simulators[index]?.baseUrl ?? '',
        api_key: 'sk-simulated-0123456789',
        allow_private: true,
      },
    ]),
  )
  gateway = await startLocalGateway({
    config: configOf({
      providers,
      prices: Object.fromEntries(DIALECTS.map(({ use }) => [`${use}/*`, priceOf('2', '8')])),
      targets: ['openai/gpt-4.1-mini'],
      over: {
        keys: [
          { name: 'tester', key: KEY },
          ...DIALECTS.map(({ use }) => ({
            name: use,
            key: keyOf(use),
            max_budget: String(BUDGET),
            budget_mode: 'strict',
          })),
        ],
      },
    }),
  })
})

afterEach(async () => {
  await gateway.close()
  for (const simulator of simulators) await simulator.close()
})

const keyOf = (use: string): string => `sk-strict-${use}-0123456789`

test.each(DIALECTS)('$use keeps its bound', async ({ use, model, says }) => {
  const ask = (stream: boolean) => {
    const body = { model: `${use}/${model}`, max_tokens: 400, ...says }
    return stream
      ? gateway.chatStream(body, { key: keyOf(use) }).then(async (got) => {
          await got.ended
          return got.status
        })
      : gateway.chat(body, { key: keyOf(use) }).then((got) => got.status)
  }
  const statuses: number[] = []
  // Requests side by side hold money that comes back; only one that is alone says that there is none.
  for (let round = 0; round < 40; round++) {
    statuses.push(...(await Promise.all([ask(true), ask(false), ask(false)])))
    const alone = await ask(false)
    statuses.push(alone)
    if (alone === 402) break
  }
  expect(statuses.at(-1)).toBe(402)
  expect(new Set(statuses)).toEqual(new Set([200, 402]))
  const spent = async (): Promise<number> => {
    const usage = (await gateway.admin('/usage?group_by=key')) as { data: { key: string; cost: string }[] }
    return Number(usage.data.find((row) => row.key === use)?.cost ?? 0)
  }
  await eventually(async () => (await spent()) > BUDGET / 2, 'the ledger has most of the budget')
  expect(await spent()).toBeLessThanOrEqual(BUDGET)
})
