// Instances of a fleet on one Redis, without the gateway around them: a desk, its keeper and its sender, and a ledger that
// takes their rows. The way to Redis loses replies where a test says so; a crash leaves what it leaves.

import type { Claim, Grant, Scope } from '#core/admission.ts'
import type { LedgerBatch, LedgerRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { ChargeSender, sessionOf } from '#store/admission/charges.ts'
import { FleetDesk } from '#store/admission/fleet-desk.ts'
import { Founder } from '#store/admission/founding.ts'
import { LeaseKeeper } from '#store/admission/lease-keeper.ts'
import type { PursePort } from '#store/admission/lease-words.ts'
import { attemptRow } from './ledger-rows.ts'
import { realClock } from './real-clock.ts'

/** The ledger that all have: rows by session in order, and what they come to. */
export class RowLedger {
  readonly marks = new Map<string, number>()
  readonly #before: Readonly<Record<string, bigint>>
  readonly #rows: { readonly scopes: readonly string[]; readonly nano: bigint }[] = []

  /** `before`: what was spent when the books were begun. */
  constructor(before: Readonly<Record<string, bigint>> = {}) {
    this.#before = before
  }

  apply(batch: LedgerBatch): void {
    const session = sessionOf(batch.instance, batch.epoch)
    for (const [index, entry] of batch.rows.entries()) {
      const sequence = batch.firstSequence + index
      if (sequence <= (this.marks.get(session) ?? 0)) continue
      this.marks.set(session, sequence)
      if (entry.kind !== 'attempt') continue
      const { key, tags, target } = entry.row
      const scopes = [`key:${key}`, `team:${tags['team']}`, `target:${target}`]
      this.#rows.push({ scopes, nano: entry.row.cost?.amountNano ?? 0n })
    }
  }

  spent(scope: string): bigint {
    const before = this.#before[scope] ?? 0n
    return this.#rows.reduce((sum, row) => (row.scopes.includes(scope) ? sum + row.nano : sum), before)
  }
}

export interface FleetParts {
  readonly port: PursePort
  readonly ledger: RowLedger
  readonly scopes: () => readonly Scope[]
  readonly denies?: boolean
  readonly keptMs?: number
}

/** What a dead process would still say is not heard. */
function mortal(port: PursePort, life: { readonly isOver: boolean }): PursePort {
  const alive = <Reply>(say: () => Promise<Reply>): Promise<Reply> =>
    life.isOver ? Promise.reject(new Error('it is dead')) : say()
  return {
    lease: (tag, ask) => alive(() => port.lease(tag, ask)),
    charge: (tag, ask) => alive(() => port.charge(tag, ask)),
    found: (tag, founding) => alive(() => port.found(tag, founding)),
    state: (tag) => alive(() => port.state(tag)),
    spent: (tag, purses) => alive(() => port.spent(tag, purses)),
    close: () => {},
  }
}

interface Held {
  readonly grant: Grant
  readonly claim: Claim
}

/** One process after the other under one name; `crash` ends one and begins the next. */
export class FleetInstance {
  readonly #parts: FleetParts
  readonly #name: string
  #epoch = 0
  #life = { isOver: false }
  /** The journal: all rows, and how many are told. */
  readonly #rows: { readonly epoch: number; readonly row: LedgerRow }[] = []
  #shipped = 0
  #leftBehind = 0
  #running: Held[] = []
  keeper!: LeaseKeeper
  desk!: FleetDesk
  #charges!: ChargeSender

  constructor(name: string, parts: FleetParts) {
    this.#name = name
    this.#parts = parts
    this.#begin()
  }

  get running(): number {
    return this.#running.length
  }

  #begin(): void {
    this.#epoch += 1
    this.#leftBehind = this.#rows.length
    const { ledger, scopes } = this.#parts
    const life = { isOver: false }
    this.#life.isOver = true
    this.#life = life
    const port = mortal(this.#parts.port, life)
    const founder = new Founder({
      port,
      scopes,
      spent: async (budgets) => ({
        marks: new Map(ledger.marks),
        amounts: new Map(budgets.map(({ id }) => [id, [{ amountNano: ledger.spent(id), atMs: Date.now() }]])),
      }),
      makeLife: () => `life-${Math.floor(performance.now() * 1000)}`,
      nowMs: () => Date.now(),
      onFounded: () => {},
      onFailed: () => {},
    })
    const session = sessionOf(this.#name, this.#epoch)
    this.keeper = new LeaseKeeper({
      session,
      port,
      clock: realClock,
      keptMs: () => this.#parts.keptMs ?? 60_000,
      denies: () => this.#parts.denies === true,
      succeeds: () => this.#shipped >= this.#leftBehind,
      found: (tag, more) => founder.found(tag, more),
      onGap: (line) => void charges.tellAgain(line, session).catch(() => undefined),
      onLost: () => {},
    })
    this.desk = new FleetDesk(realClock, this.keeper)
    const { desk, keeper } = this
    const charges = new ChargeSender({
      journal: {
        lastSequence: 0,
        rowsWaiting: 0,
        rowsAfter: (epoch, sequence, rowsMax) => this.#rowsAfter(epoch, sequence, rowsMax),
      },
      epoch: this.#epoch,
      budgets: () => new Map(scopes().flatMap((scope) => (scope.budget === null ? [] : [[scope.id, scope]]))),
      metScope: (id) => desk.metScope(id),
      lineOf: (tag) => keeper.lineOf(tag),
      meterOf: (scope) => desk.lentMeterOf(scope),
      found: (tag) => founder.found(tag),
      onMissing: () => {},
    })
    this.#charges = charges
  }

  /** True: let in. Waits for leases as a request does. */
  async begin(callers: readonly Scope[], targets: readonly Scope[], claim: Claim): Promise<boolean> {
    const { desk } = this
    const grant = desk.open('request', callers)
    const nowMs = Date.now()
    const ask = { targetScopes: targets, claim, atMs: nowMs, untilMs: nowMs + 60_000 }
    for (;;) {
      const refusal = grant.begin(ask)
      if (refusal === null) break
      const refill = refusal.cause === 'lease' ? grant.refill(ask) : null
      if (refill === null) {
        grant.close()
        return false
      }
      await refill
      // It died while the request waited.
      if (desk !== this.desk) return false
    }
    this.#running.push({ grant, claim })
    return true
  }

  /** The oldest attempt ends. */
  end(costNano: bigint, fields: object): void {
    const held = this.#running.shift()
    if (held === undefined) return
    const cost = costNano < held.claim.costNano ? costNano : held.claim.costNano
    this.#book(cost, fields)
    held.grant.settle(cost as Nano, 1)
    held.grant.close()
  }

  /** The process dies, and nobody starts it again. */
  die(): void {
    this.#life.isOver = true
    this.#running = []
  }

  /** The process dies; the next one books what was open as what it may have cost at most. */
  crash(fields: object): void {
    const open = this.#running
    this.#running = []
    const { keeper } = this
    this.#begin()
    void keeper.close(0)
    for (const { claim } of open) this.#book(claim.costNano, { ...fields, usageSource: 'recovered' })
    this.#leftBehind = this.#rows.length
  }

  /** One batch. False: it could not be told. */
  async ship(rowsMax = 5): Promise<boolean> {
    const batch = this.#batchFrom(this.#shipped, rowsMax)
    if (batch === null) return true
    try {
      await this.#charges.tell(batch)
    } catch {
      return false
    }
    this.#parts.ledger.apply(batch)
    this.#shipped += batch.rows.length
    return true
  }

  get areAllShipped(): boolean {
    return this.#shipped === this.#rows.length
  }

  turn(): void {
    for (const line of this.keeper.lines) line.turn()
  }

  #book(costNano: bigint, fields: object): void {
    const cost = { amountNano: costNano as Nano } as never
    const row = attemptRow({ cost, startedAtMs: Date.now(), ...fields })
    this.#rows.push({ epoch: this.#epoch, row: { kind: 'attempt', row } })
  }

  #batchFrom(index: number, rowsMax: number): LedgerBatch | null {
    const first = this.#rows[index]
    if (first === undefined) return null
    const rows = this.#rows.slice(index, index + rowsMax).filter(({ epoch }) => epoch === first.epoch)
    return {
      instance: this.#name,
      epoch: first.epoch,
      firstSequence: index + 1,
      rows: rows.map(({ row }) => row),
    }
  }

  #rowsAfter(epoch: number, sequence: number, rowsMax: number): LedgerBatch | null {
    const index = this.#rows.findIndex((row, at) => row.epoch === epoch && at >= sequence)
    return index === -1 ? null : this.#batchFrom(index, rowsMax)
  }
}
