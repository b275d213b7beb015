// Runs of contenders in one set-up, with the yardsticks that every one is measured by.

import { findContender } from './contenders.ts'
import { Driver } from './driver.ts'
import type { Contender } from './policies/contender.ts'
import type { RunRecord } from './run-record.ts'
import type { Setup } from './setups.ts'
import { type Summary, summarise, type Yardstick } from './summary.ts'
import { World } from './world.ts'

/** λ: what one met SLO is deemed worth, as a multiple of the clairvoyant's mean cost of a request. */
const VALUE_MULTIPLE = 5

/** The oracles' runs of a set-up and seed, made once. */
export class Yardsticks {
  readonly #made = new Map<string, Yardstick>()

  of(setup: Setup, seed: number): Yardstick {
    const key = `${setup.name}/${seed}`
    const known = this.#made.get(key)
    if (known !== undefined) return known
    const literal = play(setup, seed, oracleNamed('oracle'), 0)
    const valueCny = (VALUE_MULTIPLE * literal.costCny) / literal.count
    const yardstick = {
      valueCny,
      stateOracle: play(setup, seed, oracleNamed('state-oracle-λ'), valueCny),
      clairvoyant: play(setup, seed, oracleNamed('oracle-λ'), valueCny),
    }
    this.#made.set(key, yardstick)
    return yardstick
  }
}

/** The state oracle's figures, whether or not it was asked for. */
export function measureCeiling(
  setup: Setup,
  seeds: readonly number[],
  yardsticks: Yardsticks,
): readonly Summary[] {
  return seeds.map((seed) => {
    const yardstick = yardsticks.of(setup, seed)
    return summarise(yardstick.stateOracle, yardstick, 0)
  })
}

/** `multiple` of λ is the value that the contender is told. */
export function measure(
  setup: Setup,
  seed: number,
  contender: Contender,
  multiple: number,
  yardsticks: Yardsticks,
): Summary {
  const yardstick = yardsticks.of(setup, seed)
  const startedAt = performance.now()
  const record = play(setup, seed, contender, multiple * yardstick.valueCny)
  return summarise(record, yardstick, performance.now() - startedAt)
}

/** One run, from the first arrival to the last answer. */
export function play(setup: Setup, seed: number, contender: Contender, valueCny: number): RunRecord {
  const world = new World(setup, seed)
  const policy = contender.make({ world, seed, valueCny })
  try {
    return new Driver(world, policy).run()
  } finally {
    policy.close?.()
  }
}

function oracleNamed(name: string): Contender {
  const found = findContender(name)
  if (found === undefined) throw new Error(`there is no oracle "${name}"`)
  return found
}
