// What one instance and one tag of the fleet have to say to each other: one call at a time, each answered before the next.
// Requests wait for a call within a deadline; a store that misses it is lost until it answers in time again.

import type { Scope } from '#core/admission.ts'
import type { Timer } from '#core/ports.ts'
import type { ChargeReply, LeaseAsk, LeaseReply, ScopeReply } from './lease-words.ts'
import type { LentMeter, MeterLine } from './lent-meter.ts'
import { afterBusy, type Charge, type LineOptions, Waiters } from './line-words.ts'
import { ToldMarks } from './told-marks.ts'

/** A request waits for an answer no longer. */
const ANSWER_MS = 250
const RETRY_MS_FIRST = 100
const RETRY_MS_MAX = 1_000
/** Others that have room idle give it back within their next turn. */
const OTHERS_MS = 60
const SEQUENCE_LEAP = 1_000
const FOUNDINGS_MAX = 3
const CALL_SCOPES_MAX = 500
/** How often a line speaks that has used something lately, so that it hears of a loss before anything is lent anew. */
const WORD_TURNS = 4
const RECENT_TURNS = 300

export class LeaseLine implements MeterLine {
  readonly tag: string
  readonly #options: LineOptions
  readonly #active = new Set<LentMeter>()
  /** Of those, what has something to say with the next call. */
  readonly #due = new Set<LentMeter>()
  /** What was used in the last minute: a store that was emptied must be told. */
  #recent = new Set<LentMeter>()
  #turns = 0
  /** One more each time that the store has lost what this instance holds. */
  generation = 0
  /** One thing is said at a time: a call, a charge. */
  #talk: Promise<unknown> = Promise.resolve()
  #waiters = new Waiters()
  /** Those of the call that is under way. */
  #asked: Waiters | null = null
  #others: Promise<void> | null = null
  #isCalling = false
  #wantsCall = false
  #sequence = 0
  /** Sent, and not answered: it may count. */
  #unanswered: LeaseAsk | null = null
  #unansweredMeters: readonly LentMeter[] = []
  #firstSentTickMs = 0
  /** Sent, and not answered: what is lent cannot be said before it is known. */
  #openCharge: Charge | null = null
  #declares = true
  #foundings = 0
  #isLost = false
  #isClosed = false
  #retryMs = 0
  #retry: Timer | null = null
  #offsetMs = 0
  #hasSucceeded = false
  readonly marks: ToldMarks
  instances = 1

  constructor(options: LineOptions) {
    this.tag = options.tag
    this.marks = new ToldMarks(options.session)
    this.#options = options
  }

  get isLost(): boolean {
    return this.#isLost
  }

  get denies(): boolean {
    return this.#options.denies()
  }

  get nowMs(): number {
    return this.#options.clock.nowMs() + this.#offsetMs
  }

  get isActive(): boolean {
    return this.#active.size > 0
  }

  touch(meter: LentMeter, isLow: boolean): void {
    this.#active.add(meter)
    this.#recent.add(meter)
    if (!isLow || this.#isLost) return
    this.#due.add(meter)
    this.#callSoon()
  }

  /** Resolves when what meters want now was asked for, or cannot be for now. */
  answered(meter: LentMeter): Promise<void> {
    this.#due.add(meter)
    return this.#next()
  }

  /** The same, a little later, when others may have given back what they do not need. */
  othersAnswered(meter: LentMeter): Promise<void> {
    this.#due.add(meter)
    this.#others ??= new Promise<void>((resolve) => {
      this.#options.clock.after(OTHERS_MS, () => {
        this.#others = null
        resolve()
      })
    }).then(() => this.#next())
    return this.#others
  }

  /** A turn of the keeper: what nobody needs goes back, what will be needed is asked for. */
  turn(): void {
    this.#turns += 1
    for (const meter of this.#active) {
      meter.turn()
      if (meter.isIdle) this.#active.delete(meter)
      else this.#due.add(meter)
    }
    if (this.#turns % RECENT_TURNS === 0) {
      const tickMs = this.#options.clock.monotonicMs()
      this.#recent = new Set([...this.#recent].filter((meter) => !meter.isIdle || meter.hasUsed(tickMs)))
    }
    const isWord = this.#recent.size > 0 && this.#turns % WORD_TURNS === 0
    if (this.#due.size > 0 || isWord) this.#callSoon()
  }

  /** Says that it is here, how far its rows are told, and what it holds. Resolves when that was heard or failed. */
  say(meters: Iterable<LentMeter> = []): Promise<void> {
    for (const meter of meters) this.#due.add(meter)
    return this.#next()
  }

  /** An answer that does not come leaves it open, and the same must be sent again. */
  charge(charge: Charge): Promise<ChargeReply> {
    return this.#inTurn(() => this.#deliver(charge))
  }

  async #deliver(charge: Charge): Promise<ChargeReply> {
    if (charge.reply !== null) return charge.reply
    const { ask } = charge
    this.#openCharge = charge
    const reply = await this.#watched(() => this.#options.port.charge(this.tag, ask))
    this.#openCharge = null
    charge.reply = reply
    if (reply.outcome === 'gap') this.marks.fellBehind(ask.session, reply.mark)
    else if (reply.outcome !== 'unfounded') this.marks.told(ask.session, reply.mark)
    charge.heard(reply)
    return reply
  }

  /** Everything lent goes back. */
  async leave(timeoutMs: number): Promise<void> {
    this.#isClosed = true
    this.#retry?.cancel()
    if (this.#declares && this.#sequence === 0) return
    const { clock } = this.#options
    const timeUp = new Promise<void>((resolve) => void clock.after(timeoutMs, resolve))
    const leaving = this.#inTurn(async () => {
      if (this.#unanswered !== null) await this.#options.port.lease(this.tag, this.#unanswered)
      await this.#options.port.lease(this.tag, { ...this.#build([]), leaves: true })
    }).catch(() => undefined)
    await Promise.race([leaving, timeUp])
  }

  #next(): Promise<void> {
    const waiters = this.#waiters
    // Whatever the call waits for itself.
    waiters.timer ??= this.#options.clock.after(ANSWER_MS, () => waiters.resolve())
    this.#callSoon()
    return waiters.promise
  }

  #callSoon(): void {
    this.#wantsCall = true
    if (this.#isCalling || this.#isClosed) return
    this.#isCalling = true
    // Wishes of one turn of the event loop go together.
    queueMicrotask(() => void this.#calls())
  }

  async #calls(): Promise<void> {
    while (this.#wantsCall && !this.#isClosed && this.#retry === null) {
      this.#wantsCall = false
      await this.#inTurn(() => this.#call())
    }
    this.#isCalling = false
  }

  async #call(): Promise<void> {
    const { clock, port } = this.#options
    try {
      if (this.#openCharge !== null) await this.#deliver(this.#openCharge)
      const sentTickMs = clock.monotonicMs()
      // What is sent again lends nothing anew, so it ends as if it had come with the first answer.
      if (this.#unanswered === null) this.#firstSentTickMs = sentTickMs
      else this.#wantsCall = true
      const waiters = this.#waiters
      const ask = this.#unanswered ?? this.#build(this.#takeDue())
      this.#unanswered = ask
      this.#asked = waiters
      this.#waiters = new Waiters()
      const reply = await this.#watched(() => port.lease(this.tag, ask))
      // A slow answer is worth having, and nobody waits for the next one.
      if (clock.monotonicMs() - sentTickMs <= ANSWER_MS) this.#find()
      if (await this.#hear(ask, reply, this.#firstSentTickMs)) this.#retryMs = 0
      else this.#tryLater()
      waiters.resolve()
    } catch (error) {
      this.#lose(error)
    }
  }

  /** Who waits is let go when an answer takes too long; the answer is still heard. */
  async #watched<Reply>(say: () => Promise<Reply>): Promise<Reply> {
    const { clock } = this.#options
    const deadline = afterBusy(clock, ANSWER_MS, () =>
      this.#lose(new Error(`no answer within ${ANSWER_MS} ms`)),
    )
    try {
      return await say()
    } catch (error) {
      this.#lose(error)
      throw error
    } finally {
      deadline.cancel()
    }
  }

  /** Some at a time, so that the store is not kept from others. */
  #takeDue(): readonly LentMeter[] {
    const meters = [...this.#due].slice(0, CALL_SCOPES_MAX)
    for (const meter of meters) {
      this.#due.delete(meter)
      this.#active.add(meter)
    }
    if (this.#due.size > 0) this.#wantsCall = true
    return meters
  }

  #build(meters: readonly LentMeter[]): LeaseAsk {
    const { clock, session, keptMs, succeeds } = this.#options
    const moment = { nowMs: clock.nowMs(), tickMs: clock.monotonicMs() }
    this.#unansweredMeters = meters
    this.#sequence += 1
    const move = this.marks.move()
    return {
      session,
      sequence: this.#sequence,
      declares: this.#declares,
      keptMs: keptMs(),
      succeeds: !this.#hasSucceeded && succeeds(),
      leaves: false,
      ...(move === null ? {} : { mark: move }),
      scopes: meters.map((meter) => meter.ask(moment)),
    }
  }

  /** False: what the tag needs to answer cannot be said for now. */
  async #hear(ask: LeaseAsk, reply: LeaseReply, sentTickMs: number): Promise<boolean> {
    const { clock, onGap } = this.#options
    this.#unanswered = null
    this.#offsetMs = reply.now - clock.nowMs()
    if (reply.outcome !== 'lent') {
      if (reply.outcome === 'old') this.#sequence += SEQUENCE_LEAP
      this.#declares = true
      this.generation += 1
      for (const meter of [...this.#active, ...this.#recent]) this.#due.add(meter)
      this.#wantsCall = true
      return reply.outcome !== 'unfounded' || (await this.#found([]))
    }
    this.#declares = false
    if (ask.succeeds) this.#hasSucceeded = true
    this.instances = Math.max(1, reply.instances)
    if (ask.mark !== undefined) {
      if (reply.gap === undefined) this.marks.told(ask.session, ask.mark[1])
      else {
        this.marks.fellBehind(ask.session, Number(reply.gap))
        onGap(this)
      }
    }
    const tickMs = clock.monotonicMs()
    const unseeded: Scope[] = []
    for (const [index, meter] of this.#unansweredMeters.entries()) {
      const said = reply.scopes[index]
      if (said !== undefined && meter.hear(said, sentTickMs, tickMs)) unseeded.push(meter.scope)
    }
    if (unseeded.length > 0) {
      for (const meter of this.#unansweredMeters) this.#due.add(meter)
      return this.#found(unseeded)
    }
    this.#foundings = 0
    if (!reply.scopes.some(isQuiet)) return true
    // Nothing is lent for a while: who waits must not ask again at once.
    this.#retryMs = 0
    return false
  }

  /** What was written and is not there is not asked for again at once. */
  async #found(scopes: readonly Scope[]): Promise<boolean> {
    this.#wantsCall = true
    this.#foundings += 1
    return (await this.#options.found(this.tag, scopes)) && this.#foundings <= FOUNDINGS_MAX
  }

  #lose(error: unknown): void {
    this.#asked?.resolve()
    this.#waiters.resolve()
    this.#waiters = new Waiters()
    this.#tryLater()
    if (this.#isLost) return
    this.#isLost = true
    this.#options.onLost(this, true, error)
  }

  #find(): void {
    if (!this.#isLost) return
    this.#isLost = false
    const tickMs = this.#options.clock.monotonicMs()
    for (const meter of this.#active) meter.found(tickMs)
    this.#options.onLost(this, false, null)
  }

  #tryLater(): void {
    if (this.#isClosed || this.#retry !== null) return
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs === 0 ? RETRY_MS_FIRST : this.#retryMs * 2)
    this.#retry = this.#options.clock.after(this.#retryMs, () => {
      this.#retry = null
      this.#callSoon()
    })
  }

  #inTurn<Result>(talk: () => Promise<Result>): Promise<Result> {
    const next = this.#talk.then(talk, talk)
    this.#talk = next.catch(() => undefined)
    return next
  }
}

function isQuiet({ budget, rpm, tpm, places }: ScopeReply): boolean {
  return [budget, rpm, tpm, places].some((said) => said?.state === 'quiet')
}
