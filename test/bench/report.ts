// What the benchmark prints: a table per scenario, and whether its figures may be trusted. No measuring here.

import type { Scenario } from './scenarios.ts'
import { pairedRatios, type Sample, type Spread, spreadOf, spreadOfKnown } from './statistics.ts'

/** Below this the mock or the generator could hide a difference between the proxies. */
const DIRECT_RATIO_MIN = 2.5
/** A core this busy has nothing left; one less busy was waiting. */
const SATURATED_RATIO = 0.95

export interface ScenarioResult {
  readonly scenario: Scenario
  readonly connections: number
  readonly base: string
  readonly candidate: string
  /** The generator straight against the mock. */
  readonly direct: readonly Sample[]
  /** One run more than the candidate has. */
  readonly bare: readonly Sample[]
  readonly runs: readonly Sample[]
}

export interface ScenarioSummary {
  readonly unit: 'request' | 'chunk'
  readonly direct: Spread
  readonly bare: ContenderSummary
  readonly candidate: ContenderSummary
  readonly rateRatio: Spread
  readonly cpuRatio: Spread | null
  readonly directToBare: number
}

interface ContenderSummary {
  readonly rate: Spread
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMicrosPerUnit: Spread | null
  readonly busyRatio: number | null
  readonly loadBusyRatio: number | null
  readonly residentMegabytes: number | null
  readonly errors: number
}

export function summarise(result: ScenarioResult): ScenarioSummary {
  const { direct, bare, runs } = result
  const known = (values: readonly (number | null)[]): readonly number[] =>
    values.filter((value) => value !== null)
  const cpuRatios = known(pairedRatios(bare, runs, (sample) => sample.cpuMicrosPerUnit))
  const directRate = spreadOf(direct.map((sample) => sample.rate))
  const bareSummary = summariseRuns(bare)
  return {
    unit: result.scenario.isStreaming ? 'chunk' : 'request',
    direct: directRate,
    bare: bareSummary,
    candidate: summariseRuns(runs),
    rateRatio: spreadOf(known(pairedRatios(bare, runs, (sample) => sample.rate))),
    cpuRatio: cpuRatios.length === 0 ? null : spreadOf(cpuRatios),
    directToBare: directRate.median / bareSummary.rate.median,
  }
}

function summariseRuns(samples: readonly Sample[]): ContenderSummary {
  return {
    rate: spreadOf(samples.map((sample) => sample.rate)),
    p50Ms: spreadOf(samples.map((sample) => sample.p50Ms)).median,
    p99Ms: spreadOf(samples.map((sample) => sample.p99Ms)).median,
    cpuMicrosPerUnit: spreadOfKnown(samples.map((sample) => sample.cpuMicrosPerUnit)),
    busyRatio: spreadOfKnown(samples.map((sample) => sample.busyRatio))?.median ?? null,
    loadBusyRatio: spreadOfKnown(samples.map((sample) => sample.loadBusyRatio))?.median ?? null,
    residentMegabytes: spreadOfKnown(samples.map((sample) => sample.residentMegabytes))?.max ?? null,
    errors: samples.reduce((sum, sample) => sum + sample.errors, 0),
  }
}

const COLUMNS = [11, 11, 11, 16, 8, 9, 9, 7, 10]

export function formatScenario(result: ScenarioResult, summary: ScenarioSummary): string {
  const { bare, candidate, rateRatio, cpuRatio, unit } = summary
  const row = (name: string, cells: readonly string[]): string =>
    `  ${name.padEnd(16)}${cells.map((cell, index) => cell.padStart(COLUMNS[index] ?? 0)).join('')}`
  const contender = (name: string, of: ContenderSummary): string =>
    row(name, [
      count(of.rate.min),
      count(of.rate.median),
      count(of.rate.max),
      fixed(of.cpuMicrosPerUnit?.median ?? null, unit === 'chunk' ? 2 : 1),
      percent(of.busyRatio),
      fixed(of.p50Ms, 1),
      fixed(of.p99Ms, 1),
      fixed(of.residentMegabytes, 0),
      percent(of.loadBusyRatio),
    ])
  const ratio = (spread: Spread): string[] =>
    [spread.min, spread.median, spread.max].map((value) => value.toFixed(2))
  return [
    `${result.scenario.name}: ${describe(result)}`,
    row(`${unit}s/s`, [
      'min',
      'median',
      'max',
      `CPU µs/${unit}`,
      'busy',
      'p50 ms',
      'p99 ms',
      'RSS MB',
      'load core',
    ]),
    contender(result.base, bare),
    contender(result.candidate, candidate),
    row('ratio, rate', ratio(rateRatio)),
    ...(cpuRatio === null ? [] : [row('ratio, CPU', ratio(cpuRatio))]),
    ...redisLines(result.runs),
    `  ${verdict(result.scenario, summary)}`,
  ].join('\n')
}

/** What the Redis itself uses bounds how many requests a second all instances together may have. */
function redisLines(runs: readonly Sample[]): readonly string[] {
  const micros = spreadOfKnown(runs.map((run) => run.redisMicrosPerRequest))?.median ?? null
  if (micros === null) return []
  return [
    `  Redis uses ${micros.toFixed(1)} µs per request: one has room for ${count(1e6 / micros)} a second`,
  ]
}

function describe({ scenario, connections, runs }: ScenarioResult): string {
  const answers = !scenario.isStreaming
    ? 'answers of 1.2 KB'
    : scenario.chunksPerSecond === null
      ? 'streams of 100 chunks, unpaced'
      : `streams of 100 chunks, ${count(scenario.chunksPerSecond)} chunks/s over all`
  const order = scenario.modelFirst ? 'model first' : 'model after messages'
  return `bodies of ${scenario.bodyBytes / 1024} KB, ${order}; ${answers}; ${connections} connections, ${runs.length} rounds`
}

/** Whether the rates say something of the proxies, or of the tools that measure them. */
function verdict(scenario: Scenario, summary: ScenarioSummary): string {
  if (scenario.chunksPerSecond !== null)
    return 'the rate is the mock’s pace: compare CPU µs/chunk and latency, not chunks/s'
  const { bare, directToBare, unit } = summary
  const direct = `mock and generator alone reach ${count(summary.direct.median)} ${unit}s/s, ${directToBare.toFixed(1)} × the base`
  if (directToBare >= DIRECT_RATIO_MIN) return `${direct}: they are not the bottleneck`
  const isProxyBound = (bare.busyRatio ?? 0) >= SATURATED_RATIO && (bare.loadBusyRatio ?? 1) < SATURATED_RATIO
  if (isProxyBound)
    return `${direct}, below ${DIRECT_RATIO_MIN}; but the proxy's core is the one that is full`
  return `${direct}: NEAR SATURATION of mock and generator; the rates understate differences, compare CPU µs/${unit}`
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function fixed(value: number | null, digits: number): string {
  return value === null ? '-' : value.toFixed(digits)
}

function percent(ratio: number | null): string {
  return ratio === null ? '-' : `${Math.round(ratio * 100)} %`
}
