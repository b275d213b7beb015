import { expect, test } from 'vitest'
import { InputGauge, TEMPLATE_TOKENS } from '#pipeline/input-gauge.ts'

function gaugeAfter(counts: readonly (readonly [bytes: number, tokens: number])[]): InputGauge {
  const gauge = new InputGauge()
  for (const [bytes, tokens] of counts) gauge.observe('a/x', bytes, tokens)
  return gauge
}

const same = (times: number, bytes: number, tokens: number) =>
  Array.from({ length: times }, () => [bytes, tokens] as const)

test('without counts each byte may be a token', () => {
  expect(new InputGauge().likelyBound('a/x', 4_000)).toBe(4_000 + TEMPLATE_TOKENS)
  expect(gaugeAfter(same(3, 4_000, 1_000)).likelyBound('a/x', 4_000)).toBe(4_000 + TEMPLATE_TOKENS)
})

test('counts of the target bring the bound near them, with a margin', () => {
  const bound = gaugeAfter(same(20, 4_000, 1_064)).likelyBound('a/x', 4_000)
  expect(bound).toBe(1_250 + TEMPLATE_TOKENS)
  expect(gaugeAfter(same(20, 4_000, 1_064)).likelyBound('b/x', 4_000)).toBe(4_000 + TEMPLATE_TOKENS)
})

test('the densest body counts, and is forgotten when it stays alone', () => {
  const once = gaugeAfter([...same(20, 4_000, 1_064), [4_000, 3_064]])
  expect(once.likelyBound('a/x', 4_000)).toBe(3_750 + TEMPLATE_TOKENS)
  for (let count = 0; count < 300; count++) once.observe('a/x', 4_000, 1_064)
  expect(once.likelyBound('a/x', 4_000)).toBeLessThan(1_300 + TEMPLATE_TOKENS)
})

test('the bound is never above a token per byte', () => {
  expect(gaugeAfter(same(20, 100, 500)).likelyBound('a/x', 1_000)).toBe(1_000 + TEMPLATE_TOKENS)
})
