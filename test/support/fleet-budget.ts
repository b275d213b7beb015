// What tests of a fleet's limits ask and are told: the budget of the one key, and who was served.

import { KEY, type TestGateway } from './gateway.ts'
import type { ClientAnswer } from './http-client.ts'

/** What an answer of "ok" costs: 10 × 2 / 10⁶ + 5 × 8 / 10⁶. */
export const COST_NANO = 60_000

/** A configuration with limits on the one key. */
export const keyed = (limits: object, more: object = {}) => ({
  keys: [{ name: 'tester', key: KEY, ...limits }],
  ...more,
})

export interface BudgetSaid {
  readonly spent: string | null
  readonly held: string
}

export async function budgetOf(gateway: TestGateway): Promise<BudgetSaid> {
  const page = (await gateway.admin('/budgets')) as { data: { id: string; budget: BudgetSaid }[] }
  const found = page.data.find(({ id }) => id === 'key:tester')
  if (found === undefined) throw new Error('the key has a budget')
  return found.budget
}

export const nanoOf = (text: string | null): number => Math.round(Number(text) * 1e9)

/** One request after the other. */
export async function spend(gateway: TestGateway, count: number): Promise<readonly ClientAnswer[]> {
  const answers: ClientAnswer[] = []
  for (let index = 0; index < count; index += 1) answers.push(await gateway.chat({ max_tokens: 20 }))
  return answers
}

export const served = (answers: readonly ClientAnswer[]): number =>
  answers.filter(({ status }) => status === 200).length
