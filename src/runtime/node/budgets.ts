// What budgets have spent, from the ledger: at the start, when one changes, and now and then, so that purses and rows
// say the same. Never the other way round.

import { type AdjustmentRow, EVERY_ADJUSTMENT } from '#core/adjustments.ts'
import type { BudgetPeriod, Scope, ScopeKind } from '#core/admission.ts'
import type { LedgerStore, UsageGroup, UsageReport } from '#core/ledger.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import type { SpentAsked, SpentSum } from '#core/spent.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import type { DatedAmount } from '#store/admission/budget-meter.ts'
import type { AdmissionDesk } from '#store/admission/desk.ts'
import { periodAt, periodText } from '#store/admission/periods.ts'
import { StoreUnavailableError } from '#store/errors.ts'
import { groupValue, HOUR_MS } from '#store/usage-report.ts'
import { clock } from './system.ts'

/** Purses that the ledger could not fill are tried again after this; until then their requests are refused. */
const RETRY_MS = 1_000
const RECONCILE_MS = 60_000
/** The ledger may be this much behind. */
const LEDGER_LAG_MS = 1_000
/** Late rows are few; what is beyond is not told to budgets. */
const LATE_PAGES_MAX = 100
/** Scopes that are compared with the ledger in one turn of the event loop. */
const TURN_SCOPES = 500

export interface BudgetBooks {
  /** Fills the purses of these scopes that are not filled yet. */
  seed(scopes: readonly Scope[]): Promise<void>
  /** The same while requests run: counts rather twice what was spent this second than not at all. */
  seedRunning(scopes: readonly Scope[]): Promise<void>
  close(): void
}

export function openBudgetBooks(
  desk: AdmissionDesk,
  store: LedgerStore,
  metrics: Metrics,
  log: Log,
  scopesInForce: () => readonly Scope[],
): BudgetBooks {
  let isWhole = true
  async function seed(scopes: readonly Scope[]): Promise<void> {
    const missing = desk.unseeded(scopes)
    if (missing.length === 0) return
    try {
      const spent = new SpentReader(store)
      const amounts = await Promise.all(missing.map((scope) => spent.of(scope)))
      for (const [index, scope] of missing.entries()) desk.seed(scope, amounts[index] ?? [])
    } catch (error) {
      isWhole = false
      log.error('budgets.unread', { scopes: missing.length, message: String(error) })
    }
  }
  async function reconcile(): Promise<void> {
    const spent = new SpentReader(store)
    // Before the ledger is asked: what moves from here on is left for the next time.
    const quiet = scopesInForce().flatMap((scope) => {
      const reading = scope.budget === null ? null : desk.quietReading(scope)
      return reading === null ? [] : [{ scope, reading }]
    })
    try {
      for (const [index, { scope, reading }] of quiet.entries()) {
        // Requests must not wait for a hundred thousand of them.
        if (index % TURN_SCOPES === 0) await new Promise((resolve) => setImmediate(resolve))
        desk.reseed(scope, reading, await spent.of(scope))
      }
    } catch (error) {
      log.warn('budgets.unread', { message: String(error) })
    }
  }
  function retry(): void {
    if (isWhole) return
    isWhole = true
    void seed(scopesInForce())
  }
  const timers = [
    setInterval(() => {
      metrics.admission(desk.state)
      retry()
    }, RETRY_MS),
    setInterval(() => void reconcile(), RECONCILE_MS),
  ]
  for (const timer of timers) timer.unref()
  return {
    seed,
    async seedRunning(scopes) {
      if (desk.unseeded(scopes).length === 0) return
      await new Promise((resolve) => setTimeout(resolve, LEDGER_LAG_MS))
      await seed(scopes)
    },
    close() {
      for (const timer of timers) clearInterval(timer)
    },
  }
}

const GROUPS: Readonly<Record<ScopeKind, UsageGroup>> = {
  key: 'key',
  team: 'tag:team',
  organisation: 'tag:organisation',
  provider: 'target',
  target: 'target',
}

/** What a ledger of record is asked for these budgets. */
export function askedOf(scopes: readonly Scope[], nowMs: number): readonly SpentAsked[] {
  return scopes.map(({ kind, name, budget }) => {
    const startMs = budget === null ? nowMs : periodAt(budget.period, nowMs).startMs
    const fromMs = Number.isFinite(startMs) ? startMs : null
    return { kind, name, fromMs, byHour: budget?.period.kind === 'rolling' }
  })
}

/** Within its hour an amount may have been spent at the end. */
export function datedAmounts(sums: readonly SpentSum[], nowMs: number): readonly DatedAmount[] {
  return sums.map(({ hourMs, amountNano }) => ({
    amountNano,
    atMs: hourMs === null ? nowMs : Math.min(nowMs, hourMs + HOUR_MS - 1),
  }))
}

/** Asks the ledger once per period, however many purses have it. */
export class SpentReader {
  readonly #store: LedgerStore
  #late: Promise<readonly AdjustmentRow[]> | null = null
  readonly #reports = new Map<string, Promise<ReadonlyMap<string, readonly DatedAmount[]>>>()

  constructor(store: LedgerStore) {
    this.#store = store
  }

  async of(scope: Scope): Promise<readonly DatedAmount[]> {
    if (scope.budget === null) return []
    const amounts = await this.#amounts(scope.kind, scope.budget.period)
    return amounts.get(scope.name) ?? []
  }

  #amounts(kind: ScopeKind, period: BudgetPeriod): Promise<ReadonlyMap<string, readonly DatedAmount[]>> {
    const name = `${kind} ${periodText(period)}`
    const known = this.#reports.get(name)
    if (known !== undefined) return known
    const nowMs = clock.nowMs()
    const { startMs } = periodAt(period, nowMs)
    const usage = this.#store.usage({
      groupBy: [GROUPS[kind]],
      bucket: period.kind === 'rolling' ? 'hour' : null,
      fromMs: Number.isFinite(startMs) ? startMs : null,
      toMs: null,
    })
    this.#late ??= readLate(this.#store)
    const read = Promise.all([usage, this.#late]).then(([report, late]) => {
      const amounts = amountsByName(report, kind, nowMs)
      for (const row of late) {
        const { startedAtMs: atMs = Number.NEGATIVE_INFINITY, amountNano } = row
        if (atMs < startMs) continue
        const scope = groupValue(row, kind)
        amounts.set(scope, [...(amounts.get(scope) ?? []), { amountNano, atMs: Math.max(0, atMs) }])
      }
      return amounts
    })
    this.#reports.set(name, read)
    return read
  }
}

/** Money of attempts that came when their month was closed: budgets go by when they began. */
async function readLate(store: LedgerStore): Promise<readonly AdjustmentRow[]> {
  if (!(await hasClosed(store))) return []
  const filter = { ...EVERY_ADJUSTMENT, reason: 'late' } as const
  const rows: AdjustmentRow[] = []
  for (let cursor: string | null = null, pages = 0; pages < LATE_PAGES_MAX; pages++) {
    const page = await store.adjustments({ limit: PAGE_ROWS_MAX, cursor, filter })
    rows.push(...page.rows)
    cursor = page.nextCursor
    if (cursor === null) break
  }
  return rows
}

/** A ledger that cannot say is not the one that its usage is read from. */
async function hasClosed({ months }: LedgerStore): Promise<boolean> {
  try {
    return ((await months?.list()) ?? []).length > 0
  } catch (error) {
    if (error instanceof StoreUnavailableError) return false
    throw error
  }
}

function amountsByName(report: UsageReport, kind: ScopeKind, nowMs: number): Map<string, DatedAmount[]> {
  const amounts = new Map<string, DatedAmount[]>()
  for (const row of report.rows) {
    const [group = ''] = row.group
    // A provider's rows are those of all its targets.
    const name = kind === 'provider' ? group.slice(0, Math.max(0, group.indexOf('/'))) : group
    // Within its hour it may have been spent at the end.
    const atMs = row.bucketMs === null ? nowMs : Math.min(nowMs, row.bucketMs + HOUR_MS - 1)
    const list = amounts.get(name) ?? []
    list.push({ amountNano: row.costNano, atMs })
    amounts.set(name, list)
  }
  return amounts
}
