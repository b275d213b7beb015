// The routes over a ledger in memory, asked without a socket.

import type { AlertBook } from '#core/alerts.ts'
import { makeSecret } from '#core/key-secret.ts'
import type { LedgerRow, LedgerStore } from '#core/ledger.ts'
import type { Rerate } from '#core/rerate.ts'
import { createApp } from '#http/app.ts'
import type { Deps } from '#pipeline/context.ts'
import { KeyDesk } from '#pipeline/key-desk.ts'
import { KeyRing } from '#pipeline/key-ring.ts'
import { compileStoredKey } from '#settings/stored-keys.ts'
import { createMemoryKeyStore } from '#store/key-memory.ts'
import { createMemoryStore } from '#store/memory.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { batchOf } from '../../support/ledger-rows.ts'
import { realClock } from '../../support/real-clock.ts'
import { liveWith } from '../pipeline/support.ts'
import { digest, vendor } from '../settings/fixtures.ts'

export const TOKEN = 'admin-token-0123456789'
export const KEY = 'sk-test-0123456789'
const LIMITED_KEY = 'sk-limited-0123456789'

interface Options {
  readonly config?: object
  readonly listensOnLoopback?: boolean
  readonly rows?: readonly LedgerRow[]
  readonly store?: LedgerStore
  readonly isReady?: boolean
  readonly closedMonths?: ReadonlySet<string>
  readonly rerate?: Rerate
  readonly storeTrouble?: { readonly fault: string; readonly isFull: boolean }
  readonly alerts?: AlertBook
  /** Absent: the machine's clock. */
  readonly nowMs?: number
  /** Address of the client's socket. */
  readonly peer?: string
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: Record<string, unknown>
}

export interface Asker {
  readonly ask: (
    path: string,
    headers?: Readonly<Record<string, string>>,
    method?: string,
    body?: unknown,
  ) => Promise<Answer>
  readonly logged: string[]
}

export async function openApp(options: Options = {}): Promise<Asker> {
  const live = liveWith([vendor], {
    admin: { token: TOKEN },
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { assistant: { targets: ['main/small', 'main/org/large'] }, fast: { targets: ['main/small'] } },
    keys: [
      { name: 'all', key: KEY },
      { name: 'limited', key: LIMITED_KEY, models: ['fast'] },
    ],
    ...options.config,
  })
  const store = options.store ?? createMemoryStore()
  if (options.rows !== undefined) await store.apply(batchOf(options.rows))
  const ring = new KeyRing(compileStoredKey, () => 0)
  ring.checked(true)
  let made = 0
  const keyDesk = new KeyDesk({
    store: createMemoryKeyStore(),
    ring,
    clock: realClock,
    live: () => live,
    compile: compileStoredKey,
    makeId: () => `key_${String(++made).padStart(4, '0')}`,
    makeSecret: () => makeSecret((count) => crypto.getRandomValues(new Uint8Array(count))),
    digest,
    pepperName: () => 'p',
    prepare: async () => undefined,
  })
  const logged: string[] = []
  let reports = 1
  let epochs = 1
  const log = (event: string): void => void logged.push(event)
  const app = createApp({
    deps: {
      live: () => live,
      digest,
      digestKey: digest,
      keys: ring,
      metrics: createMetrics(),
      clock: {
        ...realClock,
        nowMs: () => options.nowMs ?? realClock.nowMs(),
        after: (delayMs: number, run: () => void) => realClock.after(delayMs / 100, run),
      },
      random: { requestId: () => `req_${reports++}`, unit: () => 0 },
    } as unknown as Deps,
    keyDesk,
    peerOf: () => ({ address: options.peer ?? '127.0.0.1', forwardedFor: null }),
    log: { debug: log, info: log, warn: log, error: log },
    store,
    corrections: {
      async adjust(rows) {
        const known = (await store.adjustments({ limit: 500, cursor: null })).rows.length
        await store.apply({ ...batchOf(rows.map((row) => ({ kind: 'adjustment', row }))), epoch: ++epochs })
        return (await store.adjustments({ limit: 500, cursor: null })).rows.length - known
      },
      closedMonths: async () => options.closedMonths ?? new Set(),
    },
    reconcile: async () => {
      throw new Error('no bills here')
    },
    rerate:
      options.rerate ??
      (async () => {
        throw new Error('no prices here')
      }),
    inference: (_context, api) => new Response(`inference ${api}`),
    isReady: () => options.isReady ?? true,
    storeTrouble: () => options.storeTrouble ?? null,
    alerts: options.alerts ?? { list: () => ({ rows: [], nextCursor: null }) },
    listensOnLoopback: options.listensOnLoopback ?? true,
    startedSeconds: 1_700_000_000,
  })
  return {
    logged,
    async ask(path, headers = {}, method = 'GET', body = undefined) {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const request = new Request(`http://gateway.test${path}`, {
        method,
        ...(body === undefined ? {} : { body: text }),
      })
      // A Request has no place for `host`, which a server's own header table has.
      for (const [name, value] of Object.entries(headers)) request.headers.set(name, value)
      const response = await app.hono.fetch(request, {})
      const said = await response.text()
      const isJson = response.headers.get('content-type')?.includes('application/json') === true
      return {
        status: response.status,
        headers: response.headers,
        text: said,
        body: isJson ? (JSON.parse(said) as Record<string, unknown>) : {},
      }
    },
  }
}

export const admin = { authorization: `Bearer ${TOKEN}` }
export const limited = { authorization: `Bearer ${LIMITED_KEY}` }
export const local = { host: '127.0.0.1:8787' }

/** A usage report, asked for until it is there: a busy machine may answer with where to ask. */
export async function askUsage({ ask }: Asker, query: string): Promise<Answer> {
  let answer = await ask(`/admin/v1/usage?${query}`, admin)
  while (answer.status === 202) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    const { pathname, search } = new URL(`http://x/admin/v1/reports/${String(answer.body['id'])}?${query}`)
    answer = await ask(pathname + search, admin)
  }
  return answer
}
