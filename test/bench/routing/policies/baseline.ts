// The frame of the baselines: one executor for all, which several of them lack in reality. A target that failed cools
// down for all requests, a request goes on to the next target at once, and what is tried is not tried again.

import { listCost } from '../prefix-cache.ts'
import type { Answer, FailedLine, Line, Policy, RequestLine } from '../protocol.ts'
import { randomStream } from '../random.ts'
import type { SimulatedTarget } from '../targets.ts'
import type { Contender, Run } from './contender.ts'

const COOLDOWN_MS = 5000
const OUTPUT_TOKENS_AT_FIRST = 100
const OUTPUT_MEMORY = 0.02

/** What a rule may know: its own observations, list prices, declared limits, an operator's measurements of speed. */
export interface View {
  readonly targets: readonly SimulatedTarget[]
  readonly inFlight: Int32Array
  readonly random: () => number
  readonly slo: { readonly ttftMs: number; readonly msPerOutputToken: number }
  readonly valueCny: number
  /** By list price, for this prompt and an answer of the usual length, nothing cached, at the price of that hour. */
  expectedCost(target: number, inputTokens: number, at: number): number
}

export interface Ask {
  readonly at: number
  readonly inputTokens: number
}

export interface Rule {
  /** One of `candidates`, which are never none. */
  choose(ask: Ask, candidates: readonly number[]): number
  onFirstToken?(target: number, ttftMs: number, at: number): void
  onFailed?(target: number, isRateLimited: boolean, ageMs: number, at: number): void
  onFinished?(target: number, ttftMs: number, isMet: boolean, costCny: number, at: number): void
}

interface Sent {
  readonly target: number
  readonly at: number
  readonly arrivedAt: number
  ttftMs: number
}

export function baseline(name: string, makeRule: (view: View) => Rule, hasValue = false): Contender {
  return { name, hasValue, kind: 'baseline', make: (run) => new Baseline(run, makeRule) }
}

class Baseline implements Policy {
  readonly #run: Run
  readonly #rule: Rule
  readonly #ids: readonly string[]
  readonly #indexOf: ReadonlyMap<string, number>
  readonly #inFlight: Int32Array
  readonly #coolUntil: Float64Array
  readonly #arrivedAt = new Map<string, number>()
  readonly #sent = new Map<string, Sent>()
  readonly #outputTokens = new Float64Array(32).fill(OUTPUT_TOKENS_AT_FIRST)

  constructor(run: Run, makeRule: (view: View) => Rule) {
    const { targets, setup } = run.world
    this.#run = run
    this.#ids = targets.map((target) => target.id)
    this.#indexOf = new Map(this.#ids.map((id, index) => [id, index]))
    this.#inFlight = new Int32Array(targets.length)
    this.#coolUntil = new Float64Array(targets.length)
    this.#rule = makeRule({
      targets,
      inFlight: this.#inFlight,
      random: randomStream(run.seed),
      slo: setup.slo,
      valueCny: run.valueCny,
      expectedCost: (target, inputTokens, at) =>
        this.#cost(target, inputTokens, 0, this.#outputTokens[bucketOf(inputTokens)] ?? 0, at),
    })
  }

  handle(line: Line): Answer | null {
    switch (line.type) {
      case 'request':
        return this.#decide(line)
      case 'hedge?':
        return { id: line.id, target: null }
      case 'attempt_started':
        this.#started(line.id, line.target, line.at)
        return null
      case 'first_token':
        this.#answered(line.id, line.at)
        return null
      case 'failed':
        this.#failed(line)
        return null
      case 'finished':
        this.#finished(line)
        return null
      default:
        return null
    }
  }

  #decide(line: RequestLine): Answer {
    const { at, id, tried } = line
    if (tried === undefined) this.#arrivedAt.set(id, at)
    const able: number[] = []
    for (const [index, { id: name, contextWindow }] of this.#run.world.targets.entries())
      if (line.input_tokens <= contextWindow && tried?.includes(name) !== true) able.push(index)
    if (able.length === 0) return { id, order: [] }
    const cool = able.filter((index) => (this.#coolUntil[index] ?? 0) <= at)
    const chosen = this.#rule.choose({ at, inputTokens: line.input_tokens }, cool.length > 0 ? cool : able)
    return { id, order: [this.#ids[chosen] ?? ''], explore: false, propensity: 1, hedge_after_ms: null }
  }

  #started(id: string, name: string, at: number): void {
    const target = this.#indexOf.get(name) ?? 0
    this.#inFlight[target] = (this.#inFlight[target] ?? 0) + 1
    this.#sent.set(id, { target, at, arrivedAt: this.#arrivedAt.get(id) ?? at, ttftMs: Number.NaN })
  }

  #answered(id: string, at: number): void {
    const sent = this.#sent.get(id)
    if (sent === undefined) return
    sent.ttftMs = at - sent.at
    this.#rule.onFirstToken?.(sent.target, sent.ttftMs, at)
  }

  #failed(line: FailedLine): void {
    const sent = this.#leave(line.id)
    if (sent === undefined) return
    const isRateLimited = line.error === 'rate_limited'
    this.#coolUntil[sent.target] = line.at + (line.retry_after_ms ?? COOLDOWN_MS)
    this.#rule.onFailed?.(sent.target, isRateLimited, line.at - sent.at, line.at)
  }

  #finished(line: Extract<Line, { type: 'finished' }>): void {
    const sent = this.#leave(line.id)
    if (sent === undefined) return
    this.#arrivedAt.delete(line.id)
    const { input_tokens: inputTokens, output_tokens: outputTokens } = line
    const bucket = bucketOf(inputTokens)
    const known = this.#outputTokens[bucket] ?? 0
    this.#outputTokens[bucket] = known + OUTPUT_MEMORY * (outputTokens - known)
    const { slo } = this.#run.world.setup
    const streamMs = line.at - sent.at - sent.ttftMs
    const isMet =
      sent.at - sent.arrivedAt + sent.ttftMs <= slo.ttftMs &&
      streamMs <= slo.msPerOutputToken * Math.max(0, outputTokens - 1)
    const cost = this.#cost(sent.target, inputTokens, line.cached_tokens, outputTokens, line.at)
    this.#rule.onFinished?.(sent.target, sent.ttftMs, isMet, cost, line.at)
  }

  #leave(id: string): Sent | undefined {
    const sent = this.#sent.get(id)
    if (sent === undefined) return undefined
    this.#sent.delete(id)
    this.#inFlight[sent.target] = (this.#inFlight[sent.target] ?? 0) - 1
    return sent
  }

  #cost(target: number, inputTokens: number, cachedTokens: number, outputTokens: number, at: number): number {
    const { world } = this.#run
    const facts = world.targets[target] as SimulatedTarget
    return listCost(facts, inputTokens, cachedTokens, outputTokens) * world.priceFactor(target, at)
  }
}

function bucketOf(inputTokens: number): number {
  return Math.min(31, Math.floor(Math.log2(Math.max(1, inputTokens))))
}
