import { describe, expect, test } from 'vitest'
import { Bucket } from '#routing/bucket.ts'
import { Quota } from '#routing/quota.ts'

const START = 1_700_000_000_000

describe('a declared rate', () => {
  test('lets a burst of ten seconds through, then its pace', () => {
    const bucket = new Bucket(60)
    for (let sent = 0; sent < 10; sent++) {
      expect(bucket.waitMs(1, START)).toBe(0)
      bucket.take(1, START)
    }
    expect(bucket.waitMs(1, START)).toBeCloseTo(1_000)
    expect(bucket.waitMs(1, START + 1_000)).toBe(0)
  })

  test('has no room ever for more than it holds', () => {
    expect(new Bucket(600).waitMs(101, START)).toBe(Number.POSITIVE_INFINITY)
  })

  test('holds less when it refuses what should have fitted, and at least what has passed', () => {
    const bucket = new Bucket(60)
    for (let sent = 0; sent < 4; sent++) bucket.passed(bucket.take(1, START))
    bucket.refused(1, START)
    expect(bucket.waitMs(1, START)).toBeGreaterThan(0)
    expect(bucket.waitMs(4, START + 20_000)).toBe(0)
    expect(bucket.waitMs(6, START + 20_000)).toBe(Number.POSITIVE_INFINITY)
  })

  test('does not explain a refusal below what has passed before', () => {
    const bucket = new Bucket(600)
    for (let sent = 0; sent < 50; sent++) bucket.passed(bucket.take(1, START))
    expect(bucket.excess(1, START)).toBeGreaterThan(0)
    expect(bucket.excess(1, START + 4_000)).toBe(0)
  })

  test('believes in more again with time', () => {
    const bucket = new Bucket(60)
    bucket.take(5, START)
    bucket.refused(1, START)
    const before = bucket.shareOf(1)
    bucket.waitMs(1, START + 3_600_000)
    expect(bucket.shareOf(1)).toBeCloseTo(before / 2)
  })
})

test('an undeclared rate is learnt from the first refusal', () => {
  const bucket = new Bucket(null)
  for (let second = 0; second < 60; second++) {
    expect(bucket.waitMs(1, START + second * 1_000)).toBe(0)
    bucket.take(2, START + second * 1_000)
  }
  bucket.refused(1, START + 60_000)
  expect(bucket.isLimited).toBe(true)
  const waitMs = bucket.waitMs(2, START + 60_000)
  expect(waitMs).toBeGreaterThan(100)
  expect(waitMs).toBeLessThan(3_000)
})

describe('a quota', () => {
  const limits = { rpm: 600, tpm: 600_000, concurrency: null }

  test('cools down after a refusal that its limits do not explain, longer each time', () => {
    const quota = new Quota(limits)
    for (let sent = 0; sent < 60; sent++) quota.passed(quota.sent(1_000, START))
    const waits: number[] = []
    let nowMs = START + 60_000
    for (let refusal = 0; refusal < 7; refusal++) {
      quota.sent(100, nowMs)
      quota.refused(100, nowMs, null)
      quota.ended(0, nowMs)
      waits.push(quota.waitMs(100, nowMs))
      nowMs += waits.at(-1) ?? 0
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
  })

  test('takes the upstream at its word', () => {
    const quota = new Quota(limits)
    quota.sent(100, START)
    quota.refused(100, START, 7_000)
    expect(quota.waitMs(100, START)).toBe(7_000)
  })

  test('lets small prompts go after a large one was refused', () => {
    const quota = new Quota({ rpm: null, tpm: 600_000, concurrency: null })
    quota.sent(90_000, START)
    quota.refused(90_000, START, 5_000)
    expect(quota.waitMs(90_000, START)).toBeGreaterThan(0)
    expect(quota.waitMs(1_000, START)).toBe(0)
  })

  test('bounds what runs at once', () => {
    const quota = new Quota({ rpm: null, tpm: null, concurrency: 1 })
    quota.sent(1, START)
    expect(quota.waitMs(1, START)).toBeGreaterThan(0)
    quota.ended(0, START)
    expect(quota.waitMs(1, START)).toBe(0)
  })
})
