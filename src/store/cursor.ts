// Position of a request in the listing, newest first; the same in every store. No query stands here.

const TIME_DIGITS = 15
const POSITION = /^\d{15}:./

/** Sorts as text like (time, id). */
export function positionOf(timeMs: number, id: string): string {
  return `${String(timeMs).padStart(TIME_DIGITS, '0')}:${id}`
}

export function positionTimeMs(position: string): number {
  return Number(position.slice(0, TIME_DIGITS))
}

export function positionId(position: string): string {
  return position.slice(TIME_DIGITS + 1)
}

/** The cursor that clients see; opaque so that its form may change. */
export function encodeCursor(position: string): string {
  return btoa(encodeURIComponent(position)).replaceAll('=', '')
}

/** @throws RangeError when the cursor is none of ours. */
export function decodeCursor(cursor: string): string {
  let position = ''
  try {
    position = decodeURIComponent(atob(cursor))
  } catch {
    throw new RangeError('unknown cursor')
  }
  if (!POSITION.test(position)) throw new RangeError('unknown cursor')
  return position
}
