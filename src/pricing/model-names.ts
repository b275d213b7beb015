// What names of models say: which snapshot of a model, and which other names mean the same.

/** Snapshots as vendors date them: `-2025-07-14`, `-20250711`, `-250828`. */
const SNAPSHOT = /-(?:20)?(\d\d)(-?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])$/

/**
 * The name without its snapshot's date; null when it has none. `-0324` or `-2507` stay: such endings also tell
 * models of different prices apart (qwen3-235b-a22b-instruct-2507).
 */
export function undated(model: string): string | null {
  const match = SNAPSHOT.exec(model)
  return match === null ? null : model.slice(0, match.index)
}

/** The date of a snapshot as yymmdd, so that the newest is the largest; 0 when the name has none. */
export function snapshotDate(model: string): number {
  const match = SNAPSHOT.exec(model)
  return match === null ? 0 : Number(`${match[1]}${match[3]}${match[4]}`)
}

/** Vendors and their answers do not agree on case (`ERNIE-Speed-128K`, `ernie-speed-128k`). */
export function foldCase(model: string): string {
  return model.toLowerCase()
}
