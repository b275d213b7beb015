// A configuration of simulators: reading a file's, and the one of the demo.

import { DIALECTS, REFUSALS } from './dialects/dialect.ts'
import { flag, list, named, number, oneOf, record, text } from './problems.ts'
import {
  type DialectOptions,
  FAULTS,
  type FaultRule,
  type Limits,
  type ModelConfig,
  type PrefixCacheConfig,
  type SimulatorConfig,
} from './settings.ts'

export type { SimulatorConfig } from './settings.ts'

const MAX = Number.MAX_SAFE_INTEGER
/** Timers of JavaScript go no further. */
const DURATION_MS_MAX = 2 ** 31 - 1
const milliseconds = number(0, DURATION_MS_MAX)
const count = number(0, MAX)
const positive = number(1, MAX)

const limits = record<Limits>({ concurrency: positive, rpm: positive, tpm: positive })

const model = record<ModelConfig>({
  title: text,
  contextWindow: positive,
  outputMax: positive,
  ttftMs: milliseconds,
  ttftMsPer1kInput: milliseconds,
  jitter: number(0, 1, false),
  tokensPerSecond: number(0.1, 1_000_000, false),
  parallel: positive,
  limits,
  prefixCache: record<PrefixCacheConfig>({ minTokens: positive, blockTokens: positive, ttlMs: milliseconds }),
  thinking: oneOf(['on', 'off', 'always', 'never']),
  reasoningTokens: positive,
  answer: text,
  answerTokens: positive,
  vision: flag,
  imageTokens: count,
  tools: flag,
  streamOnly: flag,
  open: flag,
})

const fault = record<FaultRule>(
  {
    fault: oneOf([...FAULTS, ...REFUSALS]),
    models: list(text),
    probability: number(0, 1, false),
    first: positive,
    every: positive,
    next: positive,
    afterEvents: count,
    delayMs: milliseconds,
    bytes: positive,
    error: oneOf(REFUSALS),
  },
  ['fault'],
)

const options = record<DialectOptions>({
  moderatedOutput: oneOf(['finish', 'error']),
  errorEvents: flag,
  usageChunk: oneOf(['finish', 'separate']),
  sseErrors: flag,
  tokenTtlSeconds: count,
  reasoningField: oneOf(['reasoning', 'reasoning_content', 'both']),
  promptTokensDetails: flag,
  keepAliveMs: number(1, DURATION_MS_MAX),
})

const simulator = record<SimulatorConfig>(
  {
    dialect: oneOf(DIALECTS),
    models: named(model),
    port: number(0, 65_535),
    keys: list(text),
    seed: count,
    endpoints: named(text),
    limits,
    faults: list(fault),
    options,
    onAbort: oneOf(['stop', 'finish']),
    bodyBytesMax: positive,
    logEntriesMax: count,
    logBytesMax: count,
  },
  ['dialect', 'models'],
)

/**
 * Simulators by name, as in config/simulators.yaml.
 * @throws Error with every problem, one a line
 */
export function readSimulatorConfig(value: unknown): Record<string, SimulatorConfig> {
  const problems: string[] = []
  const simulators = { ...named(simulator)(value, [], problems) }
  for (const [name, config] of Object.entries(simulators)) {
    if (problems.length === 0) problems.push(...contradictions(name, config))
  }
  if (problems.length > 0) throw new Error(`the simulators cannot be read:\n  ${problems.join('\n  ')}`)
  return simulators
}

/** What one setting says about another. */
function contradictions(name: string, config: SimulatorConfig): readonly string[] {
  const known = new Set(Object.keys(config.models))
  const endpoints = Object.entries(config.endpoints ?? {})
    .filter(([, target]) => !known.has(target))
    .map(([id, target]) => `${name}.endpoints.${id}: found "${target}"; allowed: ${[...known].join(', ')}`)
  const faults = (config.faults ?? []).flatMap((rule, index) =>
    faultProblems(rule, `${name}.faults.${index}`, known),
  )
  return [...endpoints, ...faults]
}

function faultProblems(rule: FaultRule, path: string, known: ReadonlySet<string>): readonly string[] {
  const unknown = (rule.models ?? [])
    .filter((id) => !known.has(id))
    .map((id) => `${path}.models: found "${id}"; allowed: ${[...known].join(', ')}`)
  const bounds = [rule.models, rule.probability, rule.first, rule.every, rule.next]
  const isBounded = bounds.some((bound) => bound !== undefined)
  // A closed listener is closed for all.
  return rule.fault === 'refuse' && isBounded
    ? [...unknown, `${path}: found refuse with a bound; allowed: refuse alone`]
    : unknown
}

/** The upstreams of the demo: no faults, delays and speeds that stay as they are, prices that differ. */
export function defaultDemoSimulators(): Record<string, SimulatorConfig> {
  const prefixCache = {}
  return {
    doubao: {
      dialect: 'doubao',
      models: {
        'doubao-seed-1-6-flash-250828': {
          contextWindow: 256_000,
          ttftMs: 450,
          tokensPerSecond: 90,
          thinking: 'off',
          vision: true,
          prefixCache,
        },
        'doubao-seed-1-6-251015': {
          contextWindow: 256_000,
          ttftMs: 700,
          tokensPerSecond: 60,
          thinking: 'on',
          vision: true,
          prefixCache,
        },
      },
    },
    qwen: {
      dialect: 'qwen',
      models: {
        'qwen-flash': {
          contextWindow: 1_000_000,
          ttftMs: 500,
          tokensPerSecond: 100,
          thinking: 'off',
          prefixCache,
        },
        'qwen-plus': {
          contextWindow: 1_000_000,
          ttftMs: 650,
          tokensPerSecond: 70,
          thinking: 'off',
          prefixCache,
        },
        'qwen3-vl-plus': {
          contextWindow: 262_144,
          ttftMs: 800,
          tokensPerSecond: 60,
          thinking: 'off',
          vision: true,
        },
      },
    },
    ernie: {
      dialect: 'ernie',
      models: {
        'ernie-4.5-turbo-128k': { contextWindow: 128_000, ttftMs: 350, tokensPerSecond: 80, prefixCache },
        'ernie-x1.1': {
          contextWindow: 65_536,
          ttftMs: 900,
          tokensPerSecond: 50,
          thinking: 'always',
          prefixCache,
        },
      },
    },
    deepseek: {
      dialect: 'deepseek',
      models: {
        'deepseek-v4-flash': {
          contextWindow: 1_048_576,
          ttftMs: 600,
          tokensPerSecond: 70,
          thinking: 'off',
          prefixCache,
        },
      },
    },
    vllm: {
      dialect: 'vllm',
      // Costs nothing, and is too slow for people who wait: what makes the cheapest target not always the right one.
      models: {
        'qwen3-8b': {
          contextWindow: 40_960,
          ttftMs: 1_900,
          tokensPerSecond: 30,
          thinking: 'off',
          parallel: 4,
        },
      },
    },
  }
}
