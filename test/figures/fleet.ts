// Figure: three instances on one Redis that is ill in every way, under load.
//   npm run figures -- fleet [--seconds 24] [--seed 1] [--only standalone,sentinel,cluster]
// standalone: a tenth of the replies get lost, scripts are flushed all the time, the server is frozen, killed, emptied.
// sentinel: the master is killed and its replica promoted. cluster: one of three masters is killed and replaced.
// What was answered is in the ledger once, and ledger, budget and upstream say the same within a minute of the end.
// Prints one JSON line for each figure; exits with 1 when one is missed.

import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { type ChildGateway, KEY, startChildGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { startRedisSentinels } from '../support/redis-sentinel.ts'
import { sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { temporaryFolder } from '../support/sqlite-ledger.ts'

const INSTANCES = 3
const CALLERS = 12
const LOST_REPLIES = 0.1
const FLUSH_SCRIPTS_MS = 50
const FROZEN_MS = 2_000
const AGREED_MS_MAX = 60_000
const POLL_MS = 500
const INPUT_NANO = 2_000n
const OUTPUT_NANO = 8_000n

interface IllRedis {
  readonly url: string
  /** All that befalls it, spread over the run. */
  suffer(seconds: number): Promise<void>
  stop(): Promise<void>
}

interface Load {
  readonly answered: string[]
  readonly refused: Map<number, number>
}

interface Figure {
  readonly name: string
  readonly value: number | null
  readonly wanted: string
  readonly pass: boolean
}

const STARTS: Readonly<Record<string, (seed: number) => Promise<IllRedis>>> = {
  standalone: startStandalone,
  sentinel: startSentinel,
  cluster: startCluster,
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '24' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string', default: Object.keys(STARTS).join(',') },
    },
  })
  let isWell = true
  for (const name of values.only.split(',')) {
    const start = STARTS[name]
    if (start === undefined) throw new Error(`--only takes ${Object.keys(STARTS).join(', ')}, not "${name}"`)
    for (const figure of await run(name, await start(Number(values.seed)), Number(values.seconds))) {
      console.log(JSON.stringify(figure))
      isWell &&= figure.pass
    }
  }
  return isWell ? 0 : 1
}

async function run(name: string, redis: IllRedis, seconds: number): Promise<readonly Figure[]> {
  let billedNano = 0n
  const upstream = await startRawUpstream((_, count) => {
    const [input, output] = [10 + (count % 7), 5 + (count % 3)]
    billedNano += BigInt(input) * INPUT_NANO + BigInt(output) * OUTPUT_NANO
    return {
      headers: { 'content-type': 'application/json' },
      framing: 'length',
      steps: [answer(input, output)],
    }
  })
  const gateways = await Promise.all(Array.from({ length: INSTANCES }, () => start(upstream, redis.url)))
  const endMs = Date.now() + seconds * 1000
  const load: Load = { answered: [], refused: new Map() }
  const callers = Array.from({ length: CALLERS }, (_, index) => callUntil(gateways, endMs, index, load))
  await redis.suffer(seconds)
  await Promise.all(callers)
  const endedMs = Date.now()
  const agreedMs = await untilAgreed(gateways, upstream, () => billedNano)
  const { lost, doubled } = await audit(gateways, load)
  console.error(
    `${name}: ${load.answered.length} answered, ${[...load.refused].map(([status, count]) => `${count} × ${status}`).join(', ') || 'none refused'}, ${upstream.requests.length} calls of the upstream`,
  )
  for (const gateway of gateways) await gateway.close()
  await upstream.close()
  await redis.stop()
  return [
    atMost(`${name}_answered_and_lost`, lost, 0),
    atMost(`${name}_in_the_ledger_twice`, doubled, 0),
    {
      name: `${name}_seconds_until_all_agree`,
      value: agreedMs === null ? null : Math.max(0, agreedMs - endedMs) / 1000,
      wanted: `at most ${AGREED_MS_MAX / 1000}`,
      pass: agreedMs !== null,
    },
  ]
}

function start(upstream: RawUpstream, url: string): Promise<ChildGateway> {
  return startChildGateway({
    config: configOf({
      providers: { up: upstream.baseUrl },
      prices: { 'up/*': priceOf('2', '8') },
      over: {
        keys: [{ name: 'tester', key: KEY, max_budget: '1000', budget_mode: 'strict', rpm: 10_000_000 }],
      },
    }),
    env: { SLUICE_STORE: url },
  })
}

async function callUntil(
  gateways: readonly ChildGateway[],
  endMs: number,
  caller: number,
  load: Load,
): Promise<void> {
  for (let turn = caller; Date.now() < endMs; turn += 1) {
    const got = await gateways[turn % gateways.length]?.chat({ max_tokens: 20 })
    if (got === undefined) continue
    if (got.status === 200) load.answered.push(got.headers['x-request-id'] ?? '')
    else {
      load.refused.set(got.status, (load.refused.get(got.status) ?? 0) + 1)
      await wait(100)
    }
  }
}

/** When ledger, budget and upstream say the same on each instance, epoch ms; null: not in time. */
async function untilAgreed(
  gateways: readonly ChildGateway[],
  upstream: RawUpstream,
  billedNano: () => bigint,
): Promise<number | null> {
  const deadlineMs = Date.now() + AGREED_MS_MAX
  let seen = ''
  while (Date.now() < deadlineMs) {
    const said = await Promise.all(gateways.map(sayings).map((saying) => saying.catch(String)))
    const wanted = JSON.stringify([upstream.requests.length, String(billedNano()), String(billedNano())])
    if (said.every((one) => one === wanted)) return Date.now()
    seen = `wanted ${wanted}, got ${said.join(' ')}`
    await wait(POLL_MS)
  }
  console.error(seen)
  return null
}

/** Attempts and cost of the ledger, and what the budget has spent. */
async function sayings(gateway: ChildGateway): Promise<string> {
  const { total } = (await gateway.admin('/usage?group_by=key')) as {
    total: { attempts: number; cost: string }
  }
  const { data } = (await gateway.admin('/budgets')) as {
    data: { id: string; budget: { spent: string | null } | null }[]
  }
  const spent = data.find(({ id }) => id === 'key:tester')?.budget?.spent ?? 'nothing'
  return JSON.stringify([total.attempts, nanoText(total.cost), nanoText(spent)])
}

function nanoText(amount: string): string {
  const [whole = '0', fraction = ''] = amount.split('.')
  return /^\d+$/.test(whole) ? String(BigInt(whole + fraction.padEnd(9, '0'))) : amount
}

/** Each answered request, asked for at another instance than the one before. */
async function audit(
  gateways: readonly ChildGateway[],
  { answered }: Load,
): Promise<{ readonly lost: number; readonly doubled: number }> {
  let lost = 0
  let doubled = 0
  for (const [index, id] of answered.entries()) {
    const found = await gateways[index % gateways.length]?.detail(id).catch(() => null)
    if (found === null || found === undefined || found.attempts.length === 0) lost += 1
    else if (found.attempts.length > 1) doubled += 1
  }
  return { lost, doubled }
}

async function startStandalone(seed: number): Promise<IllRedis> {
  const folder = temporaryFolder()
  const keeping = { appendOnly: true, folder: folder.path } as const
  let server = await startRedis(keeping)
  const proxy = await startFaultProxy(server.port, seed)
  const flushing = setInterval(
    () => void sendRedisCommand(server.url, 'SCRIPT FLUSH').catch(() => undefined),
    FLUSH_SCRIPTS_MS,
  )
  return {
    url: `redis://127.0.0.1:${proxy.port}`,
    async suffer(seconds) {
      const pause = (): Promise<void> => wait((seconds * 1000) / 5)
      await pause()
      proxy.dropReplies(LOST_REPLIES)
      await pause()
      server.pause()
      await wait(FROZEN_MS)
      server.resume()
      await pause()
      await server.kill()
      await wait(FROZEN_MS)
      server = await startRedis({ ...keeping, port: server.port })
      await pause()
      await sendRedisCommand(server.url, 'FLUSHALL')
      await pause()
      proxy.dropReplies(0)
    },
    async stop() {
      clearInterval(flushing)
      await proxy.stop()
      await server.stop()
      folder.remove()
    },
  }
}

async function startSentinel(): Promise<IllRedis> {
  const running = await startRedisSentinels()
  return {
    url: running.url,
    async suffer(seconds) {
      await wait((seconds * 1000) / 2)
      await running.master.kill()
      await running.promoted()
    },
    stop: () => running.stop(),
  }
}

async function startCluster(): Promise<IllRedis> {
  const cluster = await startRedisCluster({ hasReplicas: true })
  return {
    url: cluster.url,
    async suffer(seconds) {
      await wait((seconds * 1000) / 2)
      await cluster.masterOf('{sluice}').kill()
    },
    stop: () => cluster.stop(),
  }
}

function answer(input: number, output: number): string {
  return JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'x',
    choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
  })
}

const atMost = (name: string, value: number, limit: number): Figure => ({
  name,
  value,
  wanted: String(limit),
  pass: value <= limit,
})

process.exitCode = await main()
