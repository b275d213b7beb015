// What happened in one run, request by request. No judgement here.

import type { AttemptError, Decision } from './protocol.ts'
import { type Outcome, TTFT_TIMEOUT_MS, type World } from './world.ts'

export class RunRecord {
  readonly world: World
  readonly count: number
  /** Of the first decision; -1 where it was a refusal. */
  readonly firstTarget: Int16Array
  readonly firstAt: Float64Array
  /** From the arrival, retries included; Infinity for a request that failed. */
  readonly ttftMs: Float64Array
  readonly isMet: Uint8Array
  readonly isFailed: Uint8Array
  /** Failed while some target was up. */
  readonly isFailedAvoidably: Uint8Array
  readonly predicted: number[] = []
  /** Beside `predicted`: 1 where the attempt met the SLO by itself. */
  readonly predictedMet: number[] = []
  costCny = 0
  retries = 0
  hedges = 0
  explored = 0
  waits = 0
  rateLimited = 0
  hangs = 0

  constructor(world: World) {
    const { count } = world.trace
    this.world = world
    this.count = count
    this.firstTarget = new Int16Array(count).fill(-1)
    this.firstAt = new Float64Array(count).fill(Number.NaN)
    this.ttftMs = new Float64Array(count).fill(Number.POSITIVE_INFINITY)
    this.isMet = new Uint8Array(count)
    this.isFailed = new Uint8Array(count)
    this.isFailedAvoidably = new Uint8Array(count)
  }

  decided(
    request: number,
    target: number,
    decision: Decision,
    isFirst: boolean,
    at: number,
    outcome: Outcome,
  ): void {
    if (isFirst) {
      this.firstTarget[request] = target
      this.firstAt[request] = at
      if (decision.explore === true) this.explored += 1
    } else {
      this.retries += 1
    }
    if (decision.p_slo === undefined || decision.p_slo === null) return
    this.predicted.push(decision.p_slo)
    this.predictedMet.push(this.#meets(request, at, outcome) ? 1 : 0)
  }

  answered(request: number, at: number, outcome: Outcome): void {
    this.ttftMs[request] = at - this.world.arrivalAt(request)
    this.isMet[request] = this.#meets(request, at - outcome.afterMs, outcome) ? 1 : 0
  }

  failed(error: AttemptError): void {
    if (error === 'rate_limited') this.rateLimited += 1
    if (error === 'timeout') this.hangs += 1
  }

  gaveUp(request: number, at: number): void {
    const inputTokens = this.world.inputTokens(request)
    this.isFailed[request] = 1
    const isAnyUp = this.world.targets.some((_, target) => this.world.isUp(target, inputTokens, at))
    this.isFailedAvoidably[request] = isAnyUp ? 1 : 0
  }

  #meets(request: number, startedAt: number, outcome: Outcome): boolean {
    const { slo } = this.world.setup
    if (outcome.error !== null || outcome.afterMs > TTFT_TIMEOUT_MS) return false
    if (startedAt + outcome.afterMs - this.world.arrivalAt(request) > slo.ttftMs) return false
    return this.world.outputTokens(request) === 1 || outcome.msPerToken <= slo.msPerOutputToken
  }
}
