// The settings of a policy that the planner goes by.

import { expect, test } from 'vitest'
import { config, settingsOf } from './fixtures.ts'

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
  expect(settingsOf(config({ policies: { own: POLICY } })).policies.get('own')).toMatchObject({
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

test('value is the default', () => {
  expect(settingsOf(config({})).policies.get('default')).toMatchObject({
    sort: 'value',
    onNoCandidate: 'best_value',
  })
})

test('have a version that changes with what they say', () => {
  const versionOf = (policy: object): string | undefined =>
    settingsOf(config({ policies: { own: policy } })).policies.get('own')?.version
  expect(versionOf(POLICY)).toMatch(/^[0-9a-f]{8}$/)
  expect(versionOf({ ...POLICY })).toBe(versionOf(POLICY))
  expect(versionOf({ ...POLICY, affinity: 'none' })).not.toBe(versionOf(POLICY))
})
