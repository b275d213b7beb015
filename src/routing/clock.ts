// Instants come from outside: mostly in order, at times a little late, and from a clock that may be set back.

/** Events are told late by less than this; an instant that lies further back is of a clock that was set back. */
const LATE_MS_MAX = 60_000

/** Whether `sinceMs` is of a time that is still to come, as the clock goes now. */
export function wasSetBack(sinceMs: number, nowMs: number): boolean {
  return nowMs < sinceMs - LATE_MS_MAX
}
