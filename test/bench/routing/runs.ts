// Runs of contenders in one set-up, with the yardsticks that every one is measured by.

import { findContender } from './contenders.ts'
import { Driver } from './driver.ts'
import type { Contender, Run } from './policies/contender.ts'
import type { Policy } from './protocol.ts'
import type { RunRecord } from './run-record.ts'
import type { Setup } from './setups.ts'
import { type Summary, summarise, type Yardstick } from './summary.ts'
import { World } from './world.ts'

/** λ: what one met SLO is deemed worth, as a multiple of the clairvoyant's mean cost of a request. */
const VALUE_MULTIPLE = 5

/** The oracles' runs of a set-up and seed, made once. */
export class Yardsticks {
  readonly #made = new Map<string, Yardstick>()

  async of(setup: Setup, seed: number): Promise<Yardstick> {
    const key = `${setup.name}/${seed}`
    const known = this.#made.get(key)
    if (known !== undefined) return known
    const literal = await play(setup, seed, oracleNamed('oracle'), 0)
    const valueCny = (VALUE_MULTIPLE * literal.costCny) / literal.count
    const yardstick = {
      valueCny,
      stateOracle: await play(setup, seed, oracleNamed('state-oracle-λ'), valueCny),
      clairvoyant: await play(setup, seed, oracleNamed('oracle-λ'), valueCny),
    }
    this.#made.set(key, yardstick)
    return yardstick
  }
}

/** The state oracle's figures, whether or not it was asked for. */
export async function measureCeiling(
  setup: Setup,
  seeds: readonly number[],
  yardsticks: Yardsticks,
): Promise<readonly Summary[]> {
  const summaries: Summary[] = []
  for (const seed of seeds) {
    const yardstick = await yardsticks.of(setup, seed)
    summaries.push(summarise(yardstick.stateOracle, yardstick, 0))
  }
  return summaries
}

/** `multiple` of λ is the value that the contender is told. */
export async function measure(
  setup: Setup,
  seed: number,
  contender: Contender,
  multiple: number,
  yardsticks: Yardsticks,
): Promise<Summary> {
  const yardstick = await yardsticks.of(setup, seed)
  const clock = new DecisionClock()
  const make = async (run: Run): Promise<Policy> => clock.watch(await contender.make(run))
  const startedAt = performance.now()
  const record = await play(setup, seed, { ...contender, make }, multiple * yardstick.valueCny)
  const summary = summarise(record, yardstick, performance.now() - startedAt)
  return { ...summary, decisionMicros: { p50: clock.quantile(0.5), p99: clock.quantile(0.99) } }
}

/** How long a policy takes for its decisions, for one after another. */
class DecisionClock {
  readonly #micros: number[] = []

  watch(policy: Policy): Policy {
    return {
      handle: (line) => {
        if (line.type !== 'request') return policy.handle(line)
        const startedAt = performance.now()
        const answer = policy.handle(line)
        this.#micros.push((performance.now() - startedAt) * 1000)
        return answer
      },
      close: () => policy.close?.(),
    }
  }

  quantile(share: number): number {
    const sorted = this.#micros.toSorted((left, right) => left - right)
    return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
  }
}

/** One run, from the first arrival to the last answer. */
export async function play(
  setup: Setup,
  seed: number,
  contender: Contender,
  valueCny: number,
): Promise<RunRecord> {
  const world = new World(setup, seed)
  const policy = await contender.make({ world, seed, valueCny })
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
