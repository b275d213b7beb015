// Admission of one instance of a fleet: purses, rates and places are lent by the store that all share, and checked and
// taken here in one synchronous step. A wish that the leases do not cover waits for an answer, within a bound.

import type { Ask, Claim, Scope } from '#core/admission.ts'
import type { Clock } from '#core/ports.ts'
import { AdmissionDesk } from './desk.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import { tagOf } from './lease-words.ts'
import { LentMeter } from './lent-meter.ts'
import type { Moment, ScopeMeter } from './scope-meter.ts'

/** A request waits no longer in all: for an answer, and for others to give back what they have idle. */
const WAIT_MS_MAX = 700
/** Scopes of one call. */
const REFRESHED_SCOPES = 200

export class FleetDesk extends AdmissionDesk {
  readonly #keeper: LeaseKeeper

  constructor(clock: Clock, keeper: LeaseKeeper) {
    super(clock, (scope) => new LentMeter(scope, keeper.lineOf(tagOf(scope))))
    this.#keeper = keeper
  }

  /** What the fleet has spent is asked for with the leases. */
  override unseeded(_scopes: Iterable<Scope>): readonly Scope[] {
    return []
  }

  override refill(
    callers: readonly Scope[],
    { claim, targetScopes }: Ask,
    isFirst: boolean,
    sinceMs: number,
  ): Promise<void> | null {
    const now = this.now()
    if (now.tickMs - sinceMs >= WAIT_MS_MAX) return null
    const waits = new Set<Promise<void>>()
    const isWorth = (scope: Scope, asRequest: boolean): boolean =>
      this.#want(scope, claim, asRequest, now, sinceMs, waits)
    const areWorth =
      callers.every((scope) => isWorth(scope, isFirst)) && targetScopes.every((scope) => isWorth(scope, true))
    return areWorth && waits.size > 0 ? Promise.all(waits).then(() => undefined) : null
  }

  override isLocal(scopes: readonly Scope[]): boolean {
    return scopes.some((scope) => this.lentMeterOf(scope).isLocal)
  }

  override async refresh(scopes: readonly Scope[]): Promise<void> {
    const byTag = new Map<string, LentMeter[]>()
    for (const scope of scopes) {
      const tag = tagOf(scope)
      const meters = byTag.get(tag) ?? []
      if (meters.length === 0) byTag.set(tag, meters)
      const meter = this.lentMeterOf(scope)
      meter.scope = scope
      meters.push(meter)
    }
    await Promise.all(Array.from(byTag, ([tag, meters]) => this.#refreshTag(tag, meters)))
  }

  async #refreshTag(tag: string, meters: readonly LentMeter[]): Promise<void> {
    const line = this.#keeper.lineOf(tag)
    for (let start = 0; start < meters.length; start += REFRESHED_SCOPES) {
      if (line.isLost) return
      await line.say(meters.slice(start, start + REFRESHED_SCOPES))
    }
  }

  /** A scope that has another owner by now lies elsewhere. */
  override keep(scopes: Iterable<Scope>): void {
    const kept = [...scopes]
    super.keep(kept.filter((scope) => this.lentMeterOf(scope).tag === tagOf(scope)))
    this.#keeper.keep(new Set(kept.map(tagOf)))
  }

  /** As its last request knew it; null: it was not met here. */
  metScope(id: string): Scope | null {
    const meter = this.known(id)
    return meter === null ? null : (meter as LentMeter).scope
  }

  lentMeterOf(scope: Scope): LentMeter {
    const meter: ScopeMeter = this.meterOf(scope)
    return meter as LentMeter
  }

  #want(
    scope: Scope,
    claim: Claim,
    asRequest: boolean,
    now: Moment,
    sinceMs: number,
    waits: Set<Promise<void>>,
  ): boolean {
    const line = this.#keeper.lineOf(tagOf(scope))
    const meter = this.lentMeterOf(scope)
    const worth = meter.want(scope, claim, asRequest, now, sinceMs)
    if (worth === 'enough') return true
    if (worth === 'no' || line.isLost) return false
    waits.add(worth === 'ask' ? line.answered(meter) : line.othersAnswered(meter))
    return true
  }
}
