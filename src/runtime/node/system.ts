// Clock, chance and digests of this machine; the only readers of them.

import { createHmac, hash, randomUUID } from 'node:crypto'
import type { Clock, Random } from '#core/ports.ts'

export const clock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, TIMER_MS_MAX))
    return { cancel: () => clearTimeout(timer) }
  },
}

/** Its timers keep no process alive. */
export const backgroundClock: Clock = {
  ...clock,
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, TIMER_MS_MAX))
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
}

/** setTimeout fires at once when asked to wait longer. */
const TIMER_MS_MAX = 2 ** 31 - 1

export const random: Random = {
  unit: () => Math.random(),
  // Begins with the time, so that the index over ids grows at its end; the rest is 62 bits of chance.
  requestId: () => `req_${timeText()}-${randomUUID().slice(UUID_TAIL)}`,
}

let textMs = 0
let text = ''

/** Many requests begin in the same millisecond. */
function timeText(): string {
  const nowMs = Date.now()
  if (nowMs !== textMs) {
    textMs = nowMs
    text = nowMs.toString(36)
  }
  return text
}

/** Where the last two groups of a UUID begin. */
const UUID_TAIL = 19

/** SHA-256, hex. */
export function digest(text: string): string {
  return hash('sha256', text, 'hex')
}

export function hmacSha256(key: string, data: string): Uint8Array {
  return createHmac('sha256', key).update(data).digest()
}
