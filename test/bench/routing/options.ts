// The command line of `npm run bench:routing`.

import { parseArgs } from 'node:util'
import { CONTENDERS, findContender } from './contenders.ts'
import { commandContender } from './policies/command.ts'
import type { Contender } from './policies/contender.ts'
import { findSetup, SETUPS, type Setup } from './setups.ts'

/** Policies are tuned on the first and judged on the second. */
export const TUNED_SEEDS: readonly number[] = [1, 2]
const HELD_OUT_SEEDS: readonly number[] = [11, 12, 13]

/** Of a frontier: a policy is dominated by one that has some value at which it is better. */
const USUAL_VALUES: readonly number[] = [0.1, 0.25, 1, 4]

export const HELP = `usage: npm run bench:routing -- [OPTIONS]

Plays traces through routing policies in a simulated world of priced targets, and prints cost against attainment.

  --setup NAME[,NAME]    ${SETUPS.map((setup) => setup.name).join(', ')}
                         (default: ${SETUPS.filter((setup) => setup.isDefault)
                           .map((setup) => setup.name)
                           .join(', ')})
  --policy NAME[,NAME]   ${CONTENDERS.map((contender) => contender.name).join(', ')}
                         (default: all but the ablations)
  --command COMMAND      a policy of its own that speaks the replay protocol on stdin and stdout; {config}, {seed} and
                         {value} are replaced by the run's (a configuration of the gateway, the seed, CNY per met SLO)
  --seeds N[,N]          (default: ${[...TUNED_SEEDS, ...HELD_OUT_SEEDS].join(',')}; ${TUNED_SEEDS.join(',')} are for tuning and shown apart)
  --value M[,M]          what a met SLO is worth, as multiples of λ = 5 × the clairvoyant's mean cost (default: ${USUAL_VALUES.join(',')})
  --rate                 how many answers a second the command (or sluice decide) gives, and nothing else
  --json FILE            writes every run there

example: npm run bench:routing -- --setup code,pool --policy disc-ucb --seeds 11,12,13 --value 0.25,1,4`

export interface BenchOptions {
  readonly setups: readonly Setup[]
  readonly contenders: readonly Contender[]
  readonly seeds: readonly number[]
  readonly values: readonly number[]
  readonly jsonPath: string | null
  readonly command: string | null
  readonly isRate: boolean
  readonly isHelp: boolean
}

/** @throws Error that says what is wrong */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      setup: { type: 'string', multiple: true },
      policy: { type: 'string', multiple: true },
      seeds: { type: 'string', multiple: true },
      command: { type: 'string' },
      value: { type: 'string', multiple: true },
      rate: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const setups = split(values.setup).map((name) => known('set-up', name, findSetup(name)))
  const contenders = split(values.policy).map((name) => known('policy', name, findContender(name)))
  const seeds = split(values.seeds).map((text) => numberOf('seeds', text, true))
  const multiples = split(values.value).map((text) => numberOf('value', text, false))
  const extra = values.command === undefined ? [] : [commandContender(values.command)]
  const usual = extra.length > 0 ? [] : CONTENDERS.filter(({ kind }) => kind !== 'ablation')
  return {
    setups: setups.length > 0 ? setups : SETUPS.filter((setup) => setup.isDefault),
    contenders: [...(contenders.length > 0 ? contenders : usual), ...extra],
    seeds: seeds.length > 0 ? seeds : [...TUNED_SEEDS, ...HELD_OUT_SEEDS],
    values: multiples.length > 0 ? multiples : USUAL_VALUES,
    jsonPath: values.json ?? null,
    command: values.command ?? null,
    isRate: values.rate,
    isHelp: values.help,
  }
}

function split(lists: readonly string[] | undefined): readonly string[] {
  return (lists ?? []).flatMap((list) => list.split(','))
}

function known<T>(kind: string, name: string, found: T | undefined): T {
  if (found === undefined) throw new Error(`there is no ${kind} "${name}"`)
  return found
}

function numberOf(name: string, text: string, isWhole: boolean): number {
  const value = Number(text)
  if (text !== '' && value >= 0 && Number.isFinite(value) && (!isWhole || Number.isInteger(value)))
    return value
  throw new Error(`--${name} takes a ${isWhole ? 'whole ' : ''}number of 0 or more, not "${text}"`)
}
