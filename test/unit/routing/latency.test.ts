import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TTFT_SAMPLE_AGE_MS_MAX, TTFT_SAMPLES_MAX } from '#core/limits.ts'
import { LatencyWindow } from '#routing/latency.ts'

/** Nearest rank, in integers. */
function p90(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.ceil((sorted.length * 9) / 10) - 1] ?? null
}

test('nothing is known of a target that was never tried', () => {
  expect(new LatencyWindow().p90Ms(0)).toBeNull()
  expect(new LatencyWindow().samples(0)).toBe(0)
})

test('the percentile is that of the recent samples, at any time', () => {
  const sample = fc.record({ ttftMs: fc.nat(10_000), gapMs: fc.nat(20_000) })
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 200 }), fc.nat(400_000), (samples, waitMs) => {
      const window = new LatencyWindow()
      let nowMs = 1_000_000
      const added = samples.map(({ ttftMs, gapMs }) => {
        nowMs += gapMs
        window.add(ttftMs, nowMs)
        return { ttftMs, atMs: nowMs }
      })
      nowMs += waitMs
      const fresh = added
        .slice(-TTFT_SAMPLES_MAX)
        .filter(({ atMs }) => nowMs - atMs <= TTFT_SAMPLE_AGE_MS_MAX)
        .map(({ ttftMs }) => ttftMs)
      expect(window.samples(nowMs)).toBe(fresh.length)
      expect(window.p90Ms(nowMs)).toBe(p90(fresh))
    }),
    { seed: 95, numRuns: 300 },
  )
})

test('is right for every number of samples', () => {
  for (let count = 1; count <= TTFT_SAMPLES_MAX; count++) {
    const window = new LatencyWindow()
    const values = Array.from({ length: count }, (_, index) => index + 1)
    for (const value of values) window.add(value, 0)
    expect(window.p90Ms(0)).toBe(p90(values))
  }
})

test('the first samples are seen at once, later ones within a tenth of a second', () => {
  const window = new LatencyWindow()
  window.add(100, 0)
  expect(window.p90Ms(0)).toBe(100)
  window.add(900, 0)
  expect(window.p90Ms(0)).toBe(900)
  for (let index = 0; index < 30; index++) window.add(50, 1)
  window.p90Ms(1_000)
  for (let index = 0; index < TTFT_SAMPLES_MAX; index++) window.add(5_000, 1_000)
  expect(window.p90Ms(1_100)).toBe(5_000)
})

test('a target whose samples are all old counts as unobserved', () => {
  const window = new LatencyWindow()
  for (let index = 0; index < 20; index++) window.add(100, 0)
  expect(window.p90Ms(TTFT_SAMPLE_AGE_MS_MAX)).toBe(100)
  expect(window.p90Ms(TTFT_SAMPLE_AGE_MS_MAX + 101)).toBeNull()
})

test('a clock that is set back does not freeze the percentile', () => {
  const window = new LatencyWindow()
  for (let index = 0; index < 20; index++) window.add(100, 1_000_000)
  expect(window.p90Ms(1_000_000)).toBe(100)
  for (let index = 0; index < TTFT_SAMPLES_MAX; index++) window.add(700, 500_000)
  expect(window.p90Ms(500_000)).toBe(700)
})
