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
  requestId: () => `req_${Date.now().toString(36)}-${randomUUID().slice(UUID_TAIL)}`,
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
