// The configuration of simulators, and the shipped files.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { defaultDemoSimulators, readSimulatorConfig } from '#simulator/config.ts'

const root = join(import.meta.dirname, '../..')

function problemsOf(value: unknown): readonly string[] {
  try {
    readSimulatorConfig(value)
    return []
  } catch (error) {
    return (error as Error).message.split('\n  ').slice(1)
  }
}

test('settings are read under their names in the file', () => {
  const models = { m: { ttft_ms_per_1k_input: 5, prefix_cache: { min_tokens: 8 } } }
  expect(
    readSimulatorConfig({ a: { dialect: 'vllm', models, faults: [{ fault: 'cut', after_events: 2 }] } }),
  ).toEqual({
    a: {
      dialect: 'vllm',
      models: { m: { ttftMsPer1kInput: 5, prefixCache: { minTokens: 8 } } },
      faults: [{ fault: 'cut', afterEvents: 2 }],
    },
  })
})

test('every problem is told at once, with its path, what was found and what is allowed', () => {
  const faults = [{ fault: 'fire' }, { probability: 2 }]
  const problems = problemsOf({
    a: { dialect: 'volvo', models: { m: { ttft: 1, ttft_ms: -1, vision: 'yes' } }, faults },
    b: { models: {} },
  })
  expect(problems).toEqual([
    'a.dialect: found "volvo"; allowed: doubao, qwen, ernie, deepseek, openai, vllm, ollama, tgi, llamacpp',
    expect.stringMatching(/^a\.models\.m\.ttft: unknown setting; allowed: title, context_window, /),
    'a.models.m.ttft_ms: found -1; allowed: an integer from 0 to 2147483647',
    'a.models.m.vision: found "yes"; allowed: true or false',
    expect.stringMatching(
      /^a\.faults\.0\.fault: found "fire"; allowed: refuse, hang, .*, auth, rate_limit, /,
    ),
    'a.faults.1.probability: found 2; allowed: a number from 0 to 1',
    'a.faults.1.fault: is required',
    'b.models: found {}; allowed: a mapping with at least one entry',
    'b.dialect: is required',
  ])
})

test('what settings say about each other is checked', () => {
  const problems = problemsOf({
    a: {
      dialect: 'doubao',
      models: { m: {} },
      endpoints: { 'ep-1': 'other' },
      faults: [
        { fault: 'refuse', first: 1 },
        { fault: 'cut', models: ['other'] },
      ],
    },
  })
  expect(problems).toEqual([
    'a.endpoints.ep-1: found "other"; allowed: m',
    'a.faults.0: found refuse with a bound; allowed: refuse alone',
    'a.faults.1.models: found "other"; allowed: m',
  ])
})

test('a file that is no mapping says so', () => {
  expect(problemsOf(null)).toEqual(['the file: found null; allowed: a mapping with at least one entry'])
})

test('the example file is accepted', () => {
  const example = parse(readFileSync(join(root, 'config/simulators.yaml'), 'utf8')) as unknown
  expect(Object.keys(readSimulatorConfig(example))).toEqual(['ark', 'dashscope', 'qianfan', 'own'])
})

test('the demo has no faults, and its configuration names every model of its simulators', () => {
  const demo = parse(readFileSync(join(root, 'config/demo.yaml'), 'utf8')) as {
    readonly models: Readonly<Record<string, { readonly targets: readonly (string | { target: string })[] }>>
  }
  const simulators = defaultDemoSimulators()
  expect(Object.values(simulators).every((config) => config.faults === undefined)).toBe(true)
  const targets = new Set(
    Object.values(demo.models)
      .flatMap((model) => model.targets)
      .map((target) => (typeof target === 'string' ? target : target.target)),
  )
  const simulated = Object.entries(simulators).flatMap(([name, config]) =>
    Object.keys(config.models).map((model) => `${name === 'vllm' ? 'local' : name}/${model}`),
  )
  expect([...targets].sort()).toEqual(simulated.sort())
})
