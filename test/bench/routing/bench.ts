// `npm run bench:routing`: routing policies over traces in a simulated world. Exits with 0 whatever the figures are,
// with 1 when a policy broke the protocol, and with 2 when it was called wrongly.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findContender } from './contenders.ts'
import { measureDecideRate } from './decide-rate.ts'
import { type BenchOptions, HELP, readOptions, TUNED_SEEDS } from './options.ts'
import type { Contender } from './policies/contender.ts'
import { formatTable, LEGEND } from './report.ts'
import { measure, measureCeiling, Yardsticks } from './runs.ts'
import type { Setup } from './setups.ts'
import type { Summary } from './summary.ts'
import { formatVerdicts, judge, type Row } from './verdicts.ts'

const SLUICE = join(import.meta.dirname, '../../../src/cli/sluice.ts')
const DECIDE = `exec ${process.execPath} ${SLUICE} decide --config {config} --seed {seed}`

interface Result {
  readonly setup: Setup
  readonly rows: readonly Row[]
}

async function main(): Promise<number> {
  const options = readOptionsOrExplain()
  if (options === null) return 2
  if (options.isHelp) {
    console.log(HELP)
    return 0
  }
  if (options.isRate) {
    await printRate(options)
    return 0
  }
  console.log(LEGEND)
  const results: Result[] = []
  for (const setup of options.setups) results.push({ setup, rows: await runSetup(setup, options) })
  if (options.jsonPath !== null) writeFileSync(options.jsonPath, `${JSON.stringify(results, null, 2)}\n`)
  return 0
}

function readOptionsOrExplain(): BenchOptions | null {
  try {
    return readOptions(process.argv.slice(2))
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`)
    return null
  }
}

async function runSetup(setup: Setup, options: BenchOptions): Promise<readonly Row[]> {
  const yardsticks = new Yardsticks()
  const rows: Row[] = []
  for (const contender of options.contenders)
    for (const multiple of valuesFor(contender, options)) {
      const runs: Summary[] = []
      for (const seed of options.seeds) runs.push(await measure(setup, seed, contender, multiple, yardsticks))
      const { name, kind } = contender
      rows.push({ policy: isSwept(contender) ? `${name} ×${multiple}` : name, name, kind, multiple, runs })
    }
  const heldOut = options.seeds.filter((seed) => !TUNED_SEEDS.includes(seed))
  const tuned = options.seeds.filter((seed) => TUNED_SEEDS.includes(seed))
  print(setup, 'tuned', rows, tuned)
  print(setup, 'held-out', rows, heldOut)
  const judgedSeeds = heldOut.length > 0 ? heldOut : tuned
  const judged = rows.map((row) => ofSeeds(row, judgedSeeds))
  const ceiling: Row = {
    ...{ policy: 'state-oracle-λ', name: 'state-oracle-λ', kind: 'oracle', multiple: 1 },
    runs: await measureCeiling(setup, judgedSeeds, yardsticks),
  }
  for (const { kind, name } of options.contenders)
    if (kind === 'candidate') console.log(`\n${formatVerdicts(name, judge(setup, judged, name, ceiling))}`)
  return rows
}

async function printRate({ command, setups, seeds }: BenchOptions): Promise<void> {
  const [setup, seed, planner] = [setups[0], seeds[0], findContender('planner')]
  if (setup === undefined || seed === undefined || planner === undefined) return
  const { valueCny } = await new Yardsticks().of(setup, seed)
  const rate = await measureDecideRate(command ?? DECIDE, setup, seed, valueCny, planner)
  const perSecond = (value: number): string => `${Math.round(value).toLocaleString('en')} answers/s`
  console.log(
    `${setup.name}, seed ${seed}, ${rate.answers.toLocaleString('en')} answers: pipelined ${perSecond(rate.pipelinedPerSecond)} (20,000 asked for), lock-step ${perSecond(rate.lockStepPerSecond)} (5,000 asked for)`,
  )
}

/** In a sweep only candidates take part: the others are the yardsticks, at λ × 1. */
function isSwept(contender: Contender): boolean {
  return contender.hasValue && (contender.kind === 'candidate' || contender.kind === 'ablation')
}

function valuesFor(contender: Contender, options: BenchOptions): readonly number[] {
  return isSwept(contender) ? options.values : [1]
}

function ofSeeds(row: Row, seeds: readonly number[]): Row {
  return { ...row, runs: row.runs.filter((run) => seeds.includes(run.seed)) }
}

function print(setup: Setup, kind: string, rows: readonly Row[], seeds: readonly number[]): void {
  if (seeds.length === 0) return
  const shown = rows.map((row) => ofSeeds(row, seeds))
  console.log(`\n${formatTable(`${setup.name}: ${setup.about}; ${kind} seeds ${seeds.join(', ')}`, shown)}`)
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
