// The prototype of ROUTING.md, after its page "Candidate, exactly" (steps 3, 6 and 7 are here): what the planner has to
// beat, and a policy that explores, hedges and predicts, which no baseline does. It is our reading, not its code.

import { listCost } from '../prefix-cache.ts'
import type { Answer, FailedLine, FinishedLine, Line, Policy, RequestLine } from '../protocol.ts'
import { BLOCK_TOKENS } from '../traces.ts'
import { START_AT, type World } from '../world.ts'
import type { Contender, Run } from './contender.ts'
import { type Belief, PrototypeTarget } from './prototype-target.ts'

const HEDGE_SHARE_MAX = 0.05
const HEDGE_LEAD = 1.25
const HEDGE_QUANTILE = 0.8
const PROBE_GAP_MS = { first: 5000, most: 60_000 }
const OUTPUT_TOKENS_AT_FIRST = 100
const OUTPUT_MEMORY = 0.02
const HIT_AT_FIRST = 0.7
const HIT_MEMORY = 0.05
const PREFIX_TTL_MS = 300_000

interface Open {
  readonly arrivedAt: number
  readonly inputTokens: number
  readonly hashes: readonly number[]
  readonly attempts: Map<number, { uncachedTokens: number; expectedCached: number; loadBefore: number }>
  isProbe: boolean
}

interface Offer {
  readonly target: number
  readonly cost: number
  readonly belief: Belief
  readonly score: number
}

class Prototype implements Policy {
  readonly #world: World
  readonly #value: number
  readonly #isHedging: boolean
  readonly #targets: readonly PrototypeTarget[]
  readonly #indexOf: ReadonlyMap<string, number>
  readonly #open = new Map<string, Open>()
  readonly #output = new Float64Array(32).fill(OUTPUT_TOKENS_AT_FIRST)
  readonly #heldUntil: readonly Map<number, number>[]
  readonly #hitShare: Float64Array
  #requests = 0
  #hedges = 0

  constructor({ world, valueCny }: Run, isHedging: boolean) {
    this.#world = world
    this.#value = valueCny
    this.#isHedging = isHedging && world.setup.isHedging
    this.#targets = world.targets.map((facts) => new PrototypeTarget(facts, START_AT))
    this.#indexOf = new Map(world.targets.map((facts, index) => [facts.id, index]))
    this.#heldUntil = world.targets.map(() => new Map())
    this.#hitShare = new Float64Array(world.targets.length).fill(HIT_AT_FIRST)
  }

  handle(line: Line): Answer | null {
    if (line.type === 'request') return this.#decide(line)
    if (line.type === 'hedge?') return this.#hedge(line.id, line.at)
    const target = this.#indexOf.get(line.target) ?? 0
    const state = this.#targets[target]
    const open = this.#open.get(line.id)
    if (state === undefined || open === undefined) return null
    if (line.type === 'attempt_started') this.#started(line.id, target, open, line.at)
    else if (line.type === 'first_token') this.#answered(line.id, target, open, line.at)
    else if (line.type === 'finished') this.#finished(line, target, open)
    else if (line.type === 'cancelled') state.cancelled(line.id, line.at)
    else this.#failed(line, state)
    return null
  }

  #decide(line: RequestLine): Answer {
    const { id, at, input_tokens: inputTokens, prefix_hashes: hashes = [], tried = [] } = line
    const open = this.#open.get(id) ?? {
      arrivedAt: at,
      inputTokens,
      hashes,
      attempts: new Map(),
      isProbe: false,
    }
    this.#open.set(id, open)
    if (tried.length === 0) this.#requests += 1
    const offers = this.#offers(open, at, tried)
    const best = offers[0]
    if (best === undefined) return { id, order: [] }
    const probe = tried.length === 0 ? this.#probe(offers, best, at) : undefined
    open.isProbe = probe !== undefined
    const chosen = probe ?? best
    const backup = offers.find((offer) => offer !== chosen)
    return {
      id,
      order: [chosen, ...offers.filter((offer) => offer !== chosen)].map((offer) =>
        this.#nameOf(offer.target),
      ),
      explore: open.isProbe,
      propensity: 1,
      hedge_after_ms: this.#hedgeAfterMs(open, backup, at),
      expected_cost: chosen.cost,
      p_slo: chosen.belief.share,
    }
  }

  /** Best first: open ones, or all that are untried when none is. */
  #offers(open: Open, at: number, tried: readonly string[]): Offer[] {
    const able = this.#targets
      .map((_, index) => index)
      .filter(
        (index) =>
          !tried.includes(this.#nameOf(index)) &&
          open.inputTokens <= (this.#targets[index]?.facts.contextWindow ?? 0),
      )
    const isOpen = (index: number): boolean => this.#targets[index]?.isOpen(open.inputTokens, at) === true
    const openOnes = able.filter(isOpen)
    return (openOnes.length > 0 ? openOnes : able)
      .map((index) => this.#offer(open, index, at))
      .sort((left, right) => left.score - right.score)
  }

  #offer(open: Open, target: number, at: number): Offer {
    const state = this.#targets[target] as PrototypeTarget
    const cached = this.#expectedCached(open, target, at)
    const barMs = this.#world.setup.slo.ttftMs - (at - open.arrivedAt)
    const belief = state.believe(open.inputTokens - cached, barMs, at)
    const cost = this.#cost(target, open.inputTokens, cached, this.#expectedOutput(open.inputTokens), at)
    return { target, cost, belief, score: cost - this.#value * belief.lowerBound }
  }

  /** A cheaper target than the best, at most one request at a time there, seldom where it did not pay. */
  #probe(offers: readonly Offer[], best: Offer, at: number): Offer | undefined {
    for (const offer of offers) {
      const state = this.#targets[offer.target]
      if (state === undefined || offer.cost >= best.cost || offer === best) continue
      if (state.isProbing || at < state.probeAt) continue
      state.isProbing = true
      return offer
    }
    return undefined
  }

  #hedgeAfterMs(open: Open, backup: Offer | undefined, at: number): number | null {
    if (!this.#isHedging || backup === undefined) return null
    const state = this.#targets[backup.target] as PrototypeTarget
    const neededMs = HEDGE_LEAD * backup.belief.expectedMs * state.quantile(HEDGE_QUANTILE)
    const latestMs = this.#world.setup.slo.ttftMs - (at - open.arrivedAt) - neededMs
    return latestMs > 0 ? latestMs : null
  }

  #hedge(id: string, at: number): Answer {
    const open = this.#open.get(id)
    const none = { id, target: null }
    if (open === undefined || this.#hedges >= HEDGE_SHARE_MAX * this.#requests) return none
    const running = [...open.attempts.keys()]
    const backup = this.#offers(
      open,
      at,
      running.map((target) => this.#nameOf(target)),
    )[0]
    if (backup === undefined) return none
    const inputCost = running.reduce((sum, target) => sum + this.#cost(target, open.inputTokens, 0, 0, at), 0)
    const rescueShare = backup.belief.share * (1 - this.#stillInTime(id, open, at))
    if (this.#value * rescueShare <= inputCost + backup.cost) return none
    this.#hedges += 1
    return { id, target: this.#nameOf(backup.target) }
  }

  /** That an attempt which has not been answered yet will be, within the bar. */
  #stillInTime(id: string, open: Open, at: number): number {
    let missShare = 1
    for (const [target, { uncachedTokens }] of open.attempts) {
      const state = this.#targets[target] as PrototypeTarget
      const startedAt = state.waiting.get(id)?.startedAt ?? at
      const barMs = this.#world.setup.slo.ttftMs - (startedAt - open.arrivedAt)
      const until = state.believe(uncachedTokens, barMs, at).share
      const byNow = state.believe(uncachedTokens, at - startedAt, at).share
      missShare *= byNow < 1 ? (1 - until) / (1 - byNow) : 1
    }
    return 1 - Math.min(1, missShare)
  }

  #started(id: string, target: number, open: Open, at: number): void {
    const state = this.#targets[target] as PrototypeTarget
    const expectedCached = this.#expectedCached(open, target, at)
    const uncachedTokens = open.inputTokens - expectedCached
    open.attempts.set(target, { uncachedTokens, expectedCached, loadBefore: state.inFlight })
    state.started(id, open.inputTokens, uncachedTokens, at)
  }

  #answered(id: string, target: number, open: Open, at: number): void {
    const state = this.#targets[target] as PrototypeTarget
    const sent = open.attempts.get(target)
    const isInTime = at - open.arrivedAt <= this.#world.setup.slo.ttftMs
    if (sent !== undefined) state.answered(id, sent.uncachedTokens, sent.loadBefore, at)
    for (const hash of open.hashes) this.#heldUntil[target]?.set(hash, at + PREFIX_TTL_MS)
    this.#learnProbe(state, isInTime, at)
  }

  #failed(line: FailedLine, state: PrototypeTarget): void {
    state.failed(line.id, line.error === 'rate_limited', line.retry_after_ms, line.at)
    this.#learnProbe(state, false, line.at)
  }

  #learnProbe(state: PrototypeTarget, isGood: boolean, at: number): void {
    if (!state.isProbing) return
    state.isProbing = false
    state.probeGapMs = isGood ? PROBE_GAP_MS.first : Math.min(PROBE_GAP_MS.most, state.probeGapMs * 2)
    state.probeAt = at + state.probeGapMs
  }

  #finished(line: FinishedLine, target: number, open: Open): void {
    const { input_tokens: inputTokens, output_tokens: outputTokens, cached_tokens: cachedTokens, at } = line
    this.#open.delete(line.id)
    const bucket = bucketOf(inputTokens)
    const known = this.#output[bucket] ?? 0
    this.#output[bucket] = known + OUTPUT_MEMORY * (outputTokens - known)
    const sent = open.attempts.get(target)
    if (sent !== undefined && sent.expectedCached > 0) {
      const share = this.#hitShare[target] ?? 0
      this.#hitShare[target] = share + HIT_MEMORY * ((cachedTokens > 0 ? 1 : 0) - share)
    }
    this.#targets[target]?.finished(true, outputTokens, at)
    for (const other of open.attempts.keys()) {
      const state = this.#targets[other]
      if (other !== target && state !== undefined) this.#learnProbe(state, false, at)
    }
  }

  #expectedCached(open: Open, target: number, at: number): number {
    const held = this.#heldUntil[target]
    let blocks = 0
    while (blocks < open.hashes.length && (held?.get(open.hashes[blocks] ?? -1) ?? 0) > at) blocks += 1
    return Math.min(blocks * BLOCK_TOKENS, open.inputTokens) * (this.#hitShare[target] ?? 0)
  }

  #expectedOutput(inputTokens: number): number {
    return this.#output[bucketOf(inputTokens)] ?? 0
  }

  #cost(target: number, inputTokens: number, cachedTokens: number, outputTokens: number, at: number): number {
    const { facts } = this.#targets[target] as PrototypeTarget
    return listCost(facts, inputTokens, cachedTokens, outputTokens) * this.#world.priceFactor(target, at)
  }

  #nameOf(target: number): string {
    return this.#world.targets[target]?.id ?? ''
  }
}

function bucketOf(inputTokens: number): number {
  return Math.min(31, Math.floor(Math.log2(Math.max(1, inputTokens))))
}

export const PROTOTYPES: readonly Contender[] = [
  { name: 'prototype', hasValue: true, kind: 'candidate', make: (run) => new Prototype(run, true) },
  { name: 'prototype-no-hedge', hasValue: true, kind: 'ablation', make: (run) => new Prototype(run, false) },
]
