// Order statistics of the rounds, and of each gateway run against the base runs beside it.

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** One run of one contender. */
export interface Sample {
  /** Requests per second, or chunks per second of streams. */
  readonly rate: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly errors: number
  readonly firstError: string | null
  /** null where the system does not count. */
  readonly cpuMicrosPerUnit: number | null
  /** Share of one core that the contender used. */
  readonly busyRatio: number | null
  /** Share of one core that the mock and the generator used together. */
  readonly loadBusyRatio: number | null
  readonly residentMegabytes: number | null
  /** What the Redis beside it used; null: there is none. */
  readonly redisMicrosPerRequest: number | null
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((left, right) => left - right)
  return { min: sorted[0] ?? Number.NaN, median: medianOf(sorted), max: sorted.at(-1) ?? Number.NaN }
}

/** null when the system gave none. */
export function spreadOfKnown(values: readonly (number | null)[]): Spread | null {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : spreadOf(known)
}

/**
 * Each run against the mean of the base runs before and after it, so that a slow drift of the machine falls out.
 * `base` has one run more than `runs`.
 */
export function pairedRatios(
  base: readonly Sample[],
  runs: readonly Sample[],
  read: (sample: Sample) => number | null,
): readonly (number | null)[] {
  return runs.map((run, round) => {
    const neighbours = [base[round], base[round + 1]].filter((sample) => sample !== undefined).map(read)
    const value = read(run)
    const known = neighbours.filter((neighbour) => neighbour !== null)
    if (value === null || known.length === 0) return null
    return value / (known.reduce((sum, neighbour) => sum + neighbour, 0) / known.length)
  })
}

function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
