// Every policy that the benchmark knows by name.

import { BASELINES } from './policies/baselines.ts'
import type { Contender } from './policies/contender.ts'
import { ORACLES } from './policies/oracles.ts'
import { PLANNERS } from './policies/planner.ts'
import { PROTOTYPES } from './policies/prototype.ts'

export const CONTENDERS: readonly Contender[] = [...ORACLES, ...BASELINES, ...PROTOTYPES, ...PLANNERS]

export function findContender(name: string): Contender | undefined {
  return CONTENDERS.find((contender) => contender.name === name)
}
