// The set-ups: which trace meets which pool in which world.

import { FITTING, MISSPECIFIED, type Physics } from './physics.ts'
import { MIXED_POOL, SAME_MODEL_POOL, type SimulatedTarget, STARVED_POOL } from './targets.ts'
import type { TraceName } from './traces.ts'

export interface Setup {
  readonly name: string
  readonly about: string
  readonly trace: TraceName
  readonly targets: readonly SimulatedTarget[]
  readonly physics: Physics
  readonly shifts: 'none' | 'usual' | 'more'
  readonly slo: { readonly ttftMs: number; readonly msPerOutputToken: number }
  readonly isHedging: boolean
  /** Which of the figures to reach are asked of it. */
  readonly demand: 'mixed' | 'same-model' | 'starved' | 'none'
  readonly isDefault: boolean
}

const QUICK = { ttftMs: 1500, msPerOutputToken: 50 }
const LONG = { ttftMs: 4000, msPerOutputToken: 50 }
const USUAL = { physics: FITTING, shifts: 'usual', isHedging: true } as const

export const SETUPS: readonly Setup[] = [
  {
    ...USUAL,
    name: 'code',
    about: 'Azure code trace, mixed pool of 12',
    trace: 'azure-code',
    targets: MIXED_POOL,
    slo: QUICK,
    demand: 'mixed',
    isDefault: true,
  },
  {
    ...USUAL,
    name: 'conv',
    about: 'a load like the Azure conversation trace (drawn, not the trace), mixed pool of 12',
    trace: 'azure-conv-like',
    targets: MIXED_POOL,
    slo: QUICK,
    demand: 'mixed',
    isDefault: true,
  },
  {
    ...USUAL,
    name: 'mooncake',
    about: 'Mooncake conversation trace (prefixes, long prompts), mixed pool of 12',
    trace: 'mooncake',
    targets: MIXED_POOL,
    slo: LONG,
    demand: 'mixed',
    isDefault: true,
  },
  {
    ...USUAL,
    name: 'pool',
    about: 'Mooncake conversation trace, one model at 6 hosts',
    trace: 'mooncake',
    targets: SAME_MODEL_POOL,
    slo: LONG,
    demand: 'same-model',
    isDefault: true,
  },
  {
    ...USUAL,
    name: 'misfit',
    about: 'the load of conv in the misspecified world, mixed pool of 12',
    trace: 'azure-conv-like',
    targets: MIXED_POOL,
    physics: MISSPECIFIED,
    slo: QUICK,
    demand: 'mixed',
    isDefault: true,
  },
  {
    ...USUAL,
    name: 'starved',
    about: 'Mooncake in the misspecified world, one model at 6 hosts: too little capacity',
    trace: 'mooncake',
    targets: STARVED_POOL,
    physics: MISSPECIFIED,
    slo: LONG,
    demand: 'starved',
    isDefault: true,
  },
  {
    ...USUAL,
    name: 'more',
    about:
      'code with all shifts on the 4 cheapest; the cheapest hangs for 2 minutes, the next triples its price',
    trace: 'azure-code',
    targets: MIXED_POOL,
    shifts: 'more',
    slo: QUICK,
    demand: 'mixed',
    isDefault: true,
  },
  {
    ...USUAL,
    name: 'calm',
    about: 'code without shifts',
    trace: 'azure-code',
    targets: MIXED_POOL,
    shifts: 'none',
    slo: QUICK,
    demand: 'none',
    isDefault: false,
  },
  {
    ...USUAL,
    name: 'burst',
    about: 'mooncake with its arrivals in bursts every 3 s, as published',
    trace: 'mooncake-raw',
    targets: MIXED_POOL,
    slo: LONG,
    demand: 'none',
    isDefault: false,
  },
  {
    ...USUAL,
    name: 'pool-burst',
    about: 'pool with its arrivals in bursts every 3 s, as published',
    trace: 'mooncake-raw',
    targets: SAME_MODEL_POOL,
    slo: LONG,
    demand: 'none',
    isDefault: false,
  },
]

export function findSetup(name: string): Setup | undefined {
  return SETUPS.find((setup) => setup.name === name)
}
