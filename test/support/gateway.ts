// Gateways for tests: in this process, or as a process of their own that can be signalled and killed. Each has a
// temporary folder with its configuration and its store.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Log } from '#core/telemetry.ts'
import { startGateway } from '#runtime/node/gateway.ts'
import { type AskOptions, ask, type ClientAnswer, type ClientStream, openStream } from './http-client.ts'

export const KEY = 'sk-test-0123456789'
export const ADMIN_TOKEN = 'admin-test-0123456789'
const COMMAND = join(import.meta.dirname, '../../src/cli/sluice.ts')
const READY_MS_MAX = 30_000

type Json = Record<string, unknown>

export interface LogLine {
  readonly level: string
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** What a test asks of a gateway, wherever it runs. */
export interface TestGateway {
  readonly url: string
  readonly port: number
  readonly folder: string
  /** A chat completion with the test key; the body is completed with `model: m` and a message. */
  chat(body?: Json, options?: AskOptions): Promise<ClientAnswer>
  chatStream(body?: Json, options?: AskOptions): Promise<ClientStream>
  admin(path: string): Promise<Json>
  /** Rows of `GET /admin/v1/requests/{id}`, once the request's own row is there. */
  detail(id: string): Promise<RequestDetail>
  /** The same for an answer. */
  detailOf(answer: { readonly headers: Readonly<Record<string, string>> }): Promise<RequestDetail>
  metrics(): Promise<string>
  /** Writes the configuration file anew. */
  configure(config: Json | string): void
}

export interface RequestDetail extends Json {
  readonly id: string
  readonly status: number
  readonly outcome: string
  readonly error: string | null
  readonly cost: string | null
  readonly model: string | null
  readonly attempts: readonly AttemptDetail[]
  readonly decision: {
    readonly policy: string
    readonly policy_version: string
    readonly sort: string
    readonly value: number | null
    readonly chosen: string | null
    readonly explored: boolean
    readonly propensity: number
    readonly slo_relaxed: boolean
    readonly candidates: readonly {
      readonly target: string
      readonly reason: string
      readonly samples: number
      readonly estimated_cost: string | null
      readonly p_slo: number | null
      readonly utility: number | null
    }[]
    readonly runner_up: {
      readonly target: string
      readonly lost_by: number | null
      readonly measure: string | null
    } | null
    readonly excluded: readonly {
      readonly target: string
      readonly reason: string
      readonly detail: string
    }[]
    readonly counterfactual: readonly {
      readonly quantity: string
      readonly target: string | null
      readonly above: number | null
      readonly below: number | null
    }[]
    readonly later: readonly { readonly target: string; readonly role: string }[]
  }
}

export interface AttemptDetail extends Json {
  readonly target: string
  readonly outcome: string
  readonly role: string
  readonly http_status: number
  readonly upstream_request_id: string | null
  readonly usage: Readonly<Record<string, number | string>>
  readonly cost: {
    readonly amount: string
    readonly lines: readonly {
      readonly item: string
      readonly quantity: number
      readonly price: string
      readonly amount: string
    }[]
  } | null
}

export interface LocalGateway extends TestGateway {
  readonly logs: readonly LogLine[]
  close(): Promise<void>
}

export interface GatewayInput {
  readonly config: Json
  readonly env?: Readonly<Record<string, string>>
  /** Keep the folder of a gateway that ran before. */
  readonly folder?: string
}

export async function startLocalGateway(input: GatewayInput): Promise<LocalGateway> {
  const folder = input.folder ?? mkdtempSync(join(tmpdir(), 'sluice-gateway-'))
  const configPath = writeConfig(folder, input.config)
  const logs: LogLine[] = []
  const gateway = await startGateway({
    configPath,
    env: { SLUICE_STORE: storeIn(folder), SLUICE_JOURNAL: join(folder, 'journal.db'), ...input.env },
    log: collectLog(logs),
  }).catch((error: unknown) => {
    rmSync(folder, { recursive: true, force: true })
    throw error
  })
  return {
    ...clientOf(gateway.url, folder, configPath),
    logs,
    async close() {
      await gateway.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export interface ChildGateway extends TestGateway {
  readonly child: ChildProcess
  /** Standard output and error so far. */
  readonly output: () => string
  readonly exited: Promise<number | null>
  kill(signal: NodeJS.Signals): Promise<number | null>
  /** Kills it where it still runs, and removes its folder unless another one shall have it. */
  close(options?: { readonly keepFolder: boolean }): Promise<void>
}

export async function startChildGateway(input: GatewayInput): Promise<ChildGateway> {
  const folder = input.folder ?? mkdtempSync(join(tmpdir(), 'sluice-gateway-'))
  const configPath = writeConfig(folder, input.config)
  const { child, output, exited } = startSluice(['serve', '--config', configPath], {
    SLUICE_STORE: storeIn(folder),
    SLUICE_JOURNAL: join(folder, 'journal.db'),
    SLUICE_LOG_LEVEL: 'warn',
    ...input.env,
  })
  const url = await untilPrinted(output, exited, /sluice listens on (http:\S+)/)
  const kill = (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal)
    return exited
  }
  return {
    ...clientOf(url, folder, configPath),
    child,
    output,
    exited,
    kill,
    async close(options) {
      await kill('SIGKILL')
      if (options?.keepFolder !== true) rmSync(folder, { recursive: true, force: true })
    },
  }
}

export interface SluiceProcess {
  readonly child: ChildProcess
  readonly output: () => string
  readonly exited: Promise<number | null>
}

/** The `sluice` command as a process. Of this process's environment only what Node needs is handed on. */
export function startSluice(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): SluiceProcess {
  const { PATH = '', HOME = '', TMPDIR } = process.env
  const child = spawn(process.execPath, [COMMAND, ...args], {
    env: { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const add = (data: Buffer): void => {
    text += data.toString()
  }
  child.stdout.on('data', add)
  child.stderr.on('data', add)
  const killWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', killWithUs)
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      process.removeListener('exit', killWithUs)
      resolve(code)
    })
  })
  return { child, output: () => text, exited }
}

/** Waits for a line of a process; returns its first group. @throws with the output when the process ends first */
export async function untilPrinted(
  output: () => string,
  exited: Promise<number | null>,
  pattern: RegExp,
): Promise<string> {
  let code: number | null | undefined
  void exited.then((ended) => {
    code = ended
  })
  let found: string | undefined
  await eventually(() => {
    found = pattern.exec(output())?.[1]
    return found !== undefined || code !== undefined
  }, `${pattern} in the output`)
  if (found === undefined) throw new Error(`the process ended with ${code}:\n${output()}`)
  return found
}

/** Polls until it holds; the deadline is for a machine that is busy with other things. */
export async function eventually(holds: () => unknown, what: string, forMs = READY_MS_MAX): Promise<void> {
  const deadline = performance.now() + forMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`after ${forMs} ms still not: ${what}`)
    await wait(20)
  }
}

const storeIn = (folder: string): string => `sqlite:${join(folder, 'sluice.db')}`

function writeConfig(folder: string, config: Json): string {
  const path = join(folder, 'sluice.yaml')
  writeFileSync(path, JSON.stringify(config, null, 2))
  return path
}

function clientOf(url: string, folder: string, configPath: string): TestGateway {
  const withDefaults = (body: Json): Json => ({
    model: 'm',
    messages: [{ role: 'user', content: 'Say hello.' }],
    ...body,
  })
  const admin = async (path: string): Promise<Json> => {
    const answer = await ask(`${url}/admin/v1${path}`, { key: ADMIN_TOKEN })
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`)
    return answer.json
  }
  async function detail(id: string): Promise<RequestDetail> {
    let detail: RequestDetail | null = null
    await eventually(async () => {
      const answer = await ask(`${url}/admin/v1/requests/${id}`, { key: ADMIN_TOKEN })
      if (answer.status === 200) detail = answer.json as RequestDetail
      return detail !== null && detail.outcome !== 'open'
    }, `request ${id} has ended`)
    return detail as unknown as RequestDetail
  }
  return {
    url,
    port: Number(new URL(url).port),
    folder,
    chat: (body = {}, options = {}) =>
      ask(`${url}/v1/chat/completions`, { key: KEY, body: withDefaults(body), ...options }),
    chatStream: (body = {}, options = {}) =>
      openStream(`${url}/v1/chat/completions`, {
        key: KEY,
        body: withDefaults({ stream: true, ...body }),
        ...options,
      }),
    admin,
    detail,
    detailOf: ({ headers }) => detail(headers['x-request-id'] ?? ''),
    async metrics() {
      const answer = await ask(`${url}/metrics`)
      return answer.text
    },
    configure(config) {
      writeFileSync(configPath, typeof config === 'string' ? config : JSON.stringify(config, null, 2))
    },
  }
}

function collectLog(logs: LogLine[]): Log {
  const at =
    (level: string) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      logs.push({ level, event, fields })
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
