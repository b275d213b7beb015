// The gateway on Node: reads the configuration, wires the ports, listens, reloads, drains.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HttpBindings } from '@hono/node-server'
import { getRequestListener } from '@hono/node-server'
import type { Scope } from '#core/admission.ts'
import type { ProviderSettings, Settings } from '#core/settings.ts'
import type { Log } from '#core/telemetry.ts'
import { createApp } from '#http/app.ts'
import { DrainDesk } from '#pipeline/abandoned.ts'
import type { Deps } from '#pipeline/context.ts'
import { TokenCache } from '#pipeline/credentials.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { compileLive, type Live } from '#pipeline/live.ts'
import { OutputGauge } from '#pipeline/output-gauge.ts'
import { recoverRow } from '#pipeline/recovered.ts'
import { scopesOf } from '#pipeline/scopes.ts'
import { BalanceBook } from '#pricing/balance-book.ts'
import { Planner } from '#routing/planner.ts'
import { noProviderEnabled } from '#settings/load.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { openAdmission } from './admission.ts'
import { followAlerts } from './alerts.ts'
import { followBalances } from './balances.ts'
import { keepHalfClosed } from './half-closed.ts'
import { nodeInference, peerOf, serveInference } from './inference.ts'
import { createKeyRing, createNodeKeys } from './keys.ts'
import { openLedger, pathOfStore } from './ledger.ts'
import { pastWork } from './past-work.ts'
import { PriceCopies, withCopies } from './price-copies.ts'
import { PriceLists } from './price-lists.ts'
import { priced } from './priced.ts'
import { findProviderFolders, type ProviderFolders, priceFileOf } from './providers.ts'
import {
  ConfigError,
  catalogueOf,
  createPepper,
  type Environment,
  readConfig,
  refuseTakenNames,
} from './read-config.ts'
import { seedRates } from './recent-rates.ts'
import { clock, digest, hmacSha256, random } from './system.ts'
import { createNodeUpstream } from './upstream.ts'
import { watchFile } from './watch.ts'

/** Time for a load balancer to see `/readyz` fail before the listener closes. */
const DRAIN_LISTEN_MS = 500

const TURNS_MAX = 100

export interface GatewayOptions {
  readonly configPath: string
  readonly env: Environment
  readonly log: Log
}

export interface Gateway {
  readonly url: string
  readonly settings: Settings
  readonly store: string
  /** Stops taking requests, lets running ones end within the drain time, flushes and closes. */
  close(): Promise<void>
}

/** @throws ConfigError, and Error when nothing can be served or the port is in use */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const opened = new AsyncDisposableStack()
  try {
    return await open(options, opened)
  } catch (error) {
    // A port in use must leave no file locked and no thread running.
    await opened.disposeAsync()
    throw error
  }
}

async function open(options: GatewayOptions, opened: AsyncDisposableStack): Promise<Gateway> {
  const { log } = options
  const folders = await findProviderFolders()
  const balances = new BalanceBook([], false)
  const pepper = createPepper(options.env)
  const read = (lists: ProviderFolders): Promise<Live> =>
    readConfig(options.configPath, options.env, lists, balances, pepper)
  let live = await read(folders)
  const { settings } = live
  const server = createServer()
  const missing = noProviderEnabled(settings)
  if (missing !== null) throw new Error(missing)
  const storePath = pathOfStore(settings.store, options.env['SLUICE_JOURNAL'])
  const copies = new PriceCopies(storePath === null ? null : `${storePath}.prices`, log)
  const { lists: listsAtStart, kept } = await withCopies(folders, priceFileOf, copies)
  live = compileLive(settings, catalogueOf(settings, listsAtStart, balances))
  const metrics = createMetrics()
  const ledger = openLedger({
    url: settings.store,
    journalPath: options.env['SLUICE_JOURNAL'],
    settings: settings.ledger,
    metrics,
    log,
  })
  opened.defer(() => ledger.close())
  const upstream = createNodeUpstream()
  opened.defer(() => upstream.close())
  pepper.keep(settings.store)
  const ring = createKeyRing()
  const scopesInForce = (): readonly Scope[] => scopesOf(live.settings, ring)
  const { desk, budgets } = openAdmission({ ledger, live: () => live, scopesInForce, metrics, log })
  opened.defer(() => budgets.close())
  let onPepper = async (): Promise<void> => {
    live = await read(folders)
  }
  const keys = createNodeKeys(ring, {
    shared: ledger.keys,
    pepper,
    live: () => live,
    budgets,
    log,
    onPepper: () => onPepper(),
  })
  opened.defer(() => keys.close())
  await keys.open()
  await ledger.ready
  refuseTakenNames(live, ring)
  const nowMs = clock.nowMs()
  ledger.recover((row, crash) => recoverRow(live, ring, row, { ...crash, nowMs }))
  await budgets.seed(scopesInForce())
  const balanceReader = await followBalances(balances, ledger.balances, ledger.isShared, log)
  opened.defer(() => balanceReader.close())
  // The windows of a fleet are where all of it sees them.
  if (ledger.fleet === null) await seedRates(desk, ledger.store, live.settings, ring, log)
  const deps: Deps = {
    clock,
    random,
    upstream,
    journal: ledger.journal,
    metrics,
    log,
    planner: new Planner({ random: random.unit }),
    tokens: new TokenCache(clock, upstream, hmacSha256),
    admission: desk,
    gauge: new InputGauge(),
    outputGauge: new OutputGauge(),
    drains: new DrainDesk(settings.server.abandoned, metrics),
    hmacSha256,
    digest,
    digestKey: (secret) => pepper.digest(secret, live.settings.secret, settings.store),
    keys: ring,
    load: { inFlight: 0, bodyBytes: 0 },
    live: () => live,
  }
  metrics.settingsReloaded(clock.nowMs())
  const prices = new PriceLists({
    lists: listsAtStart,
    kept,
    fileOf: priceFileOf,
    log,
    metrics,
    nowMs: () => clock.nowMs(),
    onChange: (lists, changed) => {
      live = compileLive(live.settings, catalogueOf(live.settings, lists, balances))
      void copies.write(changed)
    },
  })
  opened.defer(() => prices.close())
  const copied = Promise.all(
    listsAtStart.filter(({ provider }) => !kept.has(provider)).map((list) => copies.write(list)),
  )
  opened.defer(async () => void (await copied))
  const reload = async (): Promise<void> => {
    try {
      const current = { ...folders, lists: prices.lists }
      const next = await read(current)
      refuseTakenNames(next, ring)
      await budgets.seedRunning(scopesOf(next.settings, ring))
      applyReload(deps, live, next, log)
      boundReading(server, next.settings)
      // Prices may have changed while the ledger was asked.
      live = compileLive(next.settings, catalogueOf(next.settings, prices.lists, balances))
      desk.keep(scopesInForce())
      metrics.settingsReloaded(clock.nowMs())
      log.info('settings.reloaded', { models: next.settings.models.size, keys: next.settings.keys.length })
      for (const notice of next.settings.notices) log.warn('settings.notice', { notice })
    } catch (error) {
      metrics.settingsReloadFailed()
      const problems = error instanceof ConfigError ? error.problems : [{ message: String(error) }]
      log.error('settings.reload_failed', { problems })
    }
  }
  const alerts = followAlerts({
    ...ledger.alerts,
    admission: desk,
    scopes: scopesInForce,
    settings: () => live.settings,
    secret: () => live.settings.secret ?? pepper.own(settings.store),
    upstream,
    clock,
    metrics,
    log,
  })
  opened.defer(() => alerts.close())
  let reloading = Promise.resolve()
  // One after the other, so that the file's last state is the one in force.
  const reloadNext = (): Promise<void> => {
    reloading = reloading.then(reload)
    return reloading
  }
  onPepper = reloadNext
  const watcher = watchFile(options.configPath, () => void reloadNext())
  opened.defer(() => watcher.close())
  let isReady = true
  const app = createApp<HttpBindings>({
    deps,
    log,
    store: ledger.store,
    corrections: ledger.corrections,
    alerts: ledger.alerts.fleet ?? ledger.alerts.book,
    ...pastWork(ledger, {
      live: () => live,
      priced: (over) => priced(options, { ...folders, lists: prices.lists }, pepper, live, over),
    }),
    keyDesk: keys.desk,
    peerOf: (context) => peerOf(context.env.incoming as IncomingMessage),
    inference: nodeInference(deps),
    isReady: () => isReady,
    storeTrouble: ledger.trouble,
    listensOnLoopback: isLoopback(settings.server.host),
    startedSeconds: Math.floor(clock.nowMs() / 1000),
  })
  const listen = getRequestListener(app.hono.fetch, { overrideGlobalObjects: false })
  server.on('request', (request, response) => {
    const api = app.inferenceAt(request.method ?? '', pathOf(request.url ?? ''))
    if (api === null) void listen(request, response)
    else serveInference(deps, request, response, api)
  })
  boundReading(server, settings)
  keepHalfClosed(server)
  await openPort(server, settings.server.host, settings.server.port)
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${settings.server.host.includes(':') ? `[${settings.server.host}]` : settings.server.host}:${port}`,
    settings,
    store: ledger.describe,
    async close() {
      isReady = false
      sayGoodbye(server)
      await drain(server, deps, live.settings.server.drainMs)
      await untilAllEnded(deps)
      await opened.disposeAsync()
    },
  }
}

/** What of the running state a new configuration makes stale. */
function applyReload(deps: Deps, before: Live, after: Live, log: Log): void {
  const targets = new Set<string>()
  for (const model of after.settings.models.values())
    for (const target of model.targets) targets.add(target.id)
  deps.planner.keep(targets)
  for (const [name, provider] of after.settings.providers) {
    const old = before.settings.providers.get(name)
    if (old !== undefined && haveSameKeys(old, provider) && old.baseUrl === provider.baseUrl) continue
    deps.tokens.invalidate(name, null)
    for (const account of provider.accounts) deps.tokens.invalidate(name, account)
    for (const id of targets) if (id.startsWith(`${name}/`)) deps.planner.forget(id)
  }
  const [now, then] = [before.settings, after.settings]
  if (now.server.host !== then.server.host || now.server.port !== then.server.port)
    log.warn('settings.needs_restart', { setting: 'server' })
  if (now.store !== then.store) log.warn('settings.needs_restart', { setting: 'store' })
  if (JSON.stringify(now.ledger) !== JSON.stringify(then.ledger))
    log.warn('settings.needs_restart', { setting: 'ledger' })
}

function haveSameKeys(a: ProviderSettings, b: ProviderSettings): boolean {
  const keys = ({ apiKey, accounts }: ProviderSettings): string =>
    JSON.stringify([apiKey, ...accounts.map((account) => [account.name, account.apiKey])])
  return keys(a) === keys(b)
}

/** Node's own bound, for bodies that nobody reads: of refused requests, and on other routes. It looks every half minute. */
function boundReading(server: Server, { server: { bodyMsMax } }: Settings): void {
  server.requestTimeout = server.headersTimeout + bodyMsMax
}

function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function openPort(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE'
      reject(
        inUse
          ? new Error(`port ${port} on ${host} is in use; set SLUICE_PORT or server.port to another one`)
          : error,
      )
    })
    server.listen(port, host, resolve)
  })
}

/** From now on each answer is the last of its connection, so that no client sends another request into the close. */
function sayGoodbye(server: Server): void {
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) =>
    response.setHeader('connection', 'close'),
  )
}

/** Running requests may end, and so may those whose client has left: until the time is over, then all are cut. */
async function drain(server: Server, deps: Deps, drainMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, DRAIN_LISTEN_MS))
  const timer = setTimeout(
    () => {
      deps.drains.close()
      server.closeAllConnections()
    },
    Math.max(0, drainMs - DRAIN_LISTEN_MS),
  )
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
  await deps.drains.idle()
  clearTimeout(timer)
}

/** A connection that was cut tells its request some turns later; before that its upstream must not break. */
async function untilAllEnded(deps: Deps): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX && deps.load.inFlight > 0; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}
