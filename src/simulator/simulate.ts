// Starts a simulated upstream: a server on loopback that speaks one vendor's dialect. It shares no code with the
// adapters, so that both cannot have the same misunderstanding.

import { randomInt } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Desk } from './dialects/dialect.ts'
import { dialects } from './dialects/table.ts'
import { FaultPicker } from './faults.ts'
import { createRandom } from './random.ts'
import { RateWindow } from './rate-window.ts'
import { createRequestLog, type LoggedRequest } from './request-log.ts'
import { type Station, serve } from './serve.ts'
import type { ModelConfig, SimulatorConfig } from './settings.ts'
import { SimulatedModel } from './simulated-model.ts'

/** What may change while it runs; models are merged by id, everything else is replaced. */
interface Change extends Partial<Omit<SimulatorConfig, 'dialect' | 'models' | 'port'>> {
  readonly models?: Readonly<Record<string, Partial<ModelConfig>>>
}

interface Stats {
  readonly requests: number
  readonly inFlight: number
  readonly inFlightMax: number
  readonly aborted: number
  /** Answers of 400 and above. */
  readonly refused: number
  readonly inputTokens: number
  readonly cachedTokens: number
  readonly outputTokens: number
}

export interface Simulator {
  /** What a gateway is configured with. */
  readonly baseUrl: string
  /** The server itself, without a path. */
  readonly url: string
  readonly port: number
  /** The last requests, oldest first; entries are live until they have ended. */
  readonly requests: readonly LoggedRequest[]
  readonly stats: Stats
  /** Takes effect for requests that begin afterwards. */
  configure(change: Change): Promise<void>
  close(): Promise<void>
}

const LOG_ENTRIES_MAX = 1_000
const LOG_BYTES_MAX = 16 * 1024 * 1024

export async function startSimulator(config: SimulatorConfig): Promise<Simulator> {
  const dialect = dialects[config.dialect]
  const log = createRequestLog(config.logEntriesMax ?? LOG_ENTRIES_MAX, config.logBytesMax ?? LOG_BYTES_MAX)
  const totals = {
    requests: 0,
    inFlight: 0,
    inFlightMax: 0,
    aborted: 0,
    refused: 0,
    inputTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
  }
  const memory = new Map<string, number>()
  let station = createStation(config, log.setBody, memory, 0)

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const entry = openEntry(request, totals.requests++)
    log.add(entry)
    totals.inFlight++
    totals.inFlightMax = Math.max(totals.inFlightMax, totals.inFlight)
    serve(station, entry, request, response)
      // A caller that goes away while its body arrives, or a fault of our own: the connection is of no more use.
      .catch((error: unknown) => {
        entry.aborted ||= (error as { code?: unknown }).code === 'ECONNRESET'
        if (!entry.aborted) console.error('simulator:', error)
        response.destroy()
      })
      .finally(() => {
        totals.inFlight--
        count(totals, entry)
      })
  }

  const server = createServer({ requestTimeout: 0 }, handle)
  await listen(server, config.port ?? 0)
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const settle = async (): Promise<void> => {
    const isRefusing = station.config.faults?.some((rule) => rule.fault === 'refuse') === true
    if (isRefusing && server.listening) await shut(server)
    else if (!isRefusing && !server.listening) await listen(server, port)
  }
  await settle()
  return {
    baseUrl: url + dialect.basePath,
    url,
    port,
    requests: log.entries,
    stats: totals,
    async configure(change) {
      station = changeStation(station, change, log.setBody, memory, totals.requests)
      await settle()
    },
    async close() {
      if (server.listening) await shut(server)
    },
  }
}

type SetBody = (entry: LoggedRequest, body: string) => void

function createStation(
  config: SimulatorConfig,
  setBody: SetBody,
  memory: Map<string, number>,
  seen: number,
): Station {
  const seed = config.seed ?? 1
  const random = createRandom(seed)
  const models = new Map(
    Object.entries(config.models).map(([id, model]) => [id, new SimulatedModel(id, model)]),
  )
  const desk: Desk = {
    limitsOf: (model) => limitsOf(models.get(model)),
    models: config.models,
    endpoints: config.endpoints ?? {},
    options: config.options ?? {},
    // Ids differ from run to run, as they must in anyone's books; delays and answers do not.
    random: createRandom(randomInt(2 ** 32)),
    memory,
    nowMs: () => Date.now(),
    accepts: (key) => (config.keys === undefined ? key !== '' : config.keys.includes(key)),
  }
  return {
    dialect: dialects[config.dialect],
    config,
    models,
    window: new RateWindow(config.limits ?? {}),
    faults: new FaultPicker(config.faults ?? [], createRandom(seed + 1), seen),
    desk,
    random,
    seed,
    setBody,
  }
}

function limitsOf(model: SimulatedModel | undefined): ReturnType<Desk['limitsOf']> {
  if (model?.settings.limits === undefined) return null
  const { rpm, tpm } = model.settings.limits
  const left = model.window.remaining(Date.now())
  return { rpm: rpm ?? null, tpm: tpm ?? null, requestsLeft: left.requests, tokensLeft: left.tokens }
}

/** Models and limits that did not change keep their state; fault rules that did not change keep their counts. */
function changeStation(
  before: Station,
  change: Change,
  setBody: SetBody,
  memory: Map<string, number>,
  seen: number,
): Station {
  const changed = Object.entries(change.models ?? {}).map(([id, model]) => [
    id,
    { ...before.config.models[id], ...model },
  ])
  const config = {
    ...before.config,
    ...change,
    models: { ...before.config.models, ...Object.fromEntries(changed) },
  }
  const next = createStation(config, setBody, memory, seen)
  for (const [id, old] of before.models) {
    if (change.models?.[id] === undefined) next.models.set(id, old)
  }
  return {
    ...next,
    window: change.limits === undefined ? before.window : next.window,
    faults: change.faults === undefined ? before.faults : next.faults,
  }
}

function openEntry(request: IncomingMessage, sequence: number): LoggedRequest {
  const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value ?? '')])
  return {
    sequence,
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: Object.fromEntries(headers),
    receivedAtMs: Date.now(),
    body: '',
    model: '',
    status: null,
    fault: null,
    aborted: false,
    billed: null,
    firstTokenAtMs: null,
    endedAtMs: null,
  }
}

function count(totals: { -readonly [Name in keyof Stats]: number }, entry: LoggedRequest): void {
  if (entry.aborted) totals.aborted++
  if (entry.status !== null && entry.status >= 400) totals.refused++
  totals.inputTokens += entry.billed?.inputTokens ?? 0
  totals.cachedTokens += entry.billed?.cachedTokens ?? 0
  totals.outputTokens += entry.billed?.outputTokens ?? 0
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function shut(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
