// Words of the pipeline and the values that travel between its stages.
//
// exchange: one client request and its answer. call: what the request asks for. facts: all that is known of a
// target before it is tried. plan: the ordered targets with reasons. attempt: one upstream call. settle: the one
// ending, which writes the rows and lets the client see the end. scope: whose purse or rate a request counts in.
// claim: what an attempt may cost and weigh at most; hold: a claim that was taken, until it is settled.

import type { Admission } from '#core/admission.ts'
import type { ChatRequest, ThinkingRequest } from '#core/chat.ts'
import type { Decision } from '#core/decision.ts'
import type { GatewayError } from '#core/errors.ts'
import type { AttemptRow, Journal } from '#core/ledger.ts'
import type { ClientSink, Clock, Random, Upstream } from '#core/ports.ts'
import type { HmacSha256 } from '#core/provider.ts'
import type { KeySettings, Settings } from '#core/settings.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import type { Planner } from '#routing/planner.ts'
import type { MemberScan } from '#wire/json-members.ts'
import type { Need } from '#wire/openai-chat/request.ts'
import type { DrainDesk } from './abandoned.ts'
import type { Asker } from './authenticate.ts'
import type { TokenCache } from './credentials.ts'
import type { InputGauge } from './input-gauge.ts'
import type { KeyRing } from './key-ring.ts'
import type { Lane } from './lane.ts'
import type { Live } from './live.ts'
import type { OutputGauge } from './output-gauge.ts'
import type { Wishes } from './wishes.ts'

/** What a runtime gives. */
export interface Deps {
  readonly clock: Clock
  readonly random: Random
  readonly upstream: Upstream
  readonly journal: Journal
  readonly metrics: Metrics
  readonly log: Log
  readonly planner: Planner
  readonly tokens: TokenCache
  readonly admission: Admission
  readonly gauge: InputGauge
  readonly outputGauge: OutputGauge
  readonly drains: DrainDesk
  readonly hmacSha256: HmacSha256
  /** SHA-256, hex. */
  readonly digest: (text: string) => string
  /** HMAC-SHA-256 of a key's secret under the pepper in force, hex. */
  readonly digestKey: (secret: string) => string
  /** Keys that are not of the configuration. */
  readonly keys: KeyRing
  /** Requests in flight on this instance, and the bytes of their bodies. */
  readonly load: { inFlight: number; bodyBytes: number }
  /** The configuration in force; a request reads it once and keeps it. */
  readonly live: () => Live
}

/** The client formats. */
export type ClientApi = 'chat' | 'completions'

/** What a body may be and take. */
export type BodyBounds = Pick<Settings['server'], 'bodyBytesMax' | 'bodyIdleMs' | 'bodyMsMax'>

/** A request as the runtime hands it over. */
export interface Incoming extends Asker {
  readonly api: ClientApi
  /** A header of its routing, by its name in lower case; null: not sent. */
  readonly header: (name: 'x-session-id' | 'x-sluice-policy') => string | null
  /** `take` hears of every chunk's bytes and throws when the instance holds too many. @throws GatewayError */
  readonly readBody: (bounds: BodyBounds, take: (bytes: number) => void) => Promise<Uint8Array>
  readonly sink: ClientSink
}

/** What the request asks for, read once. */
export interface Call {
  readonly api: ClientApi
  /** As it came: the bytes that are forwarded. */
  readonly bytes: Uint8Array
  /** Where the members of those bytes are; null: they cannot be edited in place. */
  readonly scan: MemberScan | null
  /** In chat form; for completions the request that says the same. */
  readonly chat: ChatRequest
  /** Why a completions request cannot be said as chat; only targets with such an endpoint can serve it then. */
  readonly untranslatable: GatewayError | null
  /** The body as it came, parsed, whatever the api. */
  readonly body: Readonly<Record<string, unknown>>
  /** The name that counts, without its suffix: the first where there are several. */
  readonly model: string
  /** null: it says nothing of its routing. */
  readonly wishes: Wishes | null
  /** `user` of the body, clipped; null: it names none. */
  readonly user: string | null
  readonly streaming: boolean
  readonly wantsUsage: boolean
  readonly thinking: ThinkingRequest
  readonly needs: readonly Need[]
  readonly inputTokensEstimate: number
  readonly inputTokensFloor: number
  readonly outputTokensEstimate: number
}

/** One request on its way; filled stage by stage. */
export interface Exchange {
  readonly id: string
  readonly live: Live
  readonly api: ClientApi
  readonly sink: ClientSink
  readonly startedAtMs: number
  readonly startedMs: number
  key: KeySettings | null
  call: Call | null
  model: string | null
  /** `x-session-id`. */
  readonly session: string | null
  decision: Decision | null
  /** The holds of its attempts, but for hedges. */
  readonly lane: Lane
  /** How the limits stand, for the answer. */
  limitHeaders: Readonly<Record<string, string>>
  /** Ended attempts, in order. */
  readonly attempts: AttemptRow[]
  attemptsStarted: number
  /** Time spent waiting for upstreams; the rest is ours. */
  upstreamMs: number
  ttftMs: number | null
  /** Bytes of the body, as counted in the load. */
  bodyBytes: number
  /** Request fields that the answering target did not get. */
  dropped: readonly string[]
  headSent: boolean
  /** When the client left, on the monotonic clock; null: it has not. */
  goneMs: number | null
  clientGone: boolean
  /** Called when the client leaves. */
  readonly leavers: Set<() => void>
  closed: boolean
}
