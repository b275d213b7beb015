// What rows cost, told to the purses of their scopes: in order, each row once in effect. A purse that has lost what it
// was told is told again from the journal.

import type { Budget, Scope } from '#core/admission.ts'
import type { AttemptRow, LedgerBatch } from '#core/ledger.ts'
import type { LeaseLine } from './lease-line.ts'
import { type ChargeItem, tagOf } from './lease-words.ts'
import type { LentMeter } from './lent-meter.ts'
import { ringOf, startText } from './lent-money.ts'
import type { Charge } from './line-words.ts'
import { periodAt, periodText } from './periods.ts'
import { purseOf, scopeIdsOf } from './row-scopes.ts'

/** Scopes without a budget that are remembered, in case that one comes; more count as all. */
const UNCHARGED_MAX = 100_000
/** Rows read again at a time. */
const AGAIN_ROWS_MAX = 200

/** The journal, for rows that were told before. */
export interface ToldRows {
  readonly lastSequence: number
  readonly rowsWaiting: number
  /** Rows of an epoch behind a sequence, from the beginning of a request on; null: there are none. */
  rowsAfter(epoch: number, sequence: number, rowsMax: number): LedgerBatch | null
}

export interface ChargeOptions {
  readonly journal: ToldRows
  /** Of this process; older ones were lent nothing any more. */
  readonly epoch: number
  /** By id, those in force that have a budget. */
  readonly budgets: () => ReadonlyMap<string, Scope>
  /** One that admission has met, though `budgets` may not have it yet. */
  readonly metScope: (id: string) => Scope | null
  readonly lineOf: (tag: string) => LeaseLine
  readonly meterOf: (scope: Scope) => LentMeter
  /** Somebody must say what was spent in this tag. False: it cannot be said for now. */
  readonly found: (tag: string) => Promise<boolean>
  /** Rows that are to be told again and are no longer there. */
  readonly onMissing: (tag: string, rows: number) => void
}

interface Told {
  readonly sequence: number
  readonly row: AttemptRow
  readonly scopes: readonly Scope[]
}

export class ChargeSender {
  readonly #options: ChargeOptions
  /** By tag: sent, and not answered. */
  readonly #unanswered = new Map<string, Charge>()
  /** By tag: rows of this epoch up to here have left the lease. */
  readonly #drawn = new Map<string, number>()
  /** Scopes of rows that were told when they had no budget. */
  readonly #uncharged = new Set<string>()
  #hasUnread = false
  #known: ReadonlyMap<string, Scope> = new Map()
  /** The last row of this epoch that was told. */
  #told = 0
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: ChargeOptions) {
    this.#options = options
  }

  /** Resolves when every purse that these rows concern has them. @throws when one cannot be told for now */
  tell(batch: LedgerBatch): Promise<void> {
    return this.#inTurn(() => this.#tell(batch))
  }

  /**
   * Looks for budgets that have come, or have another period or owner, since rows were told without them: their purses are written
   * anew, and the rows told again.
   */
  notice(): void {
    const budgets = this.#options.budgets()
    const before = this.#known
    if (budgets === before) return
    this.#known = budgets
    const tags = new Set<string>()
    for (const [id, scope] of budgets) {
      const old = before.get(id)
      const isLate = old === undefined ? this.#wasUncharged(id) : purseOf(old) !== purseOf(scope)
      if (isLate) tags.add(tagOf(scope))
      this.#uncharged.delete(id)
    }
    for (const tag of this.#tags()) this.#options.lineOf(tag).marks.looked(this.#told)
    for (const tag of tags) void this.#options.found(tag)
  }

  #wasUncharged(id: string): boolean {
    if (this.#told === 0) return false
    return this.#hasUnread || this.#uncharged.has(id) || this.#uncharged.size >= UNCHARGED_MAX
  }

  /** Tells rows that the ledger has from elsewhere, so that nobody ships them. */
  async catchUp(): Promise<void> {
    const { journal } = this.#options
    const shipped = journal.lastSequence - journal.rowsWaiting
    if (shipped > this.#told) await this.#inTurn(() => this.#catchUpTo(shipped))
  }

  /** A tag has told a mark below what was believed. */
  tellAgain(line: LeaseLine, session: string): Promise<void> {
    return this.#inTurn(() => this.#catchUp(line, session, Number.POSITIVE_INFINITY))
  }

  async #tell(batch: LedgerBatch): Promise<void> {
    if (batch.epoch === this.#options.epoch) await this.#catchUpTo(batch.firstSequence - 1)
    await this.#tellRows(batch)
  }

  async #catchUpTo(last: number): Promise<void> {
    const { journal, epoch } = this.#options
    while (this.#told < last) {
      const batch = journal.rowsAfter(epoch, this.#told, AGAIN_ROWS_MAX)
      if (batch === null || batch.firstSequence > last) return
      await this.#tellRows({ ...batch, rows: batch.rows.slice(0, last - batch.firstSequence + 1) })
    }
  }

  async #tellRows(batch: LedgerBatch): Promise<void> {
    const session = sessionOf(batch.instance, batch.epoch)
    const last = lastOf(batch)
    this.notice()
    const byTag = this.#byTag(batch)
    // Each tag by itself: what one misses holds up the batch, not the others.
    const results = await Promise.allSettled(
      Array.from(byTag, async ([tag, rows]) => {
        const line = this.#options.lineOf(tag)
        await this.#finish(tag, line)
        await this.#say(line, session, batch.epoch, rows, batch.firstSequence - 1, last)
      }),
    )
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    if (batch.epoch !== this.#options.epoch) return
    this.#told = Math.max(this.#told, last)
    for (const tag of this.#tags()) this.#options.lineOf(tag).marks.looked(last)
  }

  /** What was sent and not answered is sent again as it was. */
  async #finish(tag: string, line: LeaseLine): Promise<void> {
    const unanswered = this.#unanswered.get(tag)
    if (unanswered === undefined) return
    await this.#send(line, unanswered)
  }

  async #say(
    line: LeaseLine,
    session: string,
    epoch: number,
    rows: readonly Told[],
    before: number,
    last: number,
  ): Promise<void> {
    for (;;) {
      await this.#catchUp(line, session, before)
      const mark = line.marks.of(session)
      if (mark !== undefined && epoch === this.#options.epoch) this.#drawCounted(line, rows, mark)
      const fresh = rows.filter(({ sequence }) => mark === undefined || sequence > mark)
      if (fresh.length === 0) return
      const previous = mark ?? before
      const sent = this.#message(line.tag, session, epoch, fresh, previous, last, mark === undefined)
      if (await this.#send(line, sent)) return
    }
  }

  /** A tag that has lost rows is told them first, up to `until`: its mark alone does not say that some are missing. */
  async #catchUp(line: LeaseLine, session: string, until: number): Promise<void> {
    while (line.marks.isBehind(session)) {
      if (await this.#again(line, session, line.marks.of(session) ?? 0, until)) line.marks.caughtUp(session)
    }
  }

  /** What a founding has counted leaves the lease here; the next word of the line says so. */
  #drawCounted(line: LeaseLine, rows: readonly Told[], mark: number): void {
    const drawnUpTo = this.#drawn.get(line.tag) ?? 0
    for (const { sequence, row, scopes } of rows) {
      if (sequence <= drawnUpTo || sequence > mark || row.usageSource === 'recovered') continue
      for (const scope of scopes) {
        const meter = this.#options.meterOf(scope)
        meter.money.drawn(meter.money.drawOf(row.cost?.amountNano ?? 0n))
        line.touch(meter, false)
      }
    }
    this.#drawn.set(line.tag, Math.max(drawnUpTo, mark))
  }

  /** Rows behind a mark up to `until`, told from the journal. False: the tag has lost some meanwhile. */
  async #again(line: LeaseLine, session: string, from: number, until: number): Promise<boolean> {
    const epoch = Number(session.slice(session.lastIndexOf(':') + 1))
    let mark = from
    while (mark < until) {
      const batch = this.#options.journal.rowsAfter(epoch, mark, AGAIN_ROWS_MAX)
      if (batch === null) return true
      if (batch.firstSequence > mark + 1 && mark > 0)
        this.#options.onMissing(line.tag, batch.firstSequence - mark - 1)
      const last = Math.min(until, lastOf(batch))
      const rows = (this.#byTag(batch).get(line.tag) ?? []).filter(
        ({ sequence }) => sequence > mark && sequence <= last,
      )
      if (rows.length > 0) {
        const previous = line.marks.of(session) ?? mark
        const sent = this.#message(line.tag, session, epoch, rows, previous, last, false)
        if (!(await this.#send(line, sent))) return false
      }
      mark = last
    }
    return true
  }

  /** False: the tag has lost rows before these. @throws when it is not told */
  async #send(line: LeaseLine, sent: Charge): Promise<boolean> {
    const { tag } = line
    this.#unanswered.set(tag, sent)
    const { outcome } = await line.charge(sent)
    this.#unanswered.delete(tag)
    if (outcome === 'unfounded') {
      await this.#options.found(tag)
      throw new Error(`what was spent in ${tag} is being read`)
    }
    return outcome !== 'gap'
  }

  #message(
    tag: string,
    session: string,
    epoch: number,
    rows: readonly Told[],
    previous: number,
    last: number,
    isFirst: boolean,
  ): Charge {
    const sums = new Map<string, { readonly item: ChargeItem; nano: bigint }>()
    const draws = new Map<LentMeter, bigint>()
    const ofFormer: [string, string, 0 | 1][] = []
    const drawnUpTo = this.#drawn.get(tag) ?? 0
    const isOwn = epoch === this.#options.epoch
    for (const { sequence, row, scopes } of rows) {
      const costNano = row.cost?.amountNano ?? 0n
      // What a crash had left open was held by the process before.
      const isRecovered = row.usageSource === 'recovered'
      const leavesLease = isOwn && !isRecovered && sequence > drawnUpTo
      for (const scope of scopes) {
        const { budget } = scope
        if (budget === null) continue
        const item = itemOf(scope, budget, row.startedAtMs)
        const name = `${item[2]} ${scope.id}`
        const sum = sums.get(name) ?? { item, nano: 0n }
        sum.nano += costNano
        sums.set(name, sum)
        if (!isOwn || isRecovered) ofFormer.push([scope.id, String(costNano), isRecovered ? 1 : 0])
        if (!leavesLease) continue
        const meter = this.#options.meterOf(scope)
        draws.set(meter, (draws.get(meter) ?? 0n) + costNano)
      }
    }
    for (const [meter, amountNano] of draws) draws.set(meter, meter.money.drawOf(amountNano))
    return {
      ask: {
        session,
        previous,
        last,
        isFirst,
        charges: Array.from(sums.values(), ({ item, nano }) => withNano(item, nano)),
        draws: [
          ...Array.from(draws, ([meter, nano]) => [meter.scope.id, String(nano), 0] as const),
          ...ofFormer,
        ],
      },
      heard: ({ outcome }) => {
        if (outcome !== 'applied' && outcome !== 'duplicate') return
        for (const [meter, amountNano] of draws) meter.money.drawn(amountNano)
        if (isOwn) this.#drawn.set(tag, Math.max(this.#drawn.get(tag) ?? 0, last))
      },
      reply: null,
    }
  }

  /** Attempts of a batch by the tags whose budgets they count in. */
  #byTag(batch: LedgerBatch): ReadonlyMap<string, Told[]> {
    const byTag = new Map<string, Told[]>()
    if (this.#known.size === 0) {
      // Rows are not even read; whichever budget comes is late.
      this.#hasUnread = true
      return byTag
    }
    for (const [index, entry] of batch.rows.entries()) {
      if (entry.kind !== 'attempt') continue
      const scopes = this.#scopesOf(entry.row)
      const sequence = batch.firstSequence + index
      for (const tag of new Set(scopes.map(tagOf))) {
        const told = byTag.get(tag) ?? []
        if (told.length === 0) byTag.set(tag, told)
        told.push({ sequence, row: entry.row, scopes: scopes.filter((scope) => tagOf(scope) === tag) })
      }
    }
    return byTag
  }

  #scopesOf(row: AttemptRow): readonly Scope[] {
    const scopes: Scope[] = []
    for (const id of scopeIdsOf(row)) {
      const scope = this.#known.get(id) ?? this.#options.metScope(id)
      if (scope !== null && scope.budget !== null) scopes.push(scope)
      else if (this.#uncharged.size < UNCHARGED_MAX) this.#uncharged.add(id)
    }
    return scopes
  }

  #tags(): ReadonlySet<string> {
    return new Set(Array.from(this.#known.values(), tagOf))
  }

  #inTurn<Result>(tell: () => Promise<Result>): Promise<Result> {
    const next = this.#turn.then(tell, tell)
    this.#turn = next.catch(() => undefined)
    return next
  }
}

export function sessionOf(instance: string, epoch: number): string {
  return `${instance}:${epoch}`
}

function itemOf(scope: Scope, budget: Budget, atMs: number): ChargeItem {
  const { width, length } = ringOf(budget)
  const from = width > 0 ? String(Math.floor(atMs / width)) : startText(periodAt(budget.period, atMs).startMs)
  return [scope.id, periodText(budget.period), from, '0', width, length]
}

function withNano([scope, period, from, , width, length]: ChargeItem, nano: bigint): ChargeItem {
  return [scope, period, from, String(nano), width, length]
}

function lastOf(batch: LedgerBatch): number {
  return batch.last ?? batch.firstSequence + batch.rows.length - 1
}
