// `npm run bench`: the gateway against a bare proxy under the same load, in turns, on one core each. Exits with 1
// when an answer was wrong, never because one was slow, and with 2 when it was called wrongly.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
import { startGateway, untilShipped } from './gateway.ts'
import type { LoadJob, LoadResult } from './load-generator.ts'
import { type BenchOptions, HELP, readOptions } from './options.ts'
import {
  choosePlacement,
  cpuMs,
  moveToLoad,
  type Placement,
  residentMegabytes,
  stop,
  Worker,
} from './processes.ts'
import { booksShare } from './profile-share.ts'
import { formatScenario, type ScenarioResult, summarise } from './report.ts'
import type { Scenario } from './scenarios.ts'
import type { Sample } from './statistics.ts'

/** Connections open and the first requests pass before anything is counted. */
const RAMP_MS = 200
/** Between two runs, so that what one leaves behind is not charged to the next. */
const PAUSE_MS = 50
const WARM_UP_SECONDS = 1.5
const DIRECT_RUNS = 3
const DIRECT_SECONDS = 0.8
/** Of a profile: long enough for the optimised code to dominate. */
const PROFILE_SECONDS_MIN = 5

interface Contender {
  readonly name: string
  readonly pid: number
  readonly port: number
  /** What its rows are shipped to; absent: nothing. */
  readonly redis?: RedisServer
}

interface Bench {
  readonly options: BenchOptions
  readonly placement: Placement
  readonly folder: string
  readonly mock: Worker
  readonly mockPort: number
  readonly generator: Worker
}

async function main(): Promise<number> {
  const options = readOptionsOrExplain()
  if (options === null) return 2
  if (options.isHelp) {
    console.log(HELP)
    return 0
  }
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  // A profile is what was asked for, so its folder stays.
  if (!options.isProfile) process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  // Leaving by exit() kills the children and removes the folder.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))
  const placement = choosePlacement()
  console.log(
    `Node ${process.versions.node}, ${cpus()[0]?.model ?? 'unknown CPU'}; ${placement.note}; all on 127.0.0.1`,
  )
  const mock = new Worker('mock-upstream.ts', [], placement.load)
  const generator = new Worker('load-generator.ts', [], placement.load)
  const { port: mockPort } = await mock.read<{ port: number }>()
  const bench: Bench = { options, placement, folder, mock, mockPort, generator }
  const errors = options.isProfile ? await profile(bench) : await compare(bench)
  if (errors > 0) console.error(`${errors} answers were wrong`)
  return errors > 0 ? 1 : 0
}

function readOptionsOrExplain(): BenchOptions | null {
  try {
    return readOptions(process.argv.slice(2))
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`)
    return null
  }
}

async function startBoth(bench: Bench): Promise<readonly [base: Contender, candidate: Contender]> {
  if (bench.options.isRedis) {
    const redis = await startRedis()
    // Leaving by exit() stops it.
    moveToLoad(bench.placement, redis.pid)
    return [await startCandidate(bench, 'SQLite'), await startCandidate(bench, 'with Redis', redis)]
  }
  const bare = await startBareProxy(bench, 'bare proxy')
  if (bench.options.isSelf) return [bare, await startBareProxy(bench, 'bare proxy too')]
  return [bare, await startCandidate(bench, 'gateway')]
}

/** Returns the number of wrong answers. */
async function compare(bench: Bench): Promise<number> {
  const { options } = bench
  const [bare, candidate] = await startBoth(bench)
  const results: ScenarioResult[] = []
  let errors = 0
  for (const scenario of options.scenarios) {
    const result = await compareScenario(bench, scenario, bare, candidate)
    results.push(result)
    console.log(`\n${formatScenario(result, summarise(result))}`)
    for (const sample of [...result.direct, ...result.bare, ...result.runs]) errors += sample.errors
  }
  if (options.jsonPath !== null) writeJson(options.jsonPath, bench, results)
  return errors
}

async function compareScenario(
  bench: Bench,
  scenario: Scenario,
  bare: Contender,
  candidate: Contender,
): Promise<ScenarioResult> {
  const { options } = bench
  const direct: Contender = { name: 'mock', pid: bench.mock.pid, port: bench.mockPort }
  await bench.mock.ask({ chunksPerSecond: scenario.chunksPerSecond })
  for (const contender of [bare, candidate, direct]) await warmUp(bench, scenario, contender)
  const directSamples: Sample[] = []
  for (let run = 0; run < DIRECT_RUNS; run += 1)
    directSamples.push(await measure(bench, scenario, direct, DIRECT_SECONDS))
  const bareSamples = [await measure(bench, scenario, bare, options.seconds)]
  const samples: Sample[] = []
  for (let round = 0; round < options.rounds; round += 1) {
    samples.push(await measure(bench, scenario, candidate, options.seconds))
    bareSamples.push(await measure(bench, scenario, bare, options.seconds))
  }
  return {
    scenario,
    connections: options.connections,
    base: bare.name,
    candidate: candidate.name,
    direct: directSamples,
    bare: bareSamples,
    runs: samples,
  }
}

/** @throws Error when nothing works, so that a broken gateway is not measured for minutes */
async function warmUp(bench: Bench, scenario: Scenario, contender: Contender): Promise<void> {
  const sample = await measure(bench, scenario, contender, WARM_UP_SECONDS)
  if (sample.rate > 0 && sample.errors === 0) return
  throw new Error(
    `${contender.name} fails at ${scenario.name}: ${sample.errors} errors, first: ${sample.firstError ?? 'no answer'}`,
  )
}

async function measure(
  bench: Bench,
  scenario: Scenario,
  contender: Contender,
  seconds: number,
): Promise<Sample> {
  await wait(PAUSE_MS)
  const cpuBeforeMs = cpuMs(contender.pid)
  const loadBeforeMs = loadCpuMs(bench)
  const { redis } = contender
  const redisBeforeMs = redis === undefined ? null : cpuMs(redis.pid)
  const result = await load(bench, scenario, contender.port, seconds)
  // What it still has to do for these requests is of their cost.
  if (redis !== undefined) await untilShipped(contender.port)
  const redisUsedMs = redis === undefined ? null : difference(cpuMs(redis.pid), redisBeforeMs)
  const cpuUsedMs = difference(cpuMs(contender.pid), cpuBeforeMs)
  const loadUsedMs = difference(loadCpuMs(bench), loadBeforeMs)
  const units = scenario.isStreaming ? result.chunksTotal : result.requestsTotal
  const { requestsPerSecond, p50Ms, p99Ms, errors, firstError, wallMs } = result
  if (firstError !== null)
    console.error(`${contender.name}, ${scenario.name}: ${errors} errors, first: ${firstError}`)
  return {
    rate: scenario.isStreaming ? result.chunksPerSecond : requestsPerSecond,
    requestsPerSecond,
    p50Ms,
    p99Ms,
    errors,
    firstError,
    cpuMicrosPerUnit: cpuUsedMs === null || units === 0 ? null : (cpuUsedMs * 1000) / units,
    busyRatio: cpuUsedMs === null ? null : cpuUsedMs / wallMs,
    loadBusyRatio: loadUsedMs === null ? null : loadUsedMs / wallMs,
    residentMegabytes: residentMegabytes(contender.pid),
    redisMicrosPerRequest:
      redisUsedMs === null || result.requestsTotal === 0 ? null : (redisUsedMs * 1000) / result.requestsTotal,
  }
}

function load(bench: Bench, scenario: Scenario, port: number, seconds: number): Promise<LoadResult> {
  const { connections } = bench.options
  const job: LoadJob = { port, scenario: scenario.name, connections, seconds, rampMs: RAMP_MS }
  return bench.generator.ask<LoadResult>(job)
}

/** Each scenario gets a gateway of its own, since a profile is written when the process ends. */
async function profile(bench: Bench): Promise<number> {
  const { options, placement, folder, mockPort } = bench
  const seconds = Math.max(options.seconds, PROFILE_SECONDS_MIN)
  let errors = 0
  for (const scenario of options.scenarios) {
    const profileFolder = mkdtempSync(join(folder, `${scenario.name}-`))
    await bench.mock.ask({ chunksPerSecond: scenario.chunksPerSecond })
    const gateway = await startGateway({
      folder: profileFolder,
      upstreamPort: mockPort,
      prefix: placement.proxy,
      profileFolder,
      hasLimits: options.hasLimits,
    })
    const result = await load(bench, scenario, gateway.port, seconds)
    await stop(gateway.child)
    errors += result.errors
    if (result.firstError !== null) console.error(`${scenario.name}: ${result.firstError}`)
    // One file per thread; the main thread's comes first.
    const files = readdirSync(profileFolder).filter((name) => name.endsWith('.cpuprofile'))
    if (files.length === 0) console.error(`no profile: the gateway did not stop by itself`)
    for (const name of files.sort()) console.log(`${scenario.name}: ${join(profileFolder, name)}`)
    const [main] = files
    if (main === undefined) continue
    const shares = booksShare(join(profileFolder, main))
    console.log(`  ${shares.map(({ name, share }) => `${name} ${(share * 100).toFixed(1)} %`).join(', ')}`)
  }
  return errors
}

async function startBareProxy(bench: Bench, name: string): Promise<Contender> {
  const worker = new Worker('bare-proxy.ts', [String(bench.mockPort)], bench.placement.proxy)
  const { port } = await worker.read<{ port: number }>()
  return { name, pid: worker.pid, port }
}

async function startCandidate(bench: Bench, name: string, redis?: RedisServer): Promise<Contender> {
  const { mockPort, placement } = bench
  const gateway = await startGateway({
    folder: mkdtempSync(join(bench.folder, 'gateway-')),
    upstreamPort: mockPort,
    prefix: placement.proxy,
    profileFolder: null,
    hasLimits: bench.options.hasLimits,
    ...(redis !== undefined && { env: { SLUICE_STORE: redis.url } }),
  })
  const contender = { name, pid: gateway.child.pid ?? 0, port: gateway.port }
  return redis === undefined ? contender : { ...contender, redis }
}

function loadCpuMs(bench: Bench): number | null {
  const mock = cpuMs(bench.mock.pid)
  const generator = cpuMs(bench.generator.pid)
  return mock === null || generator === null ? null : mock + generator
}

function difference(after: number | null, before: number | null): number | null {
  return after === null || before === null ? null : after - before
}

function writeJson(path: string, bench: Bench, results: readonly ScenarioResult[]): void {
  const report = {
    node: process.versions.node,
    cpu: cpus()[0]?.model ?? null,
    placement: bench.placement.note,
    scenarios: results.map((result) => ({ ...result, summary: summarise(result) })),
  }
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`)
}

try {
  process.exit(await main())
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exit(1)
}
