// The wall clock of a time zone, cheap enough for every request: one question to Intl per zone and quarter of an hour.

const DAY_MINUTES = 24 * 60
/** Since 1972 every zone changes its offset at a whole quarter of an hour, so an offset holds for one. */
const SLOT_MS = 15 * 60_000
const DAY_MS = 24 * 60 * 60_000
/** Where nothing else is said, days are those of Shanghai. */
export const DEFAULT_TIME_ZONE = 'Asia/Shanghai'
/** Re-rating walks through months of slots; live requests need one. */
const SLOTS_MAX = 10_000

/** 1970-01-01 was a Thursday. */
const EPOCH_WEEKDAY = 4

interface WallClock {
  /** Sunday is 0. */
  readonly weekday: number
  readonly minuteOfDay: number
  /** Days since 1970-01-01 on that wall. */
  readonly day: number
}

export type Zone = (atMs: number) => WallClock

const zones = new Map<string, Zone>()

/** @throws RangeError when there is no such zone. */
export function zoneOf(name: string): Zone {
  let zone = zones.get(name)
  if (zone === undefined) {
    zone = makeZone(name)
    zones.set(name, zone)
  }
  return zone
}

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).format(0) !== ''
  } catch {
    return false
  }
}

/** The first instant of a day, given in days since 1970-01-01: 00:00, or later where a clock skips midnight. */
export function startOfDayMs(zone: Zone, day: number): number {
  // No clock is further from Greenwich than fourteen hours; from there it is a short walk.
  const noonMs = day * DAY_MS + DAY_MS / 2
  const { day: noonDay, minuteOfDay } = zone(noonMs)
  let startMs = noonMs - ((noonDay - day) * DAY_MINUTES + minuteOfDay) * 60_000
  while (zone(startMs).day < day) startMs += SLOT_MS
  while (zone(startMs - 1).day >= day) startMs -= SLOT_MS
  return startMs
}

/** The start of the day around an instant. */
export function dayStartIn(timeZone: string, atMs: number): number {
  const zone = zoneOf(timeZone)
  return startOfDayMs(zone, zone(atMs).day)
}

/** The start of the hour on that wall around an instant; no zone is off a minute of UTC. */
export function hourStartIn(timeZone: string, atMs: number): number {
  const minute = Math.floor(atMs / 60_000)
  return (minute - (zoneOf(timeZone)(atMs).minuteOfDay % 60)) * 60_000
}

/** The start of the month around an instant. */
export function monthStartIn(timeZone: string, atMs: number): number {
  const zone = zoneOf(timeZone)
  const { day } = zone(atMs)
  return startOfDayMs(zone, day + 1 - new Date(day * DAY_MS).getUTCDate())
}

/** Whether hours of this zone begin where hours of UTC do, on every day of a range. */
export function hasWholeHours(timeZone: string, fromMs: number, toMs: number): boolean {
  const zone = zoneOf(timeZone)
  for (let day = Math.floor(fromMs / DAY_MS); day * DAY_MS <= toMs; day++)
    if (zone(day * DAY_MS).minuteOfDay % 60 !== 0) return false
  return true
}

function makeZone(name: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    calendar: 'gregory',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  const offsets = new Map<number, number>()
  return (atMs) => {
    const slot = Math.floor(atMs / SLOT_MS)
    let offsetMs = offsets.get(slot)
    if (offsetMs === undefined) {
      if (offsets.size >= SLOTS_MAX) offsets.clear()
      offsetMs = readWallMs(format, slot * SLOT_MS) - slot * SLOT_MS
      offsets.set(slot, offsetMs)
    }
    return wallClock(atMs + offsetMs)
  }
}

/** The wall clock's reading, as if it stood in Greenwich. */
function readWallMs(format: Intl.DateTimeFormat, atMs: number): number {
  const parts: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(atMs)) parts[type] = Number(value)
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

function wallClock(wallMs: number): WallClock {
  const day = Math.floor(wallMs / DAY_MS)
  const weekday = (((day + EPOCH_WEEKDAY) % 7) + 7) % 7
  return { weekday, minuteOfDay: Math.floor((wallMs - day * DAY_MS) / 60_000), day }
}
