// Limits of one target or provider as its upstream is believed to keep them: requests, tokens, what runs at once, and
// the cooldown after a refusal. Waiting costs less than an attempt that is refused.

import type { Limits } from '#core/admission.ts'
import { Bucket } from './bucket.ts'
import { wasSetBack } from './clock.ts'

/** How full the buckets were when a request was sent. */
export interface Fullness {
  readonly requests: number
  readonly tokens: number
}

/** Without a `retry-after` the wait doubles from refusal to refusal, where the limits do not explain them. */
const COOLDOWN_MS = 1_000
const COOLDOWN_MS_MAX = 30_000
/** A refused prompt that alone takes this share of the bucket says little about small ones. */
const LARGE_SHARE = 0.25
const STORM_MS = 20_000
/** Where no limit is declared, a rate is made of so many requests of one's own; fewer say nothing of any limit. */
const LEARNT_FROM = 30
/** A refusal shows for so long that limits are enforced. */
const TESTED_MS = 120_000
/** When something will end nobody knows; ask again soon. */
const BUSY_MS = 100

export class Quota {
  readonly requests: Bucket
  readonly tokens: Bucket
  /** Somebody has said how much it lets through. */
  readonly isDeclared: boolean
  running = 0
  cooldownSinceMs = 0
  cooldownUntilMs = 0
  readonly #concurrency: number
  /** In a cooldown prompts below this many tokens may still go. */
  #refusedTokensMin = 0
  #refusals = 0
  #stormSinceMs = Number.NEGATIVE_INFINITY
  #refusedAtMs = Number.NEGATIVE_INFINITY

  constructor(limits: Limits) {
    this.requests = new Bucket(limits.rpm)
    this.tokens = new Bucket(limits.tpm)
    this.#concurrency = limits.concurrency ?? Number.POSITIVE_INFINITY
    this.isDeclared = limits.rpm !== null || limits.tpm !== null
  }

  isCooling(nowMs: number): boolean {
    return nowMs < this.cooldownUntilMs && !wasSetBack(this.cooldownSinceMs, nowMs)
  }

  /** Its limits are declared, and nothing was refused of late: that they bind so early is a guess. */
  isUntested(nowMs: number): boolean {
    return !this.isCooling(nowMs) && nowMs - this.#refusedAtMs > TESTED_MS
  }

  /** Until a request of so many tokens may go; Infinity: it is larger than what fits. */
  waitMs(tokens: number, nowMs: number): number {
    const isCooling = this.isCooling(nowMs) && tokens >= this.#refusedTokensMin
    const cooldownMs = isCooling ? this.cooldownUntilMs - nowMs : 0
    const limitMs = Math.max(this.requests.waitMs(1, nowMs), this.tokens.waitMs(tokens, nowMs))
    return Math.max(cooldownMs, limitMs, this.running >= this.#concurrency ? BUSY_MS : 0)
  }

  /** Minutes of what it lets through that such a request takes. */
  minutesOf(tokens: number): number {
    return Math.max(this.requests.minutesOf(1), this.tokens.minutesOf(tokens))
  }

  sent(tokens: number, nowMs: number): Fullness {
    this.running++
    return { requests: this.requests.take(1, nowMs), tokens: this.tokens.take(tokens, nowMs) }
  }

  /** Limits on tokens count those of answers, too, once they are known. */
  ended(outputTokens: number, nowMs: number): void {
    this.running--
    if (outputTokens > 0) this.tokens.take(outputTokens, nowMs)
  }

  passed(fullness: Fullness): void {
    this.#refusals = 0
    this.requests.passed(fullness.requests)
    this.tokens.passed(fullness.tokens)
  }

  refused(tokens: number, nowMs: number, retryAfterMs: number | null): void {
    this.#refusedAtMs = nowMs
    // A refused request uses nothing up.
    this.requests.giveBack(1)
    this.tokens.giveBack(tokens)
    const requestsExcess = this.requests.excess(1, nowMs)
    const tokensExcess = this.tokens.excess(tokens, nowMs)
    const mayBeLimits = Math.max(requestsExcess, tokensExcess) > 0
    // While something else refuses, no refusal speaks of the limits.
    const isExplained =
      mayBeLimits &&
      Math.abs(nowMs - this.#stormSinceMs) >= STORM_MS &&
      (this.isDeclared || this.requests.recent(nowMs) >= LEARNT_FROM)
    if (isExplained && tokensExcess >= requestsExcess) this.tokens.refused(tokens, nowMs)
    else if (isExplained) this.requests.refused(1, nowMs)
    else if (!mayBeLimits) {
      this.#stormSinceMs = nowMs
      this.requests.doubt(nowMs)
      this.tokens.doubt(nowMs)
    }
    this.#refusals++
    const doublings = isExplained ? 0 : Math.min(this.#refusals - 1, 10)
    const backoffMs = Math.min(COOLDOWN_MS * 2 ** doublings, COOLDOWN_MS_MAX)
    const untilMs = nowMs + (retryAfterMs ?? backoffMs)
    const isCooling = this.isCooling(nowMs)
    this.cooldownSinceMs = nowMs
    if (isCooling && untilMs <= this.cooldownUntilMs) return
    this.cooldownUntilMs = untilMs
    this.#refusedTokensMin = this.tokens.shareOf(tokens) >= LARGE_SHARE ? tokens / 2 : 0
  }
}
