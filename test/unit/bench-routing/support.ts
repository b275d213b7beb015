// Small worlds, and policies that write down what they are told.

import type { Contender, Run } from '../../bench/routing/policies/contender.ts'
import type { Answer, Line, Policy } from '../../bench/routing/protocol.ts'
import { findSetup, type Setup } from '../../bench/routing/setups.ts'

export function setupNamed(name: string): Setup {
  const setup = findSetup(name)
  if (setup === undefined) throw new Error(`there is no set-up "${name}"`)
  return setup
}

/** Wraps a policy and keeps every line and answer. */
export function recorded({ make }: Contender): {
  readonly make: (run: Run) => Promise<Policy>
  readonly lines: Line[]
  readonly answers: (Answer | null)[]
} {
  const lines: Line[] = []
  const answers: (Answer | null)[] = []
  return {
    lines,
    answers,
    make: async (run) => {
      const policy = await make(run)
      return {
        handle: (line) => {
          lines.push(line)
          const answer = policy.handle(line)
          answers.push(answer)
          return answer
        },
      }
    },
  }
}

/** Sends everything to the targets in this order, and hedges at the second after `hedgeAfterMs`. */
export function fixedOrder(order: readonly string[], hedgeAfterMs: number | null = null): Policy {
  return {
    handle: (line) => {
      if (line.type === 'request') {
        const left = order.filter((target) => line.tried?.includes(target) !== true)
        return { id: line.id, order: left, hedge_after_ms: hedgeAfterMs, p_slo: 0.9 }
      }
      return line.type === 'hedge?' ? { id: line.id, target: order[1] ?? null } : null
    },
  }
}
