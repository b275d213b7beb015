// Hours of UTC and days of Shanghai, by which stores keep sums.

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
/** Asia/Shanghai has had no daylight saving since 1991, so days are plain arithmetic. */
const SHANGHAI_OFFSET_MS = 8 * HOUR_MS

export function hourStartMs(timeMs: number): number {
  return Math.floor(timeMs / HOUR_MS) * HOUR_MS
}

/** Start of the day in Asia/Shanghai, by which stores may keep sums of whole days. */
export function dayStartMs(timeMs: number): number {
  return Math.floor((timeMs + SHANGHAI_OFFSET_MS) / DAY_MS) * DAY_MS - SHANGHAI_OFFSET_MS
}
