// Admission by store: with a ledger of its own all limits of an instance are in its memory; where several share one, they
// are lent from there.

import { randomBytes } from 'node:crypto'
import type { Scope } from '#core/admission.ts'
import type { Settings } from '#core/settings.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import type { Live } from '#pipeline/live.ts'
import { ChargeSender, sessionOf } from '#store/admission/charges.ts'
import { AdmissionDesk } from '#store/admission/desk.ts'
import { FleetDesk } from '#store/admission/fleet-desk.ts'
import { Founder, type SpentReading } from '#store/admission/founding.ts'
import { LeaseKeeper } from '#store/admission/lease-keeper.ts'
import type { LeaseLine } from '#store/admission/lease-line.ts'
import { tagOf } from '#store/admission/lease-words.ts'
import { askedOf, type BudgetBooks, datedAmounts, openBudgetBooks, SpentReader } from './budgets.ts'
import type { LedgerFleet, NodeLedger } from './node-ledger.ts'
import { clock } from './system.ts'

/** What is lent outlives the longest attempt by this much. */
const LEASE_MARGIN_MS = 60_000
const ATTEMPT_MS_DEFAULT = 600_000
const TICK_MS = 1_000
const HEAL_MS = 60_000
/** How long a start waits for what was spent; after that requests of budgets wait for it. */
const SEED_MS = 3_000
const SEED_PAUSE_MS = 50
/** How long a stop waits to give back what it was lent; what is left comes free by its age. */
const LEAVE_MS = 500

export interface AdmissionOptions {
  readonly ledger: NodeLedger
  readonly live: () => Live
  readonly scopesInForce: () => readonly Scope[]
  readonly metrics: Metrics
  readonly log: Log
}

export interface NodeAdmission {
  readonly desk: AdmissionDesk
  readonly budgets: BudgetBooks
}

export function openAdmission(options: AdmissionOptions): NodeAdmission {
  const { ledger, metrics, log, scopesInForce } = options
  if (ledger.fleet !== null) return openFleet(options, ledger.fleet)
  const desk = new AdmissionDesk(clock)
  return { desk, budgets: openBudgetBooks(desk, ledger.store, metrics, log, scopesInForce) }
}

function openFleet(options: AdmissionOptions, fleet: LedgerFleet): NodeAdmission {
  const { live, metrics, log } = options
  const session = sessionOf(fleet.instance, fleet.epoch)
  const inForce = rememberedFor(options.scopesInForce)
  const budgetsById = derived(
    inForce,
    (scopes) => new Map(scopes.flatMap((scope) => (scope.budget === null ? [] : [[scope.id, scope]]))),
  )
  const founder = openFounder(options, fleet)
  const found = (tag: string, scopes?: readonly Scope[]): Promise<boolean> => founder.found(tag, scopes)
  const epochs = formerEpochs(fleet)
  const lost = new LostLines(metrics, log)
  const keeper = new LeaseKeeper({
    session,
    port: fleet.purses,
    clock,
    keptMs: () => longestMs(live().settings) + LEASE_MARGIN_MS,
    denies: () => live().settings.onStoreLoss === 'deny',
    succeeds: () => epochs.areTold,
    found,
    onGap: (line) =>
      void charges
        .tellAgain(line, session)
        .catch((error: unknown) => log.warn('charges.untold', { tag: line.tag, message: String(error) })),
    onLost: (line, isLost, error) => lost.note(line, isLost, error),
  })
  const desk = new FleetDesk(clock, keeper)
  const charges = new ChargeSender({
    journal: fleet.outbox,
    epoch: fleet.epoch,
    budgets: budgetsById,
    metScope: (id) => desk.metScope(id),
    lineOf: (tag) => keeper.lineOf(tag),
    meterOf: (scope) => desk.lentMeterOf(scope),
    found,
    onMissing: (tag, rows) => log.error('charges.pruned', { tag, rows }),
  })
  fleet.chargeTo(async (batch) => {
    await charges.tell(batch)
    epochs.told(batch.last ?? batch.firstSequence + batch.rows.length - 1)
  })
  fleet.whenShipped(() => keeper.close(LEAVE_MS))
  keeper.start()
  return { desk, budgets: fleetBooks(desk, founder, charges, inForce, metrics) }
}

function openFounder(options: AdmissionOptions, fleet: LedgerFleet): Founder {
  const { ledger, metrics, log, scopesInForce } = options
  return new Founder({
    port: fleet.purses,
    spent: (budgets) => spentOf(ledger, fleet, budgets),
    scopes: scopesInForce,
    makeLife: () => randomBytes(8).toString('hex'),
    nowMs: () => clock.nowMs(),
    onFounded(tag, why) {
      metrics.pursesWritten(why)
      if (why === 'healed') log.error('purses.healed', { tag })
      else log.info(`purses.${why}`, { tag })
    },
    onFailed: (tag, error) => log.warn('budgets.unread', { tag, message: String(error) }),
  })
}

/** The ledger of record's word, of one moment, where there is one. */
async function spentOf(
  { store }: NodeLedger,
  { marks, spent }: LedgerFleet,
  budgets: readonly Scope[],
): Promise<SpentReading> {
  const nowMs = clock.nowMs()
  const exact = await spent(askedOf(budgets, nowMs))
  if (exact !== null) {
    const amounts = budgets.map(
      ({ id }, index) => [id, datedAmounts(exact.sums[index] ?? [], nowMs)] as const,
    )
    return { marks: exact.marks, amounts: new Map(amounts) }
  }
  // Marks first: what is applied meanwhile is told again, and so counts rather twice than not at all, until it is compared.
  const read = await marks()
  const reader = new SpentReader(store)
  const amounts = await Promise.all(budgets.map(async (scope) => [scope.id, await reader.of(scope)] as const))
  return { marks: read, amounts: new Map(amounts) }
}

function fleetBooks(
  desk: FleetDesk,
  founder: Founder,
  charges: ChargeSender,
  inForce: () => readonly Scope[],
  metrics: Metrics,
): BudgetBooks {
  async function seed(scopes: readonly Scope[]): Promise<void> {
    const endMs = clock.monotonicMs() + SEED_MS
    let unknown = scopes
    while (unknown.length > 0 && clock.monotonicMs() < endMs) {
      await desk.refresh(unknown)
      if (desk.isLocal(unknown)) return
      unknown = unknown.filter(
        (scope) => scope.budget !== null && desk.budgetState(scope)?.spentNano === null,
      )
      if (unknown.length > 0) await new Promise((resolve) => setTimeout(resolve, SEED_PAUSE_MS))
    }
  }
  let isHealing = false
  async function heal(): Promise<void> {
    if (isHealing) return
    isHealing = true
    for (const tag of new Set(inForce().map(tagOf))) await founder.heal(tag)
    isHealing = false
  }
  const timers = [
    setInterval(() => {
      metrics.admission(desk.state)
      charges.notice()
      void charges.catchUp().catch(() => undefined)
    }, TICK_MS),
    setInterval(() => void heal(), HEAL_MS),
  ]
  for (const timer of timers) timer.unref()
  return {
    seed,
    seedRunning: seed,
    close() {
      for (const timer of timers) clearInterval(timer)
    },
  }
}

/** Whether all that sessions before this one have left in the journal is told. */
function formerEpochs({ outbox }: LedgerFleet): { readonly areTold: boolean; told(sequence: number): void } {
  let areTold = false
  // Read when the first batch leaves: what a crash had left open is booked by then.
  let left: number | null = null
  return {
    get areTold() {
      if (left === null && outbox.rowsWaiting === 0) areTold = true
      return areTold
    },
    told(sequence) {
      left ??= outbox.lastSequence
      if (sequence >= left) areTold = true
    },
  }
}

function longestMs({ policies }: Settings): number {
  let longest = ATTEMPT_MS_DEFAULT
  for (const { timeouts } of policies.values()) longest = Math.max(longest, timeouts.totalMs)
  return longest
}

class LostLines {
  readonly #metrics: Metrics
  readonly #log: Log
  readonly #lost = new Set<LeaseLine>()

  constructor(metrics: Metrics, log: Log) {
    this.#metrics = metrics
    this.#log = log
  }

  note(line: LeaseLine, isLost: boolean, error: unknown): void {
    const before = this.#lost.size
    if (isLost) this.#lost.add(line)
    else this.#lost.delete(line)
    const { size } = this.#lost
    this.#metrics.limitsLocal(size)
    if (before === 0 && size > 0) this.#log.error('limits.local', { tag: line.tag, message: String(error) })
    if (before > 0 && size === 0) this.#log.info('limits.shared')
  }
}

/** Working out all scopes of a hundred thousand keys takes a while; a second's age does no harm. */
function rememberedFor(scopes: () => readonly Scope[]): () => readonly Scope[] {
  let known: readonly Scope[] = []
  let readMs = Number.NEGATIVE_INFINITY
  return () => {
    const nowMs = clock.monotonicMs()
    if (nowMs - readMs >= TICK_MS) {
      known = scopes()
      readMs = nowMs
    }
    return known
  }
}

function derived<From extends object, To>(from: () => From, make: (from: From) => To): () => To {
  let last: From | null = null
  let made: To | null = null
  return () => {
    const now = from()
    if (last !== now || made === null) made = make(now)
    last = now
    return made
  }
}
