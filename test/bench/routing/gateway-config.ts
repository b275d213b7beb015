// A run's targets as a configuration of the gateway, so that its planner knows of the world what an operator would
// declare: prices with their bands, limits, windows and the SLO. Of speed and caches it says nothing.

import { MODEL } from './protocol.ts'
import type { Setup } from './setups.ts'
import { PRICE_FACTOR } from './shifts.ts'
import type { PriceTier, SimulatedTarget } from './targets.ts'
import { START_AT, TTFT_TIMEOUT_MS, type World } from './world.ts'

const MINUTE_MS = 60_000
const SHANGHAI_MS = 8 * 60 * MINUTE_MS
/** Long past the end of any run. */
const BAND_MINUTES = 480
const ATTEMPTS_MAX = 4

/** What an ablation takes away, or sets otherwise, in the policy. */
export type PolicyChange = Readonly<Record<string, unknown>>

/** As `--config` takes it: JSON is YAML. */
export function gatewayConfig(world: World, valueCny: number, change: PolicyChange = {}): string {
  const { setup, targets } = world
  const providers = new Set(targets.map((target) => target.id.split('/')[0] ?? ''))
  const config = {
    store: 'memory:',
    currency: 'CNY',
    providers: Object.fromEntries(
      [...providers].map((name) => [
        name,
        {
          use: 'openai-compatible',
          base_url: 'http://127.0.0.1:9/v1',
          api_key: 'sk-none',
          allow_private: true,
        },
      ]),
    ),
    prices: Object.fromEntries(targets.map((target, index) => [target.id, priceOf(world, target, index)])),
    models: { [MODEL]: { policy: 'bench', targets: targets.map(targetOf) } },
    policies: { bench: { ...policyOf(setup, valueCny), ...change } },
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

function targetOf({ id, rpm, tpm, contextWindow }: SimulatedTarget): object {
  const limits = { ...(rpm === null ? {} : { rpm }), ...(tpm === null ? {} : { tpm }) }
  return { target: id, context_window: contextWindow, ...(rpm === null && tpm === null ? {} : { limits }) }
}

function policyOf({ slo, isHedging }: Setup, valueCny: number): object {
  return {
    sort: 'value',
    slo: { ttft_ms: slo.ttftMs, tpot_ms: slo.msPerOutputToken, value: valueCny },
    hedge: { enabled: isHedging },
    retry: { attempts: ATTEMPTS_MAX },
    timeouts: { ttft_ms: TTFT_TIMEOUT_MS },
  }
}

function priceOf(world: World, target: SimulatedTarget, index: number): object {
  const bands: object[] = []
  if (target.offPeak !== null)
    bands.push(band(target, START_AT + target.offPeak.fromMinute * MINUTE_MS, target.offPeak.factor))
  for (const shift of world.shifts)
    if (shift.kind === 'price' && shift.target === index)
      bands.push(band(target, shift.startAt, PRICE_FACTOR))
  return {
    currency: 'CNY',
    unit: 'per_million_tokens',
    tiers: target.tiers.map((tier) => tierOf(tier, 1)),
    ...(bands.length === 0 ? {} : { time_bands: bands }),
  }
}

function band(target: SimulatedTarget, startAt: number, factor: number): object {
  return {
    timezone: 'Asia/Shanghai',
    days: 'all',
    start: clock(startAt),
    end: clock(startAt + BAND_MINUTES * MINUTE_MS),
    tiers: target.tiers.map((tier) => tierOf(tier, factor)),
  }
}

function tierOf({ tokensUpTo, input, cached, output }: PriceTier, factor: number): object {
  return {
    ...(Number.isFinite(tokensUpTo) ? { input_tokens_up_to: tokensUpTo } : {}),
    input: decimal(input * factor),
    cached_input: decimal(cached * factor),
    output: decimal(output * factor),
  }
}

function decimal(value: number): string {
  return String(Number(value.toFixed(6)))
}

/** `HH:MM` in Shanghai. */
function clock(at: number): string {
  return new Date(at + SHANGHAI_MS).toISOString().slice(11, 16)
}
