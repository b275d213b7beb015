// The command line of `npm run bench`.

import { parseArgs } from 'node:util'
import { findScenario, SCENARIOS, type Scenario } from './scenarios.ts'

export const HELP = `usage: npm run bench -- [OPTIONS]

Measures the gateway against a bare proxy (node:http and undici's dispatch) on this machine, in turns.

  --only NAME[,NAME]   scenarios: ${SCENARIOS.map((scenario) => scenario.name).join(', ')}
                       (default: ${SCENARIOS.filter((scenario) => scenario.isDefault)
                         .map((scenario) => scenario.name)
                         .join(', ')})
  --paced              the paced stream too (10,000 chunks/s that do not meet in one read)
  --rounds N           runs of the gateway per scenario (default 11); the bare proxy runs between and around
  --seconds S          length of a run (default 2)
  --connections N      keep-alive connections of the load generator (default 32)
  --json FILE          writes every sample there
  --self               the bare proxy against itself: the ratio should be 1
  --redis              the gateway with a Redis against itself with SQLite alone, and what each request costs the Redis
  --limits             the key has a budget, rpm and tpm
  --profile            no comparison: CPU profiles of the gateway under the scenarios, one by one, and what share of
                       its CPU goes into admission, journal, settlement and rollups

example: npm run bench -- --only 1KB,stream --rounds 5 --json bench.json`

export interface BenchOptions {
  readonly scenarios: readonly Scenario[]
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  readonly jsonPath: string | null
  readonly isSelf: boolean
  readonly isRedis: boolean
  readonly isProfile: boolean
  readonly hasLimits: boolean
  readonly isHelp: boolean
}

/** @throws Error that says what is wrong */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true },
      paced: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '11' },
      seconds: { type: 'string', default: '2' },
      connections: { type: 'string', default: '32' },
      json: { type: 'string' },
      self: { type: 'boolean', default: false },
      redis: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      limits: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  return {
    scenarios: chooseScenarios(values.only ?? [], values.paced),
    rounds: positive('rounds', values.rounds, true),
    seconds: positive('seconds', values.seconds, false),
    connections: positive('connections', values.connections, true),
    jsonPath: values.json ?? null,
    isSelf: values.self,
    isRedis: values.redis,
    isProfile: values.profile,
    hasLimits: values.limits,
    isHelp: values.help,
  }
}

function chooseScenarios(only: readonly string[], paced: boolean): readonly Scenario[] {
  const named = only
    .flatMap((list) => list.split(','))
    .map((name) => {
      const scenario = findScenario(name)
      if (scenario !== undefined) return scenario
      throw new Error(`there is no scenario "${name}"`)
    })
  const chosen = named.length > 0 ? named : SCENARIOS.filter((scenario) => scenario.isDefault)
  const extra = paced ? SCENARIOS.filter((scenario) => scenario.chunksPerSecond !== null) : []
  return [...new Set([...chosen, ...extra])]
}

function positive(name: string, text: string, isWhole: boolean): number {
  const value = Number(text)
  if (value > 0 && Number.isFinite(value) && (!isWhole || Number.isInteger(value))) return value
  throw new Error(`--${name} takes a ${isWhole ? 'whole ' : ''}number above 0, not "${text}"`)
}
