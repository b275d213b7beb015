// What a ledger says was spent, written into the purses of a tag: at its first time, after a loss, for a new budget, and
// where both say different things. Never the other way round.

import type { Scope } from '#core/admission.ts'
import type { DatedAmount } from './budget-meter.ts'
import { type FoundedPurse, type PursePort, tagOf } from './lease-words.ts'
import { ringOf, startText } from './lent-money.ts'
import { periodAt, periodText } from './periods.ts'

/** After a loss nothing is lent for so long, so that each instance can say what it holds. */
const QUIET_MS = 1_500

/** What was spent of some budgets, by the id of their scope, in one reading of a ledger. */
export interface SpentReading {
  /** By session: the last row that the amounts count. */
  readonly marks: ReadonlyMap<string, number>
  readonly amounts: ReadonlyMap<string, readonly DatedAmount[]>
}

export interface FoundingOptions {
  readonly port: Pick<PursePort, 'state' | 'found' | 'spent'>
  readonly spent: (scopes: readonly Scope[]) => Promise<SpentReading>
  /** Those in force. */
  readonly scopes: () => readonly Scope[]
  readonly makeLife: () => string
  readonly nowMs: () => number
  readonly onFounded: (tag: string, why: 'founded' | 'seeded' | 'healed') => void
  readonly onFailed: (tag: string, error: unknown) => void
}

export class Founder {
  readonly #options: FoundingOptions
  readonly #running = new Map<string, Promise<boolean>>()
  /** By tag: what purse and ledger said when they were last compared. Each is behind the other for a moment. */
  readonly #differences = new Map<string, readonly string[]>()

  constructor(options: FoundingOptions) {
    this.#options = options
  }

  /** `scopes`: beside those in force. False: it cannot be done for now. Who asks while it is done waits for the same. */
  found(tag: string, scopes: readonly Scope[] = []): Promise<boolean> {
    return this.#once(tag, () => this.#found(tag, scopes))
  }

  /** Compares purses with the ledger, and makes them anew where both say the same as the last time and differ. */
  heal(tag: string): Promise<boolean> {
    return this.#once(tag, () => this.#heal(tag))
  }

  #once(tag: string, work: () => Promise<void>): Promise<boolean> {
    const running = this.#running.get(tag)
    if (running !== undefined) return running
    const begun = work()
      .then(
        () => true,
        (error: unknown) => {
          this.#options.onFailed(tag, error)
          return false
        },
      )
      .finally(() => this.#running.delete(tag))
    this.#running.set(tag, begun)
    return begun
  }

  async #found(tag: string, scopes: readonly Scope[]): Promise<void> {
    const { port, makeLife, onFounded } = this.#options
    const before = await port.state(tag)
    const budgets = this.#budgetsOf(tag, scopes)
    const reading = await this.#read(budgets)
    // A ledger without rows has had no instances that could hold anything.
    const quietMs = before.life === '' && reading.marks.size > 0 ? QUIET_MS : 0
    const isDone = await port.found(tag, {
      lifeBefore: before.life,
      life: before.life === '' ? makeLife() : before.life,
      quietMs,
      ...this.#written(budgets, reading),
    })
    if (isDone) onFounded(tag, before.life === '' ? 'founded' : 'seeded')
  }

  async #heal(tag: string): Promise<void> {
    const { port, onFounded } = this.#options
    const budgets = this.#budgetsOf(tag)
    if (budgets.length === 0) return
    const reading = await this.#read(budgets)
    const { purses, marks } = this.#written(budgets, reading)
    const now = await port.spent(tag, purses)
    if (now.life === '') return
    const differences = purses.flatMap((purse, index) => {
      const [id] = purse
      const said = totalOf(purse)
      return said === now.spent[index] ? [] : [`${id} ${said} ${now.spent[index]}`]
    })
    const seen = this.#differences.get(tag) ?? []
    this.#differences.set(tag, differences)
    if (!differences.some((difference) => seen.includes(difference))) return
    this.#differences.delete(tag)
    const isDone = await port.found(tag, { lifeBefore: now.life, life: now.life, quietMs: 0, purses, marks })
    if (isDone) onFounded(tag, 'healed')
  }

  #budgetsOf(tag: string, more: readonly Scope[] = []): readonly Scope[] {
    const all = new Map([...this.#options.scopes(), ...more].map((scope) => [scope.id, scope]))
    return [...all.values()].filter((scope) => scope.budget !== null && tagOf(scope) === tag)
  }

  /** Rates and places alone need nobody's word. */
  #read(budgets: readonly Scope[]): Promise<SpentReading> {
    if (budgets.length > 0) return this.#options.spent(budgets)
    return Promise.resolve({ marks: new Map(), amounts: new Map() })
  }

  #written(
    budgets: readonly Scope[],
    { marks, amounts }: SpentReading,
  ): { readonly purses: readonly FoundedPurse[]; readonly marks: readonly (readonly [string, string])[] } {
    const nowMs = this.#options.nowMs()
    const purses = budgets.map((scope) => purseOf(scope, amounts.get(scope.id) ?? [], nowMs))
    return { purses, marks: Array.from(marks, ([session, mark]) => [session, String(mark)] as const) }
  }
}

function purseOf(scope: Scope, amounts: readonly DatedAmount[], nowMs: number): FoundedPurse {
  const { id, budget } = scope
  if (budget === null) throw new Error('only budgets have purses')
  const period = periodText(budget.period)
  const { width, length } = ringOf(budget)
  if (width === 0) {
    const start = startText(periodAt(budget.period, nowMs).startMs)
    return [id, period, start, String(sumOf(amounts))]
  }
  const first = Math.floor((nowMs - length) / width)
  const parts = new Map<number, bigint>()
  for (const { amountNano, atMs } of amounts) {
    const part = Math.floor(atMs / width)
    if (part >= first) parts.set(part, (parts.get(part) ?? 0n) + amountNano)
  }
  const ordered = [...parts].sort(([left], [right]) => left - right)
  return [id, period, '', '0', ordered.map(([part, nano]) => [String(part), String(nano)] as const)]
}

function totalOf(purse: FoundedPurse): string {
  if (purse.length === 4) return purse[3]
  return String(purse[4].reduce((sum, [, nano]) => sum + BigInt(nano), 0n))
}

function sumOf(amounts: readonly DatedAmount[]): bigint {
  return amounts.reduce((sum, { amountNano }) => sum + amountNano, 0n)
}
