// What is left of free quotas and packages: what the configuration says there was, less what the ledger says was used.

import type { BalanceUsed } from '#core/ledger.ts'
import type { PriceBalance, PriceEntry } from '#core/price.ts'
import { DEFAULT_TIME_ZONE, startOfDayMs, zoneOf } from '#core/zones.ts'
import type { Balance, Balances, BalanceUse } from './balances.ts'
import { parseValidity, type Validity } from './instants.ts'
import type { Price } from './price.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Seconds go to the millisecond, all else is whole: in thousandths all sums are exact. */
const MILLI = 1_000

/** `PROVIDER/MODEL` or `PROVIDER/*` and what there is. */
export interface BalanceSource {
  readonly pattern: string
  readonly balances: readonly PriceBalance[]
}

/** Accounts that have the free quotas of their price lists. */
export interface QuotaSource {
  readonly providerName: string
  /** When they were given; null: each at its first use. */
  readonly sinceMs: number | null
}

/** What the entries of a configuration say there is. */
export function balancesOf(
  overrides: readonly { readonly pattern: string; readonly entry: PriceEntry }[],
): readonly BalanceSource[] {
  return overrides.map(({ pattern, entry }) => ({ pattern, balances: entry.balances ?? [] }))
}

interface Defined extends PriceBalance {
  readonly validity: Validity
}

const NONE: readonly Balance[] = []

export class BalanceBook implements Balances {
  #byPattern: ReadonlyMap<string, readonly Defined[]> = new Map()
  #quotas: ReadonlyMap<string, QuotaSource> = new Map()
  readonly #used = new Map<string, Used>()
  /** What is not known to be left pays nothing. */
  #isRead: boolean

  /** `isRead` false: the ledger has yet to say what was used. */
  constructor(sources: readonly BalanceSource[] = [], isRead = true) {
    this.#isRead = isRead
    this.configure(sources)
  }

  /** A new configuration; what was used of a balance since its start stays used. */
  configure(sources: readonly BalanceSource[], quotas: readonly QuotaSource[] = []): void {
    const withBalances = sources.filter(({ balances }) => balances.length > 0)
    this.#byPattern = new Map(withBalances.map(({ pattern, balances }) => [pattern, balances.map(define)]))
    this.#quotas = new Map(quotas.map((quota) => [quota.providerName, quota]))
  }

  /** What the ledger says; of one hour the larger count holds, as both grow only and either may be behind. */
  learn(uses: readonly BalanceUsed[]): void {
    for (const { id, hourMs, quantity } of uses) this.#usedOf(id).atLeast(hourMs, milliOf(quantity))
    this.#isRead = true
  }

  of(providerName: string, model: string, price: Price | null, atMs: number): readonly Balance[] {
    if (!this.#isRead || (this.#byPattern.size === 0 && this.#quotas.size === 0)) return NONE
    const own = this.#byPattern.get(`${providerName}/${model}`) ?? []
    const shared = this.#byPattern.get(`${providerName}/*`) ?? []
    const listed = this.#listed(providerName, price)
    return [...own, ...shared, ...listed].map((defined) => this.#left(defined, atMs))
  }

  take(uses: readonly BalanceUse[], atMs: number): void {
    const hourMs = Math.floor(atMs / HOUR_MS) * HOUR_MS
    for (const { id, quantity } of uses) this.#usedOf(id).add(hourMs, milliOf(quantity))
  }

  #left({ id, kind, unit, amount, every, validity }: Defined, atMs: number): Balance {
    const sinceMs = every === 'month' ? Math.max(monthStartMs(atMs), validity.fromMs) : validity.fromMs
    const used = this.#used.get(id)?.since(sinceMs) ?? 0
    return { id, kind, unit, remaining: Math.max(0, milliOf(amount) - used) / MILLI, validity }
  }

  /** The free quota that the price's own list has, where the account is said to have it. */
  #listed(providerName: string, price: Price | null): readonly Defined[] {
    const quota = this.#quotas.get(providerName)
    const { freeQuota = null, model = '' } = price ?? {}
    if (quota === undefined || freeQuota === null) return []
    const { amount, unit, valid_days: days, every } = freeQuota
    const id = `free_quota:${providerName}/${model}`
    const fromMs = quota.sinceMs ?? this.#used.get(id)?.firstMs ?? null
    const validity = {
      fromMs: quota.sinceMs ?? Number.NEGATIVE_INFINITY,
      toMs: days === undefined || fromMs === null ? Number.POSITIVE_INFINITY : fromMs + days * DAY_MS,
    }
    return [{ id, kind: 'free_quota', unit, amount, ...(every === undefined ? {} : { every }), validity }]
  }

  #usedOf(id: string): Used {
    let used = this.#used.get(id)
    if (used === undefined) {
      used = new Used()
      this.#used.set(id, used)
    }
    return used
  }
}

function define(balance: PriceBalance): Defined {
  return { ...balance, validity: parseValidity(balance.effective_from, balance.effective_to) }
}

function milliOf(quantity: number): number {
  return Math.round(quantity * MILLI)
}

const beijing = zoneOf(DEFAULT_TIME_ZONE)

/** Vendors' months are those of their calendar. */
function monthStartMs(atMs: number): number {
  const today = new Date(beijing(atMs).day * DAY_MS)
  return startOfDayMs(beijing, Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), 1) / DAY_MS)
}

/** Uses of one balance by hour, in thousandths, and their sum since the instant that was last asked for. */
class Used {
  readonly #hours = new Map<number, number>()
  #sinceMs = Number.NEGATIVE_INFINITY
  #sum = 0
  #firstMs = Number.POSITIVE_INFINITY

  get firstMs(): number | null {
    return Number.isFinite(this.#firstMs) ? this.#firstMs : null
  }

  add(hourMs: number, milli: number): void {
    this.#hours.set(hourMs, (this.#hours.get(hourMs) ?? 0) + milli)
    if (this.#counts(hourMs)) this.#sum += milli
    if (hourMs < this.#firstMs) this.#firstMs = hourMs
  }

  atLeast(hourMs: number, milli: number): void {
    const missing = milli - (this.#hours.get(hourMs) ?? 0)
    if (missing > 0) this.add(hourMs, missing)
  }

  /** The whole hour in which it begins counts too: rather too little is left than too much. */
  since(sinceMs: number): number {
    if (sinceMs !== this.#sinceMs) {
      this.#sinceMs = sinceMs
      this.#sum = 0
      for (const [hourMs, milli] of this.#hours) if (this.#counts(hourMs)) this.#sum += milli
    }
    return this.#sum
  }

  #counts(hourMs: number): boolean {
    return hourMs + HOUR_MS > this.#sinceMs
  }
}
