import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { METRIC_SERIES_MAX } from '#core/limits.ts'
import type { AttemptMeasures, RequestMeasures } from '#core/telemetry.ts'
import { METRICS, OTHER } from '#telemetry/names.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { type Exposition, readExposition, seriesValue } from './exposition.ts'

const USAGE = {
  inputTokens: 100,
  cachedInputTokens: 10,
  cacheWriteTokens: 0,
  outputTokens: 20,
  reasoningTokens: 5,
}

const attempt = (changes: Partial<AttemptMeasures> = {}): AttemptMeasures => ({
  provider: 'dashscope',
  model: 'qwen-flash',
  outcome: 'success',
  durationMs: 2_000,
  ttftMs: 300,
  usage: USAGE,
  costNano: 1_500_000n,
  unpriced: false,
  estimate: null,
  doubt: null,
  ...changes,
})

const request = (changes: Partial<RequestMeasures> = {}): RequestMeasures => ({
  wireFormat: 'openai-chat',
  outcome: 'success',
  durationMs: 2_010,
  overheadMs: 0.4,
  ttftMs: 310,
  ...changes,
})

const read = async (metrics: ReturnType<typeof createMetrics>): Promise<Exposition> =>
  readExposition(await metrics.render())

const TARGET = { gen_ai_provider_name: 'dashscope', gen_ai_request_model: 'qwen-flash' }

describe('what is counted', () => {
  test('an attempt: tokens, cost in units of the currency, outcome, times', async () => {
    const metrics = createMetrics()
    metrics.attemptEnded(attempt())
    metrics.attemptEnded(
      attempt({ outcome: 'rate_limit', ttftMs: null, costNano: null, unpriced: true, estimate: 'cut' }),
    )
    const seen = await read(metrics)
    expect(seriesValue(seen, 'sluice_tokens_total', { ...TARGET, token_type: 'input' })).toBe(200)
    expect(seriesValue(seen, 'sluice_tokens_total', { ...TARGET, token_type: 'output' })).toBe(40)
    expect(seriesValue(seen, 'sluice_cache_read_tokens_total', TARGET)).toBe(20)
    expect(seriesValue(seen, 'sluice_cost_cny_total', TARGET)).toBe(0.0015)
    expect(seriesValue(seen, 'sluice_unpriced_attempts_total', TARGET)).toBe(1)
    expect(seriesValue(seen, 'sluice_estimated_attempts_total', TARGET)).toBe(1)
    expect(seriesValue(seen, 'sluice_attempts_total', { outcome: 'rate_limit' })).toBe(1)
    expect(
      seriesValue(seen, 'gen_ai_client_operation_duration_seconds_sum', { error_type: 'rate_limit' }),
    ).toBe(2)
    expect(seriesValue(seen, 'gen_ai_client_operation_time_to_first_chunk_seconds_count', TARGET)).toBe(1)
  })

  test('estimates by reason, contradictions, and answers that are read on', async () => {
    const metrics = createMetrics()
    metrics.attemptEnded(attempt({ estimate: 'cancelled' }))
    metrics.attemptEnded(attempt({ estimate: 'contradiction', doubt: 'zero' }))
    metrics.usageRecovered(3)
    metrics.drains(2)
    metrics.drainEnded('learned')
    const seen = await read(metrics)
    expect(seriesValue(seen, 'sluice_usage_estimates_total', { reason: 'cancelled' })).toBe(1)
    expect(seriesValue(seen, 'sluice_usage_estimates_total', { reason: 'recovered' })).toBe(3)
    expect(seriesValue(seen, 'sluice_usage_contradictions_total', { reason: 'zero' })).toBe(1)
    expect(seriesValue(seen, 'sluice_drains_running')).toBe(2)
    expect(seriesValue(seen, 'sluice_drains_total', { outcome: 'learned' })).toBe(1)
  })

  test('requests in flight come and go', async () => {
    const metrics = createMetrics()
    metrics.requestStarted()
    metrics.requestStarted()
    metrics.requestEnded(request({ ttftMs: null }))
    const seen = await read(metrics)
    expect(seriesValue(seen, 'sluice_requests_in_flight')).toBe(1)
    expect(seriesValue(seen, 'sluice_requests_total', { outcome: 'success' })).toBe(1)
    expect(seriesValue(seen, 'sluice_time_to_first_chunk_seconds_count')).toBeNull()
  })

  test('a target is in one state at a time', async () => {
    const metrics = createMetrics()
    for (const state of ['open', 'half_open', 'closed'] as const) {
      metrics.targetState('qwen/flash', state)
      const seen = await read(metrics)
      for (const other of ['open', 'half_open', 'closed'])
        expect(seriesValue(seen, 'sluice_target_state', { target: 'qwen/flash', state: other })).toBe(
          other === state ? 1 : 0,
        )
    }
  })

  test('a scrape counts nothing twice', async () => {
    const metrics = createMetrics()
    metrics.attemptEnded(attempt())
    await read(metrics)
    expect(seriesValue(await read(metrics), 'sluice_cost_cny_total', TARGET)).toBe(0.0015)
  })

  test('two gateways in one process do not count together', async () => {
    const [one, two] = [createMetrics(), createMetrics()]
    one.attemptEnded(attempt())
    expect(seriesValue(await read(two), 'sluice_cost_cny_total', TARGET)).toBeNull()
  })
})

describe('the text', () => {
  test('says type and name of every metric as they are published', async () => {
    const { types } = await read(createMetrics({ version: '1.2.3', runtime: 'node 24' }))
    for (const { name, type } of Object.values(METRICS)) expect(types.get(name)).toBe(type)
    expect(types.size).toBe(Object.keys(METRICS).length)
  })

  test('has histograms whose buckets add up', async () => {
    const metrics = createMetrics()
    const times = [0, 5, 10, 11, 1_000, 400_000]
    for (const durationMs of times) metrics.requestEnded(request({ durationMs }))
    const seen = await read(metrics)
    const buckets = seen.samples.filter((sample) => sample.name === 'sluice_request_duration_seconds_bucket')
    const bounds = buckets.map((sample) =>
      sample.labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(sample.labels['le']),
    )
    expect(bounds).toEqual(bounds.toSorted((a, b) => a - b))
    for (const [index, bound] of bounds.entries())
      expect(buckets[index]?.value).toBe(times.filter((timeMs) => timeMs / 1_000 <= bound).length)
    expect(seriesValue(seen, 'sluice_request_duration_seconds_count')).toBe(times.length)
    expect(seriesValue(seen, 'sluice_request_duration_seconds_sum')).toBeCloseTo(401.026, 6)
  })

  test('can be read by a scraper whatever names come in', async () => {
    const name = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('"', '\\', '\n', '{', '}', ',', '=', '\u0000', '\ud800', '你') }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, name, name), { maxLength: 8 }), async (names) => {
        const metrics = createMetrics()
        for (const [provider, model, reason] of names) {
          metrics.attemptEnded(attempt({ provider, model }))
          metrics.fallback(reason)
          metrics.targetState(`${provider}/${model}`, 'open')
        }
        const seen = await read(metrics)
        const sum = (metric: string): number =>
          seen.samples
            .filter((sample) => sample.name === metric)
            .reduce((all, sample) => all + sample.value, 0)
        expect(sum('sluice_fallbacks_total')).toBe(names.length)
        expect(sum('sluice_cache_read_tokens_total')).toBe(10 * names.length)
      }),
      { seed: 121, numRuns: 5 },
    )
  })

  test('survives durations that are no times', async () => {
    const metrics = createMetrics()
    for (const durationMs of [Number.NaN, -1, Number.POSITIVE_INFINITY, 1])
      metrics.requestEnded(request({ durationMs, overheadMs: durationMs }))
    expect(seriesValue(await read(metrics), 'sluice_request_duration_seconds_count')).toBe(1)
  })
})

describe('series are bounded', () => {
  const MODELS = METRIC_SERIES_MAX
  const metrics = createMetrics()
  let seen: Exposition = { types: new Map(), samples: [] }

  beforeAll(async () => {
    metrics.attemptEnded(attempt())
    for (let index = 0; index < MODELS; index++) metrics.attemptEnded(attempt({ model: `m${index}` }))
    metrics.attemptEnded(attempt())
    metrics.attemptEnded(attempt({ provider: 'one', model: 'x', outcome: 'server' }))
    metrics.attemptEnded(attempt({ provider: 'two', model: 'y', outcome: 'server' }))
    seen = await read(metrics)
  })

  test('models beyond the bound are counted as "other", none lost', () => {
    const perMetric = new Map<string, number>()
    for (const { name, labels } of seen.samples) {
      if (name.endsWith('_bucket') && labels['le'] !== '+Inf') continue
      perMetric.set(name, (perMetric.get(name) ?? 0) + 1)
    }
    expect(Math.max(...perMetric.values())).toBeLessThanOrEqual(METRIC_SERIES_MAX)
    const inputs = seen.samples.filter(
      ({ name, labels }) => name === 'sluice_tokens_total' && labels['token_type'] === 'input',
    )
    expect(inputs.reduce((sum, sample) => sum + sample.value, 0)).toBe(100 * (MODELS + 4))
    const other = inputs.find(({ labels }) => labels['gen_ai_request_model'] === OTHER)
    expect(other?.value).toBeGreaterThan(0)
    expect(seriesValue(seen, 'sluice_metric_series_dropped_total')).toBeGreaterThan(0)
  })

  test('a known model is still counted by name', () => {
    expect(seriesValue(seen, 'sluice_cost_cny_total', TARGET)).toBe(0.003)
  })

  test('outcomes stay apart for providers that share "other"', () => {
    for (const gen_ai_provider_name of ['one', 'two'])
      expect(seriesValue(seen, 'sluice_attempts_total', { gen_ai_provider_name, outcome: 'server' })).toBe(1)
  })

  test('a very long name is no label', async () => {
    const own = createMetrics()
    own.attemptEnded(attempt({ model: 'x'.repeat(10_000) }))
    own.fallback('y'.repeat(10_000))
    own.targetState('z'.repeat(10_000), 'open')
    const text = await own.render()
    expect(text.length).toBeLessThan(60_000)
    expect(text).not.toMatch(/x{200}|y{200}|z{200}/)
  })
})
