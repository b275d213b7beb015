// Starts the gateway as an operator would, from a configuration file, in front of the mock upstream.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { launch } from './processes.ts'
import { BENCH_KEY, BENCH_MODEL } from './scenarios.ts'

const COMMAND = resolve(import.meta.dirname, '../../src/cli/sluice.ts')
const READY_MS_MAX = 20_000
const POLL_MS = 50
const LOG_TAIL_CHARACTERS = 2000

export interface GatewayOptions {
  /** Configuration, store, journal and log go here. */
  readonly folder: string
  readonly upstreamPort: number
  /** Where it runs: words before the command. */
  readonly prefix: readonly string[]
  /** Where the CPU profile goes when the process stops; null: none is taken. */
  readonly profileFolder: string | null
  /** Further arguments of Node, and variables of its environment. */
  readonly nodeArguments?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** The key has a budget and rates, none of which is ever reached. */
  readonly hasLimits?: boolean
}

export interface BenchGateway {
  readonly child: ChildProcess
  readonly port: number
}

/** @throws Error with the end of the log when the gateway does not become ready */
export async function startGateway(options: GatewayOptions): Promise<BenchGateway> {
  const configPath = join(options.folder, 'sluice.yaml')
  const logPath = join(options.folder, 'gateway.log')
  writeFileSync(configPath, JSON.stringify(benchConfig(options), null, 2))
  const port = await freePort()
  const profiling =
    options.profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileFolder}`]
  const args = [...profiling, ...(options.nodeArguments ?? []), COMMAND, 'serve', '--config', configPath]
  const child = launch(args, {
    prefix: options.prefix,
    log: openSync(logPath, 'w'),
    env: {
      ...withoutSluiceSettings(process.env),
      SLUICE_PORT: String(port),
      SLUICE_JOURNAL: join(options.folder, 'journal.db'),
      SLUICE_LOG_LEVEL: 'info',
      ...options.env,
    },
  })
  await untilReady(child, port, logPath)
  return { child, port }
}

/** Waits until no row of the journal is left to ship. @throws Error when it takes too long */
export async function untilShipped(port: number): Promise<void> {
  const deadlineMs = performance.now() + READY_MS_MAX
  while (performance.now() < deadlineMs) {
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    if (/^sluice_journal_rows(\{.*\})? 0$/m.test(metrics)) return
    await wait(POLL_MS)
  }
  throw new Error(`the rows of port ${port} are not shipped in ${READY_MS_MAX} ms`)
}

const LIMITS = {
  max_budget: '1000000000',
  budget_duration: 'month',
  rpm: 1_000_000_000,
  tpm: 1_000_000_000_000,
}

function benchConfig(options: GatewayOptions): object {
  return {
    server: { host: '127.0.0.1' },
    store: `sqlite:${join(options.folder, 'sluice.db')}`,
    providers: {
      mock: {
        use: 'openai-compatible',
        base_url: `http://127.0.0.1:${options.upstreamPort}/v1`,
        allow_private: true,
      },
    },
    prices: {
      'mock/mock-model': {
        currency: 'CNY',
        unit: 'per_million_tokens',
        tiers: [{ input: '0.8', cached_input: '0.16', output: '2' }],
      },
    },
    models: { [BENCH_MODEL]: { policy: 'bench', targets: ['mock/mock-model'] } },
    policies: { bench: { sort: 'price' } },
    keys: [
      { name: 'bench', key: BENCH_KEY, models: [BENCH_MODEL], ...(options.hasLimits === true && LIMITS) },
    ],
  }
}

/** The operator's own settings must not reach the gateway under test. */
function withoutSluiceSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('SLUICE_')))
}

async function untilReady(child: ChildProcess, port: number, logPath: string): Promise<void> {
  const deadlineMs = performance.now() + READY_MS_MAX
  while (performance.now() < deadlineMs && child.exitCode === null) {
    const status = await fetch(`http://127.0.0.1:${port}/readyz`).then(
      (response) => response.status,
      () => 0,
    )
    if (status === 200) return
    await wait(POLL_MS)
  }
  const log = readFileSync(logPath, 'utf8').slice(-LOG_TAIL_CHARACTERS)
  throw new Error(
    `the gateway did not become ready (exit code ${child.exitCode}); its log ends with:\n${log}`,
  )
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
