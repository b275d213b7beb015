// Figure: ten million rows. A month by model and day, and by key and day, from rollups in under two seconds; any other
// grouping within a minute, on another thread, with progress, while requests are served.
//   node test/figures/reports.ts [--rows 10000000] [--keys 2000] [--folder DIR]   (DIR is kept and used again)

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startGateway } from '../bench/gateway.ts'
import type { LoadJob, LoadResult } from '../bench/load-generator.ts'
import { choosePlacement, stop, Worker } from '../bench/processes.ts'
import { seedLedger } from './seed.ts'

const DAY_MS = 86_400_000
const ROLLUP_SECONDS_MAX = 2
const REPORT_SECONDS_MAX = 60

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '10000000' },
    keys: { type: 'string', default: '2000' },
    folder: { type: 'string' },
  },
})
const rows = Number(values.rows)
const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'sluice-figures-'))
if (values.folder === undefined) process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

const path = join(folder, 'sluice.db')
// A month that ended a day ago, in days of Shanghai.
const endMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - 8 * 3_600_000
const startMs = endMs - 30 * DAY_MS
if (!existsSync(path)) {
  const began = performance.now()
  seedLedger({
    path,
    rows,
    keys: Number(values.keys),
    startMs,
    lengthMs: 30 * DAY_MS,
    onProgress(done) {
      if (done % 1_000_000 === 0) console.error(`seeded ${done / 1e6} million`)
    },
  })
  console.log(`seeded ${rows.toLocaleString('en')} rows in ${seconds(began)} s`)
}
console.log(`the file has ${(statSync(path).size / 2 ** 30).toFixed(1)} GB`)

const placement = choosePlacement()
const mock = new Worker('mock-upstream.ts', [], placement.load)
const generator = new Worker('load-generator.ts', [], placement.load)
const { port: upstreamPort } = await mock.read<{ port: number }>()
// A thread that reads needs a core of its own, or serving shares one with it: the gateway is not pinned.
const delayPath = join(folder, 'loop-delay.jsonl')
const { child, port } = await startGateway({
  folder,
  upstreamPort,
  prefix: [],
  profileFolder: null,
  nodeArguments: ['--import', join(import.meta.dirname, 'loop-delay.ts')],
  env: { SLUICE_FIGURES_DELAY: delayPath },
})
let isMissed = false

await withLoad('no report', 5, async () => wait(5_000))
const month = `from=${new Date(startMs).toISOString()}&to=${new Date(endMs).toISOString()}`
for (const [groups, bucket] of [
  ['model', 'day'],
  ['key', 'day'],
  ['model,target', 'hour'],
] as const)
  await report(groups, bucket, ROLLUP_SECONDS_MAX)
for (const [groups, bucket] of [
  ['team', 'day'],
  ['key,target,tag:team', 'day'],
  ['organisation,provider', 'hour'],
  ['user', null],
] as const)
  await report(groups, bucket, REPORT_SECONDS_MAX)
await stop(child)
process.exit(isMissed ? 1 : 0)

async function report(groups: string, bucket: 'day' | 'hour' | null, secondsMax: number): Promise<void> {
  const name = `by ${groups}${bucket === null ? '' : ` and ${bucket}`}`
  const query = `group_by=${groups}${bucket === null ? '' : `&bucket=${bucket}`}&${month}&limit=500`
  const shares: number[] = []
  let took = 0
  let found = 0
  let total: unknown
  await withLoad(name, REPORT_SECONDS_MAX, async () => {
    const began = performance.now()
    let answer = await fetch(`http://127.0.0.1:${port}/admin/v1/usage?${query}`)
    const location = answer.headers.get('location')
    while (answer.status === 202) {
      shares.push(((await answer.json()) as { progress: number }).progress)
      await wait(250)
      answer = await fetch(`http://127.0.0.1:${port}${location}?limit=500`)
    }
    took = (performance.now() - began) / 1000
    const body = (await answer.json()) as { data?: unknown[]; total?: { attempts: number }; error?: unknown }
    found = body.data?.length ?? 0
    total = body.total?.attempts ?? body.error
  })
  const isIn = took <= secondsMax && total === rows
  isMissed ||= !isIn
  const progress =
    shares.length === 0 ? 'in place' : `progress ${shares.map((share) => share.toFixed(2)).join(' ')}`
  console.log(
    `  ${took.toFixed(2)} s (at most ${secondsMax}): ${isIn ? 'yes' : 'NO'}; ${found} rows on the first page, total ${String(total)}; ${progress.slice(0, 120)}`,
  )
}

/** Runs it under load, and says how late turns of the gateway's event loop were. */
async function withLoad(name: string, secondsMax: number, run: () => Promise<void>): Promise<void> {
  await delays()
  let isOver = false
  let served = 0
  let errors = 0
  const loading = (async () => {
    const began = performance.now()
    while (!isOver && performance.now() - began < secondsMax * 1000) {
      const job: LoadJob = { port, scenario: '1KB', connections: 1, seconds: 0.5, rampMs: 10 }
      const result = await generator.ask<LoadResult>(job)
      served += result.requestsTotal
      errors += result.errors
    }
  })()
  const began = performance.now()
  await run()
  isOver = true
  await loading
  const rate = Math.round(served / ((performance.now() - began) / 1000)).toLocaleString('en')
  const { p50, p99, max } = await delays()
  console.log(
    `${name}: turns of the event loop late by p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, at most ${max.toFixed(1)} ms; ${rate} requests/s served, ${errors} errors`,
  )
}

/** Since the last call. */
async function delays(): Promise<{ readonly p50: number; readonly p99: number; readonly max: number }> {
  rmSync(delayPath, { force: true })
  child.kill('SIGUSR2')
  while (!existsSync(delayPath)) await wait(5)
  return JSON.parse(readFileSync(delayPath, 'utf8'))
}

function seconds(beganMs: number): string {
  return ((performance.now() - beganMs) / 1000).toFixed(1)
}
