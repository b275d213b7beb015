// Settings that only the planner reads: `sluice decide` takes them, the gateway refuses them by name.

import { expect, test } from 'vitest'
import { config, plannedSettingsOf, problemsOf } from './fixtures.ts'

const POLICY = {
  sort: 'value',
  slo: { ttft_ms: 1500, ttft_ms_per_1k_input: 100, tpot_ms: 50, attainment: 0.9, value: 0.004 },
  max_price: { input: 4, output: 12.5 },
  preferred_max_latency: { p90: 1500 },
  preferred_min_throughput: 30,
  affinity: 'session',
  explore: { max_share: 0.01 },
  hedge: { enabled: true, max_extra_cost: 0.1, max_share: 0.02 },
  on_no_candidate: 'best_value',
}

test('arrive where the planner reads them', () => {
  expect(plannedSettingsOf(config({ policies: { own: POLICY } })).policies.get('own')).toMatchObject({
    sort: 'value',
    slo: { ttftMs: 1500, ttftMsPer1kInput: 100, tpotMs: 50, attainment: 0.9, value: 0.004 },
    maxPrice: { input: 4, output: 12.5 },
    preferredMaxLatency: { p90: 1500 },
    preferredMinThroughput: { p50: 30 },
    affinity: 'session',
    explore: { maxShare: 0.01 },
    hedge: { enabled: true, maxExtraCost: 0.1, maxShare: 0.02 },
    onNoCandidate: 'best_value',
  })
})

test('value is the planner’s default', () => {
  expect(plannedSettingsOf(config({})).policies.get('default')).toMatchObject({
    sort: 'value',
    onNoCandidate: 'best_value',
  })
})

test('are each refused by the gateway, which does not go by them yet', () => {
  const problems = problemsOf(config({ policies: { own: POLICY } }))
  expect(problems.map(({ path }) => path).toSorted()).toEqual(
    [
      'sort',
      'on_no_candidate',
      'max_price',
      'preferred_max_latency',
      'preferred_min_throughput',
      'affinity',
      'explore',
      'hedge',
      'slo.ttft_ms_per_1k_input',
      'slo.tpot_ms',
      'slo.attainment',
      'slo.value',
    ]
      .map((name) => `policies.own.${name}`)
      .toSorted(),
  )
  for (const { message } of problems) expect(message).toContain('not supported yet')
})
