// Configurations of test gateways: OpenAI-compatible upstreams on loopback, one price, one key, short deadlines.

import { ADMIN_TOKEN, KEY } from './gateway.ts'

type Json = Record<string, unknown>

export const UPSTREAM_KEY = 'sk-upstream-canary-0123456789'

/** Book currency per million tokens; input and output differ by a factor of four everywhere in the tests. */
export function priceOf(input: string, output: string): Json {
  return { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input, output }] }
}

export interface ConfigParts {
  /** Base URLs by provider name, or whole provider entries. */
  readonly providers: Readonly<Record<string, string | Json>>
  /** Targets of model `m`; default: model `x` of each provider, in order. */
  readonly targets?: readonly unknown[]
  /** The policy of model `m`. */
  readonly policy?: Json
  /** Other models than `m`. */
  readonly models?: Json
  readonly prices?: Json
  /** Merged over the whole. */
  readonly over?: Json
}

export function configOf(parts: ConfigParts): Json {
  const names = Object.keys(parts.providers)
  return {
    server: { host: '127.0.0.1', port: 0, drain_ms: 600 },
    admin: { token: ADMIN_TOKEN },
    currency: 'CNY',
    providers: Object.fromEntries(
      Object.entries(parts.providers).map(([name, entry]) => [
        name,
        typeof entry === 'string' ? openAiCompatible(entry) : entry,
      ]),
    ),
    prices: parts.prices ?? Object.fromEntries(names.map((name) => [`${name}/*`, priceOf('2', '8')])),
    models: {
      m: { policy: 'p', targets: parts.targets ?? names.map((name) => `${name}/x`) },
      ...parts.models,
    },
    policies: { p: { sort: 'priority', ...parts.policy } },
    keys: [{ name: 'tester', key: KEY }],
    ...parts.over,
  }
}

export function openAiCompatible(baseUrl: string): Json {
  return {
    use: 'openai-compatible',
    base_url: baseUrl,
    api_key: UPSTREAM_KEY,
    allow_private: true,
    // Scripted upstreams often hang: nothing shall be read on behind a test's client unless the test is about that.
    on_client_abort: 'cancel',
  }
}
