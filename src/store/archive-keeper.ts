// Keeps the ledger of record on one instance of a fleet: who it is, that it follows all others, and that it answers them.

import type { Clock, Timer } from '#core/ports.ts'
import type { ArchiveFeed, ArchiveMode } from './redis/archive-feed.ts'
import type { Mailbox, Question } from './redis/mailbox.ts'
import type { LedgerRecord } from './sqlite/record.ts'

const TICK_MS = 100
const RENEW_MS = 2_000
const CHECK_MS = 60_000
const RETRY_MS_MAX = 2_000
const ENTRIES_AT_ONCE = 500
const QUESTIONS_AT_ONCE = 8
/** What it has not heard of for so long it does not answer for. */
const CURRENT_MS = 5_000

export interface ArchiveKeeperOptions {
  readonly mode: ArchiveMode
  readonly record: LedgerRecord
  readonly feed: ArchiveFeed
  readonly mailbox: Mailbox
  readonly clock: Clock
  /** Rows of this instance that are counted here and wait to be shipped. */
  readonly rowsWaiting: () => number
  /** Attempts that are counted in Redis. */
  readonly attemptsShared: () => Promise<number>
  readonly answer: (question: Question) => Promise<string>
  /** The ledger has no life. */
  readonly found: () => Promise<void>
  readonly onHolder: (isHolder: boolean) => void
  /** After each look. `lagMs`: how old the oldest entry is that it does not have. */
  readonly onState: (isHolder: boolean, lagMs: number) => void
  /** All counters were taken over from Redis, and why. */
  readonly onAdopted: (why: 'begun' | 'gap' | 'behind', requestsFromMs: number) => void
  readonly onDisowned: (attempts: number) => void
  readonly onError: (error: unknown) => void
}

export class ArchiveKeeper {
  readonly #options: ArchiveKeeperOptions
  #timer: Timer | null = null
  #running: Promise<void> = Promise.resolve()
  #isStopped = false
  #isHolder = false
  #renewedAtMs = Number.NEGATIVE_INFINITY
  #checkedAtMs = Number.NEGATIVE_INFINITY
  #followedAtMs = Number.NEGATIVE_INFINITY
  /** Of the ledger whose marks were compared with ours. */
  #checkedLife: string | null = null
  #retryMs = 0
  #following: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null
  #told: ReadonlyMap<string, number> = new Map()

  constructor(options: ArchiveKeeperOptions) {
    this.#options = options
  }

  /** It is the ledger of record, and knows of all that was shipped until lately. */
  get isCurrent(): boolean {
    const { clock } = this.#options
    const isChecked = this.#checkedLife !== null && clock.monotonicMs() - this.#followedAtMs < CURRENT_MS
    return this.#isHolder && isChecked
  }

  /** Reads what others have shipped by now, where it is the ledger of record. @throws StoreUnavailableError */
  async catchUp(): Promise<void> {
    if (this.#isHolder && !this.#isStopped) await this.#follow()
  }

  start(): void {
    if (this.#isStopped) return
    this.#running = this.#look()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#running
    if (this.#isHolder) await this.#options.feed.leave().catch(() => undefined)
  }

  async #look(): Promise<void> {
    const { clock, mode, onError, onState } = this.#options
    try {
      await this.#renew()
      if (this.#isHolder || mode === 'on') await this.#follow()
      if (this.#isHolder) await this.#answer()
      this.#retryMs = 0
    } catch (error) {
      this.#retryMs = Math.min(RETRY_MS_MAX, Math.max(TICK_MS, this.#retryMs * 2))
      onError(error)
    }
    const lagMs = Math.max(0, clock.monotonicMs() - this.#followedAtMs)
    onState(this.#isHolder, Number.isFinite(lagMs) && this.#isHolder ? lagMs : 0)
    if (this.#isStopped) return
    const idleMs = this.#isHolder || mode === 'on' ? TICK_MS : RENEW_MS
    this.#timer = clock.after(Math.max(idleMs, this.#retryMs), () => this.start())
  }

  async #renew(): Promise<void> {
    const { clock, mode, record, feed, onHolder } = this.#options
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#renewedAtMs < RENEW_MS) return
    const entry = record.position?.entry ?? '0-0'
    const isHolder = await feed.claim(mode, entry, record.requestsFromMs)
    this.#renewedAtMs = nowMs
    if (isHolder !== this.#isHolder) {
      this.#isHolder = isHolder
      this.#checkedLife = null
      onHolder(isHolder)
    }
    if (isHolder) await this.#tellMarks()
  }

  async #tellMarks(): Promise<void> {
    const { record, feed } = this.#options
    const marks = record.marks()
    await feed.tellMarks(new Map([...marks].filter(([session, mark]) => this.#told.get(session) !== mark)))
    this.#told = marks
  }

  /** One at a time: those who come meanwhile wait for one more. */
  #follow(): Promise<void> {
    this.#next ??= this.#following.then(() => {
      this.#next = null
      return this.#followNow()
    })
    const next = this.#next
    this.#following = next.catch(() => undefined)
    return next
  }

  async #followNow(): Promise<void> {
    const { clock, feed, record, found } = this.#options
    const isDue = clock.monotonicMs() - this.#checkedAtMs > CHECK_MS
    // Before the stream: what it ends with has at least these.
    const marks = this.#checkedLife === null || isDue ? await feed.marks() : null
    let isAtEnd = false
    while (!isAtEnd && !this.#isStopped) {
      const position = record.position
      const reply = await feed.follow(position?.entry ?? '0-0', ENTRIES_AT_ONCE)
      if (reply.life === null) {
        this.#checkedLife = null
        return found()
      }
      if (position === null) {
        await this.#adopt('begun')
        continue
      }
      if (position.life !== reply.life) {
        if (await this.#disowns(reply.life)) return
        this.#checkedLife = null
        // Its stream has begun anew; what it repeats is skipped by its marks.
        record.follow([], { life: reply.life, entry: '0-0' })
        continue
      }
      const isApplied = record.follow(reply.entries, {
        life: reply.life,
        entry: reply.last ?? position.entry,
      })
      if (!isApplied) await this.#adopt('gap')
      isAtEnd = isApplied && reply.count < ENTRIES_AT_ONCE
    }
    this.#followedAtMs = clock.monotonicMs()
    if (marks === null) return
    const own = record.marks()
    if ([...marks].some(([session, mark]) => (own.get(session) ?? 0) < mark)) await this.#adopt('behind')
    this.#checkedLife = record.position?.life ?? null
    this.#checkedAtMs = clock.monotonicMs()
  }

  /** Takes over what Redis counts, where the stream alone does not lead there. */
  async #adopt(why: 'begun' | 'gap' | 'behind'): Promise<void> {
    const { feed, record, onAdopted } = this.#options
    const { life, snapshot, requestsFromMs } = await feed.snapshot()
    // It was lost meanwhile: the next look sees to it.
    if (life === null) throw new Error('the ledger in Redis was written anew while it was read')
    record.adopt(snapshot, { life, entry: '0-0' }, requestsFromMs)
    onAdopted(why, requestsFromMs)
  }

  /** A ledger that was begun with less than this archive has is no successor. */
  async #disowns(life: string): Promise<boolean> {
    const { record, feed, rowsWaiting, attemptsShared, onDisowned } = this.#options
    const own = record.weight() - 1 - rowsWaiting()
    if (own <= (await attemptsShared())) return false
    await feed.disown(life)
    onDisowned(own)
    return true
  }

  async #answer(): Promise<void> {
    const { mailbox, answer, onError } = this.#options
    // A reply that waits for others, or is long, must not keep the stream waiting.
    for (const question of await mailbox.take(QUESTIONS_AT_ONCE))
      void answer(question)
        .then((text) => mailbox.answer(question.id, text))
        .catch(onError)
  }
}
