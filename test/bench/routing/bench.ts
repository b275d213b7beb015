// `npm run bench:routing`: routing policies over traces in a simulated world. Exits with 0 whatever the figures are,
// with 1 when a policy broke the protocol, and with 2 when it was called wrongly.

import { writeFileSync } from 'node:fs'
import { type BenchOptions, HELP, readOptions, TUNED_SEEDS } from './options.ts'
import type { Contender } from './policies/contender.ts'
import { formatTable, LEGEND, type Row } from './report.ts'
import { measure, Yardsticks } from './runs.ts'
import type { Setup } from './setups.ts'

interface Result {
  readonly setup: Setup
  readonly rows: readonly Row[]
}

function main(): number {
  const options = readOptionsOrExplain()
  if (options === null) return 2
  if (options.isHelp) {
    console.log(HELP)
    return 0
  }
  console.log(LEGEND)
  const results = options.setups.map((setup): Result => ({ setup, rows: runSetup(setup, options) }))
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

function runSetup(setup: Setup, options: BenchOptions): readonly Row[] {
  const yardsticks = new Yardsticks()
  const rows = options.contenders.flatMap((contender) =>
    valuesFor(contender, options).map(
      (multiple): Row => ({
        policy:
          contender.hasValue && contender.kind !== 'oracle'
            ? `${contender.name} ×${multiple}`
            : contender.name,
        runs: options.seeds.map((seed) => measure(setup, seed, contender, multiple, yardsticks)),
      }),
    ),
  )
  print(setup, 'held-out', rows, (seed) => !TUNED_SEEDS.includes(seed))
  print(setup, 'tuned', rows, (seed) => TUNED_SEEDS.includes(seed))
  return rows
}

/** Of a sweep, an oracle takes no part: it is the yardstick at λ × 1. */
function valuesFor(contender: Contender, options: BenchOptions): readonly number[] {
  return contender.hasValue && contender.kind !== 'oracle' ? options.values : [1]
}

function print(setup: Setup, kind: string, rows: readonly Row[], isShown: (seed: number) => boolean): void {
  const shown = rows.map(({ policy, runs }) => ({ policy, runs: runs.filter((run) => isShown(run.seed)) }))
  const seeds = shown[0]?.runs.map((run) => run.seed) ?? []
  if (seeds.length === 0) return
  console.log(`\n${formatTable(`${setup.name}: ${setup.about}; ${kind} seeds ${seeds.join(', ')}`, shown)}`)
}

try {
  process.exitCode = main()
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
