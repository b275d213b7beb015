// Figure: the scale of 120 billion tokens a day, 1,389 complete rows a second of a thousand tokens each, for ten minutes
// on one core of gateway, from a trace of real requests, looped and compressed in time.
//   node test/figures/trace.ts [--seconds 600] [--rate 1450] [--trace FILE]

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startGateway } from '../bench/gateway.ts'
import { choosePlacement, cpuMs, residentMegabytes, stop, Worker } from '../bench/processes.ts'
import type { Arrival, TraceJob, TraceResult } from './trace-load.ts'

const RATE_MIN = 1_389
const TRACE = join(import.meta.dirname, '../bench/routing/traces/azure-code-2023.csv')

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    rate: { type: 'string', default: '1450' },
    trace: { type: 'string', default: TRACE },
  },
})
const arrivals = readFileSync(values.trace, 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line): Arrival => {
    const [atMs = 0, inputTokens = 0, outputTokens = 0] = line.split(',').map(Number)
    return { atMs, inputTokens, outputTokens }
  })
const folder = mkdtempSync(join(tmpdir(), 'sluice-figures-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

const placement = choosePlacement()
const upstream = new Worker('../figures/trace-upstream.ts', [], placement.load)
const load = new Worker('../figures/trace-load.ts', [], placement.load)
const { port: upstreamPort } = await upstream.read<{ port: number }>()
const gateway = await startGateway({
  folder,
  upstreamPort,
  prefix: placement.proxy,
  profileFolder: null,
  env: { SLUICE_LOG_LEVEL: 'warn' },
})
console.log(`${placement.note}; ${arrivals.length} requests of ${values.trace.split('/').at(-1)}, looped`)
const cpuBefore = cpuMs(gateway.child.pid ?? 0) ?? 0
const job: TraceJob = {
  port: gateway.port,
  seconds: Number(values.seconds),
  perSecond: Number(values.rate),
  arrivals,
}
const result = await load.ask<TraceResult>(job)
const busy = ((cpuMs(gateway.child.pid ?? 0) ?? 0) - cpuBefore) / (result.seconds * 1000)
// Reports are at most a second behind.
await wait(1_000)
const answer = await fetch(`http://127.0.0.1:${gateway.port}/admin/v1/usage`)
const { total } = (await answer.json()) as {
  total: { attempts: number; input_tokens: number; output_tokens: number; estimated_attempts: number }
}
const served = await upstream.ask<{ answers: number; inputTokens: number; outputTokens: number }>({})
const memory = residentMegabytes(gateway.child.pid ?? 0)
await stop(gateway.child)

const rate = result.answered / result.seconds
const slowest = Math.min(rate, ...result.rates)
const isSame =
  total.attempts === served.answers &&
  total.input_tokens === served.inputTokens &&
  total.output_tokens === served.outputTokens &&
  total.attempts === result.answered
const isMet = rate >= RATE_MIN && result.errors === 0 && isSame
const whole = (value: number): string => Math.round(value).toLocaleString('en')
console.log(`${whole(result.answered)} requests in ${result.seconds.toFixed(1)} s: ${whole(rate)} rows/s`)
console.log(`  the slowest ten seconds ${whole(slowest)}; ${result.errors} errors ${result.firstError ?? ''}`)
console.log(
  `  ${whole((total.input_tokens + total.output_tokens) / result.seconds)} tokens/s, which is ${((((total.input_tokens + total.output_tokens) / result.seconds) * 86_400) / 1e9).toFixed(0)} billion a day`,
)
console.log(
  `  gateway: ${(busy * 100).toFixed(0)} % of a core, ${memory?.toFixed(0) ?? '-'} MB; p50 ${result.p50Ms.toFixed(1)}, p99 ${result.p99Ms.toFixed(1)} ms`,
)
console.log(
  `  ledger ${whole(total.attempts)}, upstream ${whole(served.answers)}, clients ${whole(result.answered)} rows; tokens ${isSame ? 'agree' : 'DIFFER'}`,
)
console.log(isMet ? 'reached' : 'MISSED')
process.exit(isMet ? 0 : 1)
