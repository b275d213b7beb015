// Every dialect behind one gateway: a simulator for each, and a model of the gateway by the same name.

import type { SimulatorConfig } from '#simulator/config.ts'
import { type Simulator, startSimulator } from '#simulator/simulate.ts'
import { eventually, type LocalGateway, startLocalGateway } from './gateway.ts'
import { configOf, priceOf } from './gateway-config.ts'

export const QUICK = { ttftMs: 5, ttftMsPer1kInput: 0, tokensPerSecond: 2_000, answerTokens: 30 } as const

export interface Spoken {
  readonly name: string
  readonly use: string
  readonly dialect: SimulatorConfig['dialect']
  readonly model: string
  /** Below the server's own address; absent: where the dialect lives. */
  readonly path?: string
  readonly key?: string
  /** Refusals that this vendor does not have, or says in the words of another one. */
  readonly without?: readonly string[]
}

const PAIR = 'client-id-0123456789:client-secret-0123456789'

export const SPOKEN: readonly Spoken[] = [
  { name: 'doubao', use: 'doubao', dialect: 'doubao', model: 'doubao-seed-1-6-flash-250828' },
  { name: 'qwen', use: 'qwen', dialect: 'qwen', model: 'qwen-plus' },
  { name: 'qwen-native', use: 'qwen', dialect: 'qwen', model: 'qwen-plus', path: '/api/v1' },
  // A full cluster is a 429 of its own: cluster_rate_limit_exceeded.
  { name: 'ernie', use: 'ernie', dialect: 'ernie', model: 'ernie-4.5-turbo-128k', without: ['overloaded'] },
  { name: 'ernie-v1', use: 'ernie', dialect: 'ernie', model: 'ernie-4.0-8k', path: '', key: PAIR },
  { name: 'deepseek', use: 'deepseek', dialect: 'deepseek', model: 'deepseek-v4-flash' },
  { name: 'openai', use: 'openai', dialect: 'openai', model: 'gpt-4.1-mini' },
  { name: 'compatible', use: 'openai-compatible', dialect: 'openai', model: 'any-model' },
  // Servers of one's own know no accounts, and most no filters.
  { name: 'vllm', use: 'vllm', dialect: 'vllm', model: 'qwen3-8b', without: ['quota'] },
  { name: 'ollama', use: 'ollama', dialect: 'ollama', model: 'qwen3:8b', without: ['moderation'] },
  {
    name: 'tgi',
    use: 'tgi',
    dialect: 'tgi',
    model: 'tgi',
    without: ['rate_limit', 'quota', 'moderation', 'model_unavailable'],
  },
  {
    name: 'llamacpp',
    use: 'llamacpp',
    dialect: 'llamacpp',
    model: 'local',
    without: ['rate_limit', 'quota', 'moderation'],
  },
]

export interface SpokenGateway {
  readonly gateway: LocalGateway
  readonly simulatorOf: (spoken: Spoken) => Simulator
  /** Takes all faults away and waits out what an earlier refusal has closed. */
  recover(spoken: Spoken): Promise<void>
  close(): Promise<void>
}

export async function startSpokenGateway(): Promise<SpokenGateway> {
  const simulators = new Map<string, Simulator>()
  const providers: Record<string, Record<string, unknown>> = {}
  for (const { name, use, dialect, model, path, key } of SPOKEN) {
    const simulator = await startSimulator({ dialect, models: { [model]: QUICK } })
    simulators.set(name, simulator)
    providers[name] = {
      use,
      base_url: path === undefined ? simulator.baseUrl : simulator.url + path,
      api_key: key ?? 'sk-simulated-0123456789',
      allow_private: true,
    }
  }
  const policy = {
    sort: 'priority',
    retry: { attempts: 1 },
    timeouts: { ttft_ms: 5_000, idle_ms: 1_200, total_ms: 10_000 },
    outlier_detection: { consecutive_5xx: 1_000_000, base_ejection_ms: 1, max_ejection_ms: 1 },
  }
  const gateway = await startLocalGateway({
    config: configOf({
      providers,
      prices: Object.fromEntries(SPOKEN.map(({ name }) => [`${name}/*`, priceOf('2', '8')])),
      targets: ['doubao/doubao-seed-1-6-flash-250828'],
      models: Object.fromEntries(
        SPOKEN.map(({ name, model }) => [name, { policy: 'p', targets: [`${name}/${model}`] }]),
      ),
      over: { policies: { p: policy } },
    }),
  })
  const simulatorOf = (spoken: Spoken): Simulator => {
    const simulator = simulators.get(spoken.name)
    if (simulator === undefined) throw new Error(`no simulator ${spoken.name}`)
    return simulator
  }
  return {
    gateway,
    simulatorOf,
    async recover(spoken) {
      await simulatorOf(spoken).configure({ faults: [], models: { [spoken.model]: QUICK } })
      const isOpen = async (): Promise<boolean> => (await gateway.chat({ model: spoken.name })).status === 200
      await eventually(isOpen, 'the target is open again')
    },
    async close() {
      await gateway.close()
      for (const simulator of simulators.values()) await simulator.close()
    },
  }
}
