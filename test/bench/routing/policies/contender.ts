// What a policy is given when a run begins. Only oracles may look at the world.

import type { Policy } from '../protocol.ts'
import type { World } from '../world.ts'

export interface Run {
  readonly world: World
  readonly seed: number
  /** What one met SLO is worth: λ, CNY. */
  readonly valueCny: number
}

export type ContenderKind = 'oracle' | 'baseline' | 'candidate' | 'ablation'

export interface Contender {
  readonly name: string
  /** Whether `valueCny` changes what it does, so that a sweep of values makes sense. */
  readonly hasValue: boolean
  /** A candidate is judged by the figures to reach; an ablation is one that lacks something, and is not. */
  readonly kind: ContenderKind
  readonly make: (run: Run) => Policy | Promise<Policy>
}
