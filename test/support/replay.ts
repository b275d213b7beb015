// Replays the bytes of a provider's fixture through the real attempt, with a clock and an upstream of its own.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock, Headers, Upstream, UpstreamRequest } from '#core/ports.ts'
import type { PriceEntry } from '#core/price.ts'
import type { Provider } from '#core/provider.ts'
import type { Settings, TargetSettings } from '#core/settings.ts'
import { startAttempt } from '#pipeline/attempt.ts'
import type { AttemptEnd } from '#pipeline/attempt-end.ts'
import type { Call, Deps } from '#pipeline/context.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { compileLive, type Live, type TargetFacts } from '#pipeline/live.ts'
import { type Metered, meter } from '#pipeline/meter.ts'
import { OutputGauge } from '#pipeline/output-gauge.ts'
import { callFor } from '#pipeline/thinking.ts'
import { encodeUpstream, type UpstreamText } from '#pipeline/translate.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'

const PROVIDERS = join(import.meta.dirname, '../../providers')

export interface FixtureCase {
  readonly title: string
  readonly kind: string
  readonly source: string
  readonly model: string
  readonly api?: 'chat' | 'completions'
  readonly stream: boolean
  readonly status: number
  readonly headers?: Headers
  readonly request: Readonly<Record<string, unknown>>
  readonly secret?: string
  readonly base_url?: string
  readonly at?: string
  readonly expects: {
    readonly text?: string
    readonly reasoning?: string
    readonly tool_calls?: readonly {
      readonly id?: string
      readonly name: string
      readonly arguments: string
    }[]
    readonly finish_reason?: string
    readonly response_model?: string
    readonly upstream_request_id?: string
    readonly usage?: Readonly<Record<string, number>>
    /** Default `provider`. */
    readonly usage_source?: string
    readonly cost?: string
    readonly failure?: string
    readonly vendor_code?: string
    readonly path?: string
    readonly dropped?: readonly string[]
    readonly upstream_request?: unknown
  }
}

export interface Fixture {
  readonly provider: string
  readonly name: string
  readonly case: FixtureCase
  readonly answer: Uint8Array
}

export function providerNames(): string[] {
  return readdirSync(PROVIDERS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
}

export async function readProvider(name: string): Promise<{ provider: Provider; entries: PriceEntry[] }> {
  const module = (await import(join(PROVIDERS, name, 'provider.ts'))) as { provider: Provider }
  const entries = JSON.parse(readFileSync(join(PROVIDERS, name, 'prices.json'), 'utf8')) as PriceEntry[]
  return { provider: module.provider, entries }
}

export function readFixtures(provider: string): {
  fixtures: Fixture[]
  notApplicable: Readonly<Record<string, string>>
} {
  const folder = join(PROVIDERS, provider, 'fixtures')
  const entries = readdirSync(folder, { withFileTypes: true })
  const fixtures = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => {
      const own = join(folder, entry.name)
      const answer = readdirSync(own).find((file) => file.startsWith('answer.'))
      if (answer === undefined) throw new Error(`${own} has no answer`)
      return {
        provider,
        name: entry.name,
        case: JSON.parse(readFileSync(join(own, 'case.json'), 'utf8')) as FixtureCase,
        answer: new Uint8Array(readFileSync(join(own, answer))),
      }
    })
  const excused = entries.some((entry) => entry.name === 'not-applicable.json')
  const notApplicable = excused
    ? (JSON.parse(readFileSync(join(folder, 'not-applicable.json'), 'utf8')) as Record<string, string>)
    : {}
  return { fixtures, notApplicable }
}

/** A configuration with this one target. */
export function liveOf(
  provider: Provider,
  entries: readonly PriceEntry[],
  fixture: FixtureCase,
): { live: Live; facts: TargetFacts } {
  const target: TargetSettings = {
    id: `${provider.id}/${fixture.model}`,
    provider: provider.id,
    model: fixture.model,
    weight: 1,
    priority: 0,
    contextWindow: null,
    capabilities: null,
  }
  const settings: Settings = {
    server: {
      host: '127.0.0.1',
      port: 0,
      drainMs: 0,
      bodyBytesMax: 1 << 25,
      bodyIdleMs: 60_000,
      bodyMsMax: 300_000,
      trustedProxies: [],
      abandoned: { drainMs: 1, bytesMax: 1, drainsMax: 0 },
    },
    admin: { token: null },
    metrics: { public: false },
    ledger: { retentionMs: 86_400_000, durability: 'process', archive: 'off', redisRowsMs: 3_600_000 },
    store: 'memory:',
    secret: null,
    currency: 'CNY',
    unpriced: 'deny',
    onStoreLoss: 'lease',
    timeZone: 'Asia/Shanghai',
    fx: new Map([
      [
        'USD',
        [
          {
            rate: 7_100_000n as never,
            fromMs: Number.NEGATIVE_INFINITY,
            toMs: Number.POSITIVE_INFINITY,
            since: null,
          },
        ],
      ],
    ]),
    providers: new Map([
      [
        provider.id,
        {
          name: provider.id,
          provider,
          apiKey: fixture.secret ?? 'sk-fixture-0123456789',
          accounts: [],
          baseUrl: fixture.base_url ?? (provider.baseUrl === undefined ? 'http://127.0.0.1:8000/v1' : null),
          region: provider.region,
          allowPrivate: true,
          onClientAbort: null,
          data: { region: null, retentionMs: null, trainsOnData: null, filingNo: null },
          enabled: true,
        },
      ],
    ]),
    prices: [],
    models: new Map([['m', { name: 'm', policy: 'default', targets: [target] }]]),
    policies: new Map(),
    organisations: new Map(),
    teams: new Map(),
    keys: [],
    targetData: new Map(),
    finance: {
      tax: null,
      taxOf: new Map(),
      organisations: new Map(),
      teams: new Map(),
      alerts: { webhook: null, allowPrivate: false },
    },
    served: new Map(),
    bills: new Map(),
    notices: [],
  }
  const live = compileLive(
    settings,
    buildCatalogue({ lists: [{ provider: provider.id, entries }], overrides: [] }),
  )
  return { live, facts: live.factsOf(target) }
}

export interface Replayed {
  readonly call: Call
  readonly text: UpstreamText
  readonly end: AttemptEnd
  readonly metered: Metered
  /** All client bytes: a stream's events, or the whole body. */
  readonly client: string
}

const STILL: Clock = {
  nowMs: () => 1_790_000_000_000,
  monotonicMs: () => 0,
  after: () => ({ cancel: () => undefined }),
}

/** Runs the fixture's answer through an attempt, cut into these chunks. */
export async function replay(
  live: Live,
  facts: TargetFacts,
  fixture: Fixture,
  chunks: readonly Uint8Array[],
): Promise<Replayed> {
  const { case: own } = fixture
  const body = { ...own.request, model: 'm', ...(own.stream ? { stream: true } : {}) }
  const call = callFor(facts, readCall(own.api ?? 'chat', new TextEncoder().encode(JSON.stringify(body))))
  const text = encodeUpstream(call, facts)
  const written: Uint8Array[] = []
  const upstream: Upstream = {
    send(_request: UpstreamRequest, handler) {
      let stopped = false
      queueMicrotask(() => {
        handler.onConnected()
        handler.onHead(own.status, own.headers ?? {})
        for (const chunk of chunks) if (!stopped) handler.onBytes(chunk)
        if (!stopped) handler.onEnd()
      })
      return {
        pause() {},
        resume() {},
        abort() {
          stopped = true
        },
      }
    },
  }
  const startedAtMs = own.at === undefined ? STILL.nowMs() : Date.parse(own.at)
  const attempt = startAttempt({ clock: STILL, upstream } as Deps, {
    call,
    facts,
    request: { method: 'POST', url: text.url, headers: {}, body: text.body, allowPrivate: true },
    streaming: text.streaming,
    timeouts: { connectMs: 1000, ttftMs: 1000, idleMs: 1000, totalMs: 1000 },
    ttftMs: 1000,
    requestId: 'req_fixture',
    onLeave: { policy: 'cancel', stopsBilling: true },
    costOf: () => null,
    onFirstByte: () => undefined,
    onContent: () => undefined,
    commit: () => undefined,
    write: (bytes) => written.push(bytes) > 0,
  })
  const end = await attempt.ended
  const parts = end.body === null ? written : [end.body]
  return {
    call,
    text,
    end,
    metered: meter(
      { gauge: new InputGauge(), outputGauge: new OutputGauge() },
      live,
      call,
      facts,
      end,
      startedAtMs,
    ),
    client: Buffer.concat(parts).toString('utf8'),
  }
}
