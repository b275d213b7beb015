// Limits of one target or provider as its upstream is believed to keep them: requests, tokens, what runs at once, and
// the cooldown after a refusal. Waiting costs less than an attempt that is refused.

import { Bucket } from './bucket.ts'

export interface QuotaLimits {
  readonly rpm: number | null
  readonly tpm: number | null
  readonly concurrency: number | null
}

/** Without a `retry-after` the wait doubles from refusal to refusal. */
const COOLDOWN_MS = 1_000
const COOLDOWN_MS_MAX = 30_000
/** A refused prompt that alone takes this share of the bucket says little about small ones. */
const LARGE_SHARE = 0.3
/** With this share in use, a refusal is what the mirror would have said, too. */
const EXPECTED_SHARE = 0.75

export class Quota {
  readonly requests: Bucket
  readonly tokens: Bucket
  readonly #concurrency: number
  /** Somebody has said how much it lets through. */
  readonly isDeclared: boolean
  running = 0
  cooldownSinceMs = 0
  cooldownUntilMs = 0
  /** In a cooldown prompts below this many tokens may still go. */
  #refusedTokensMin = 0
  #refusals = 0

  constructor(limits: QuotaLimits) {
    this.requests = new Bucket(limits.rpm)
    this.tokens = new Bucket(limits.tpm)
    this.#concurrency = limits.concurrency ?? Number.POSITIVE_INFINITY
    this.isDeclared = limits.rpm !== null || limits.tpm !== null
  }

  /** Until a request of so many tokens may go; Infinity: it is larger than has ever passed. */
  waitMs(tokens: number, nowMs: number): number {
    const cooling = nowMs < this.cooldownUntilMs && tokens >= this.#refusedTokensMin
    const cooldownMs = cooling ? this.cooldownUntilMs - nowMs : 0
    const limitMs = Math.max(this.requests.waitMs(1, nowMs), this.tokens.waitMs(tokens, nowMs))
    // When something will end nobody knows; ask again soon.
    const busyMs = this.running >= this.#concurrency ? 100 : 0
    return Math.max(cooldownMs, limitMs, busyMs)
  }

  sent(tokens: number, nowMs: number): void {
    this.running++
    this.requests.take(1, nowMs)
    this.tokens.take(tokens, nowMs)
  }

  /** `unused`: of the tokens that were taken. */
  ended(unused: number): void {
    this.running--
    this.tokens.giveBack(unused)
  }

  passed(tokens: number): void {
    this.#refusals = 0
    this.requests.passed(1)
    this.tokens.passed(tokens)
  }

  refused(tokens: number, nowMs: number, retryAfterMs: number | null): void {
    // A refused request uses nothing up.
    this.requests.giveBack(1)
    this.tokens.giveBack(tokens)
    const requestsUsed = this.requests.usedShare(nowMs)
    const tokensUsed = this.tokens.usedShare(nowMs) + tokens / this.tokens.capacity
    const isLarge = tokens / this.tokens.capacity >= LARGE_SHARE
    if (tokensUsed >= requestsUsed) this.tokens.refused(tokens, nowMs)
    else this.requests.refused(1, nowMs)
    const expected = Math.max(requestsUsed, tokensUsed) >= EXPECTED_SHARE
    const backoffMs = Math.min(COOLDOWN_MS * 2 ** Math.min(this.#refusals, 10), COOLDOWN_MS_MAX)
    this.#refusals++
    this.cooldownSinceMs = nowMs
    this.cooldownUntilMs = Math.max(
      this.cooldownUntilMs,
      nowMs + (retryAfterMs ?? (expected ? Math.min(backoffMs, 2 * COOLDOWN_MS) : backoffMs)),
    )
    this.#refusedTokensMin = isLarge ? tokens / 2 : 0
  }
}
