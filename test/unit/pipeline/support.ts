// A clock that stands still until it is moved, an upstream that answers when the test says so, and the compiled
// configuration that the stages read.

import { newAnswerState } from '#core/answer.ts'
import type { Clock, Headers, Upstream, UpstreamHandler, UpstreamRequest } from '#core/ports.ts'
import type { Provider } from '#core/provider.ts'
import type { TargetSettings } from '#core/settings.ts'
import type { TokenUsage } from '#core/usage.ts'
import type { AttemptEnd } from '#pipeline/attempt-end.ts'
import { compileLive, type Live, type TargetFacts } from '#pipeline/live.ts'
import type { Wishes } from '#pipeline/wishes.ts'
import { NO_PREFERENCES } from '#pipeline/wishes-provider.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import { settingsOf, vendor } from '../settings/fixtures.ts'

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

interface Pending {
  readonly atMs: number
  readonly run: () => void
}

export class FakeClock implements Clock {
  #nowMs = 1_790_000_000_000
  readonly #timers = new Set<Pending>()
  /** Timers set since the start. */
  timersSet = 0

  get timers(): number {
    return this.#timers.size
  }

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): { cancel: () => void } {
    const timer = { atMs: this.#nowMs + delayMs, run }
    this.timersSet++
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  /** Moves on and fires what is due, in order. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs
    for (;;) {
      const [next] = [...this.#timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
    }
    this.#nowMs = endMs
  }
}

export interface SentCall {
  readonly request: UpstreamRequest
  readonly handler: UpstreamHandler
  aborted: boolean
}

/** Keeps what was sent; `answer` ends a call. */
export class FakeUpstream implements Upstream {
  readonly calls: SentCall[] = []

  send(request: UpstreamRequest, handler: UpstreamHandler) {
    const call: SentCall = { request, handler, aborted: false }
    this.calls.push(call)
    return {
      pause: () => undefined,
      resume: () => undefined,
      abort: () => {
        call.aborted = true
      },
    }
  }

  /** Answers call `index`, the last one by default. */
  answer(status: number, body: string, index = this.calls.length - 1, headers: Headers = {}): void {
    const handler = this.calls[index]?.handler
    handler?.onConnected()
    handler?.onHead(status, headers)
    handler?.onBytes(encode(body))
    handler?.onEnd()
  }
}

/** A configuration of these folders, with a key that may use everything. */
export function liveWith(folders: readonly Provider[], config: object): Live {
  const providers = new Map(folders.map((folder) => [folder.id, folder]))
  const settings = settingsOf(
    { keys: [{ name: 'all', key: 'sk-test-0123456789' }], ...config },
    {},
    providers,
  )
  return compileLive(settings, buildCatalogue({ lists: [], overrides: settings.prices }))
}

/** Facts of one target of a provider that departs from the plain vendor in `changes`. */
export function factsWith(
  changes: Partial<Provider>,
  model = 'small',
  target: Partial<TargetSettings> = {},
): TargetFacts {
  const live = liveWith([{ ...vendor, ...changes }], {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { assistant: { targets: [`main/${model}`] } },
  })
  const configured = live.settings.models.get('assistant')?.targets[0]
  if (configured === undefined) throw new Error('no target')
  return live.factsOf({ ...configured, ...target })
}

/** The end of an attempt that went well, and what it used. */
export function attemptEnd(usage: TokenUsage | null, changes: Partial<AttemptEnd> = {}): AttemptEnd {
  return {
    outcome: 'success',
    failure: null,
    committed: true,
    state: { ...newAnswerState(), usage },
    body: null,
    httpStatus: 200,
    headers: {},
    ttftMs: 100,
    durationMs: 2_500.4,
    sent: true,
    streamed: true,
    left: null,
    billsOn: false,
    ...changes,
  }
}

/** What a request wishes that says nothing but what is in `changes`. */
export function wishesOf(changes: Partial<Wishes>): Wishes {
  return { ...NO_PREFERENCES, names: ['assistant'], policy: null, ...changes }
}
