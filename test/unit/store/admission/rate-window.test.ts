import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateWindow } from '#store/admission/rate-window.ts'

/** Admits one request at each instant where the window has room; returns the instants of those let in. */
function admitAll(instants: readonly number[], limit: number): readonly number[] {
  const window = new RateWindow()
  return instants.filter((atMs) => {
    if (window.used(atMs) + 1 > limit) return false
    window.add(1, atMs)
    return true
  })
}

test('no 60 seconds contain more than the limit, whenever requests come', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 4_000 }), { minLength: 50, maxLength: 400 }),
      fc.integer({ min: 1, max: 20 }),
      (gaps, limit) => {
        let atMs = 0
        const admitted = admitAll(
          gaps.map((gap) => {
            atMs += gap
            return atMs
          }),
          limit,
        )
        for (const [index, first] of admitted.entries()) {
          const within = admitted.slice(index).filter((at) => at < first + 60_000)
          expect(within.length).toBeLessThanOrEqual(limit)
        }
      },
    ),
  )
})

test('at saturation at least 85 % of the limit is admitted', () => {
  const everyMs = Array.from({ length: 600_000 / 20 }, (_, index) => index * 20)
  const admitted = admitAll(everyMs, 600)
  expect(admitted.length).toBeGreaterThanOrEqual(0.85 * 600 * 10)
})

test('the wait that is named is enough and not more than a bucket too long', () => {
  const window = new RateWindow()
  window.add(3, 1_000)
  window.add(2, 31_000)
  const waitMs = window.waitMs(3, 5, 40_000) ?? 0
  expect(waitMs).toBeGreaterThan(0)
  expect(window.used(40_000 + waitMs) + 3).toBeLessThanOrEqual(5)
  expect(window.used(40_000 + waitMs - 101)).toBe(2)
  expect(40_000 + waitMs).toBeLessThanOrEqual(61_000 + 400)
})

test('what is larger than the limit never fits', () => {
  expect(new RateWindow().waitMs(11, 10, 0)).toBeNull()
  expect(new RateWindow().waitMs(10, 10, 0)).toBe(0)
})

test('a correction changes the bucket it names, and nothing once that has left', () => {
  const window = new RateWindow()
  const bucket = window.add(100, 0)
  window.correct(bucket, -60)
  expect(window.used(1)).toBe(40)
  expect(window.used(70_000)).toBe(0)
  window.correct(bucket, -40)
  expect(window.used(70_000)).toBe(0)
})

test('a clock that steps back makes no room', () => {
  const window = new RateWindow()
  window.add(5, 100_000)
  expect(window.used(10_000)).toBe(5)
  expect(window.emptyMs(10_000)).toBe(60_350)
})
