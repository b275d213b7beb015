// Figure: what a Redis that freezes costs requests in time.
//   npm run figures -- frozen [--seconds 10] [--rate 60]
// One gateway, requests at a steady rate under a budget and a rate; Redis is stopped (SIGSTOP) amid them. Added to the
// p99 of before: in the first second, and after it. With `on_store_loss: deny`: how long the slowest answer took.
// Prints one JSON line for each figure; exits with 1 when one is missed.

import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { answer } from '../support/chat-bytes.ts'
import type { ChildGateway } from '../support/gateway.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'
import { startThree } from './three.ts'
import { atMost, type Figure } from './windows.ts'

const FIRST_MS_MAX = 250
const LATER_MS_MAX = 1
const HANG_MS_MAX = 1_000
/** A busy machine adds as much by itself from one second to the next. */
const SLACK_MS = 1

interface Sample {
  readonly atMs: number
  readonly tookMs: number
  readonly status: number
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { seconds: { type: 'string', default: '10' }, rate: { type: 'string', default: '60' } },
  })
  const [seconds, rate] = [Number(values.seconds), Number(values.rate)]
  const figures = [...(await measure('lease', seconds, rate)), ...(await measure('deny', seconds, rate))]
  for (const figure of figures) console.log(JSON.stringify(figure))
  return figures.every((figure) => figure.pass) ? 0 : 1
}

async function measure(mode: 'lease' | 'deny', seconds: number, rate: number): Promise<readonly Figure[]> {
  const upstream = await startRawUpstream(answer('ok'))
  const three = await startThree(upstream, { max_budget: '100', rpm: 100_000 }, { on_store_loss: mode })
  const [gateway] = three.gateways
  if (gateway === undefined) throw new Error('there are three')
  await run(gateway, 2, rate)
  const before = await run(gateway, seconds, rate)
  three.redis.pause()
  const frozenMs = performance.now()
  const after = await run(gateway, seconds, rate)
  three.redis.resume()
  await three.close()
  await upstream.close()
  const first = after.filter(({ atMs }) => atMs < frozenMs + 1_000)
  const later = after.filter(({ atMs }) => atMs >= frozenMs + 1_000)
  const [p99, p99First, p99Later] = [percentile(before), percentile(first), percentile(later)]
  const slowest = Math.max(...after.map(({ tookMs }) => tookMs))
  const served = later.filter(({ status }) => status === 200).length
  console.error(
    `${mode}: p99 ${p99.toFixed(2)} ms before, ${p99First.toFixed(2)} in the first second, ${p99Later.toFixed(2)} later; ` +
      `${served} of ${later.length} served later, slowest ${slowest.toFixed(1)} ms`,
  )
  return [
    atMost(`${mode}_added_p99_ms_first_second`, round(Math.max(0, p99First - p99)), FIRST_MS_MAX),
    atMost(`${mode}_added_p99_ms_later`, round(Math.max(0, p99Later - p99 - SLACK_MS)), LATER_MS_MAX),
    atMost(`${mode}_slowest_ms`, round(slowest), HANG_MS_MAX),
  ]
}

async function run(gateway: ChildGateway, seconds: number, rate: number): Promise<readonly Sample[]> {
  const running: Promise<Sample>[] = []
  const beganMs = performance.now()
  for (let index = 0; index < seconds * rate; index += 1) {
    const atMs = beganMs + (index * 1000) / rate
    await wait(Math.max(0, atMs - performance.now()))
    running.push(sample(gateway))
  }
  return Promise.all(running)
}

async function sample(gateway: ChildGateway): Promise<Sample> {
  const atMs = performance.now()
  const { status } = await gateway.chat({ max_tokens: 20 })
  return { atMs, tookMs: performance.now() - atMs, status }
}

function percentile(samples: readonly Sample[]): number {
  const sorted = samples.map(({ tookMs }) => tookMs).sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0
}

const round = (value: number): number => Number(value.toFixed(2))

process.exitCode = await main()
