// One gateway in front of a simulated upstream of every dialect, and what each vendor's documents say that its
// model can do. The same tests run over all of them.

import type { FaultRule, ModelConfig, SimulatorConfig } from '#simulator/settings.ts'
import { type Simulator, startSimulator } from '#simulator/simulate.ts'
import { type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'

/** What not every model can do. The last three go wrong at the vendor's, and the gateway does not mend them. */
export type Ability =
  | 'n'
  | 'stop'
  | 'tool_choice'
  | 'parallel_calls'
  | 'json_object'
  | 'json_schema'
  /** `tool_choice: none`. */
  | 'no_tool_choice'
/** A finish reason of its own for calls. */

export interface Target {
  /** The provider's name in the configuration, and of the dialect. */
  readonly name: string
  /** The simulator that stands behind it. */
  readonly dialect:
    | 'doubao'
    | 'qwen'
    | 'ernie'
    | 'deepseek'
    | 'vllm'
    | 'openai'
    | 'ollama'
    | 'tgi'
    | 'llamacpp'
  readonly model: string
  /** One that speaks for a minute, to be left in the middle. */
  readonly slowModel: string
  /** One that sees pictures; null: the dialect has none. */
  readonly visionModel: string | null
  /** What the vendor's model does unless it is told otherwise. */
  readonly thinking: 'on' | 'off' | 'never'
  /** Fields that make it think. */
  readonly thinkingFields: Readonly<Record<string, unknown>>
  readonly cannot: readonly Ability[]
  /** Its simulator has the legacy endpoint that the gateway calls. */
  readonly hasCompletions: boolean
  /** Of the provider's entry in the configuration, given the simulator. */
  readonly provider: (simulator: Simulator) => Readonly<Record<string, unknown>>
}

const withKey = (use: string) => (simulator: Simulator) => ({
  use,
  base_url: simulator.baseUrl,
  api_key: 'sk-upstream-0123456789',
})

const EFFORT = { reasoning_effort: 'high' }

export const TARGETS: readonly Target[] = [
  {
    name: 'doubao',
    dialect: 'doubao',
    model: 'doubao-seed-1-6-flash-250828',
    slowModel: 'doubao-seed-1-6-lite-251015',
    visionModel: 'doubao-seed-1-6-251015',
    thinking: 'on',
    thinkingFields: EFFORT,
    cannot: ['stop'],
    hasCompletions: true,
    provider: withKey('doubao'),
  },
  {
    name: 'qwen',
    dialect: 'qwen',
    model: 'qwen-plus',
    slowModel: 'qwen-max',
    visionModel: 'qwen3-vl-plus',
    thinking: 'off',
    thinkingFields: EFFORT,
    cannot: ['tool_choice'],
    hasCompletions: true,
    provider: withKey('qwen'),
  },
  {
    name: 'qwen-native',
    dialect: 'qwen',
    model: 'qwen-plus',
    slowModel: 'qwen-max',
    visionModel: 'qwen3-vl-plus',
    thinking: 'off',
    thinkingFields: EFFORT,
    cannot: ['tool_choice'],
    hasCompletions: true,
    provider: (simulator) => ({ ...withKey('qwen')(simulator), base_url: `${simulator.url}/api/v1` }),
  },
  {
    name: 'ernie',
    dialect: 'ernie',
    model: 'ernie-4.5-turbo-128k',
    slowModel: 'ernie-4.5-turbo-32k',
    visionModel: 'ernie-4.5-turbo-vl',
    thinking: 'off',
    // The effort alone leaves `enable_thinking` at the vendor's default, which is false.
    thinkingFields: { ...EFFORT, enable_thinking: true },
    cannot: ['n'],
    hasCompletions: true,
    provider: (simulator) => ({
      ...withKey('ernie')(simulator),
      api_key: 'bce-v3/ALTAK-upstream/0123456789',
    }),
  },
  {
    name: 'ernie-v1',
    dialect: 'ernie',
    model: 'ernie-3.5-8k',
    slowModel: 'ernie-4.0-8k',
    visionModel: null,
    thinking: 'never',
    thinkingFields: EFFORT,
    cannot: ['n', 'tool_choice', 'parallel_calls', 'json_schema'],
    hasCompletions: true,
    provider: (simulator) => ({
      use: 'ernie',
      base_url: simulator.url,
      api_key: 'upstream-id:upstream-secret',
    }),
  },
  {
    name: 'deepseek',
    dialect: 'deepseek',
    model: 'deepseek-v4-flash',
    slowModel: 'deepseek-v4-pro',
    visionModel: null,
    thinking: 'on',
    thinkingFields: EFFORT,
    cannot: ['n', 'json_schema'],
    hasCompletions: true,
    provider: withKey('deepseek'),
  },
  {
    name: 'vllm',
    dialect: 'vllm',
    model: 'qwen3-8b',
    slowModel: 'qwen3-32b',
    visionModel: 'qwen2.5-vl-7b-instruct',
    thinking: 'on',
    thinkingFields: EFFORT,
    cannot: [],
    hasCompletions: true,
    provider: withKey('vllm'),
  },
  {
    name: 'openai',
    dialect: 'openai',
    model: 'gpt-4o-mini',
    slowModel: 'gpt-4o',
    visionModel: 'gpt-4.1',
    thinking: 'never',
    thinkingFields: EFFORT,
    cannot: [],
    hasCompletions: true,
    provider: withKey('openai'),
  },
  {
    name: 'anything',
    dialect: 'openai',
    model: 'gpt-4o-mini',
    slowModel: 'gpt-4o',
    visionModel: 'gpt-4.1',
    thinking: 'never',
    thinkingFields: EFFORT,
    cannot: [],
    hasCompletions: true,
    provider: withKey('openai-compatible'),
  },
  {
    name: 'ollama',
    dialect: 'ollama',
    model: 'qwen3:8b',
    slowModel: 'qwen3:32b',
    visionModel: 'gemma3:4b',
    thinking: 'on',
    thinkingFields: EFFORT,
    cannot: ['n', 'tool_choice', 'no_tool_choice'],
    hasCompletions: false,
    provider: withKey('ollama'),
  },
  {
    name: 'tgi',
    dialect: 'tgi',
    model: 'mistral-7b',
    slowModel: 'mistral-24b',
    visionModel: 'idefics-8b',
    thinking: 'never',
    thinkingFields: EFFORT,
    cannot: ['n', 'parallel_calls', 'json_object', 'json_schema'],
    hasCompletions: false,
    provider: withKey('tgi'),
  },
  {
    name: 'llamacpp',
    dialect: 'llamacpp',
    model: 'qwen3-4b',
    slowModel: 'qwen3-14b',
    visionModel: 'gemma-3-4b',
    thinking: 'on',
    thinkingFields: EFFORT,
    cannot: ['n'],
    hasCompletions: false,
    provider: withKey('llamacpp'),
  },
]

export const can = (target: Target, ability: Ability): boolean => !target.cannot.includes(ability)

export const idOf = (target: Target): string => `${target.name}/${target.model}`

export interface Bench {
  readonly gateway: LocalGateway
  readonly url: string
  /** The simulator behind a target. */
  readonly upstream: (target: Target) => Simulator
  close(): Promise<void>
}

const QUICK: ModelConfig = {
  ttftMs: 0,
  ttftMsPer1kInput: 0,
  jitter: 0,
  tokensPerSecond: 1_000_000,
  answerTokens: 40,
  reasoningTokens: 12,
}
/** A minute of text, but quick to begin. */
const SLOW: ModelConfig = { ...QUICK, tokensPerSecond: 20, answerTokens: 1200 }

export interface BenchOptions {
  /** Models beside the others, `MODEL-NAME`, that go wrong in this way. */
  readonly faults?: Readonly<Record<string, Omit<FaultRule, 'models'>>>
  /** Merged over the configuration. */
  readonly config?: Readonly<Record<string, unknown>>
}

export async function startBench(options: BenchOptions = {}): Promise<Bench> {
  const simulators = new Map<Target, Simulator>()
  for (const target of TARGETS)
    simulators.set(target, await startSimulator(simulatorOf(target, options.faults ?? {})))
  const upstream = (target: Target): Simulator => {
    const simulator = simulators.get(target)
    if (simulator === undefined) throw new Error(`no simulator for ${target.name}`)
    return simulator
  }
  const gateway = await startLocalGateway({
    config: configOf({
      providers: Object.fromEntries(
        TARGETS.map((target) => [
          target.name,
          { ...target.provider(upstream(target)), allow_private: true, on_client_abort: 'cancel' },
        ]),
      ),
      targets: TARGETS.map(idOf),
      prices: Object.fromEntries(TARGETS.map(({ name }) => [`${name}/*`, priceOf('2', '8')])),
      over: { ...options.config },
    }),
  })
  return {
    gateway,
    url: gateway.url,
    upstream,
    async close() {
      await gateway.close()
      await Promise.all([...simulators.values()].map((simulator) => simulator.close()))
    },
  }
}

function simulatorOf(target: Target, faults: NonNullable<BenchOptions['faults']>): SimulatorConfig {
  const { dialect, model, slowModel, visionModel, thinking } = target
  const faulty = Object.keys(faults).map((name) => `${model}-${name}`)
  return {
    dialect,
    models: {
      [model]: { ...QUICK, thinking },
      [slowModel]: SLOW,
      ...(visionModel === null ? {} : { [visionModel]: { ...QUICK, vision: true } }),
      ...Object.fromEntries(faulty.map((id) => [id, QUICK])),
    },
    faults: Object.entries(faults).map(([name, rule]) => ({ ...rule, models: [`${model}-${name}`] })),
  }
}
