import { expect, test } from 'vitest'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { OutputGauge } from '#pipeline/output-gauge.ts'

test('without counts four bytes are a token, and nothing is usual', () => {
  const gauge = new OutputGauge()
  expect([gauge.expected('a/x', 41), gauge.usual('a/x'), gauge.usualMs('a/x')]).toEqual([11, null, null])
})

test('what a target has counted says how many tokens a text and an answer are', () => {
  const gauge = new OutputGauge()
  for (let index = 0; index < 20; index++) gauge.observe('a/x', 300, 100, 500)
  expect(gauge.expected('a/x', 30)).toBe(10)
  expect(gauge.usual('a/x')).toBe(100)
  expect(gauge.expected('b/x', 30), 'of another target nothing is known').toBe(8)
})

test('one answer says more of the next than a guess, and of its text less than the rule of thumb', () => {
  const gauge = new OutputGauge()
  gauge.observe('a/x', 30, 90, 500)
  expect([gauge.usual('a/x'), gauge.usualMs('a/x'), gauge.after('a/x', 100)]).toEqual([90, 500, 18])
  expect(gauge.expected('a/x', 40)).toBe(10)
})

test('answers whose text was not counted say only how long answers are', () => {
  const gauge = new OutputGauge()
  for (let index = 0; index < 20; index++) gauge.observe('a/x', 0, 50, 500)
  expect([gauge.expected('a/x', 40), gauge.usual('a/x')]).toEqual([10, 50])
})

test('averages follow a target whose answers change', () => {
  const gauge = new OutputGauge()
  for (let index = 0; index < 100; index++) gauge.observe('a/x', 400, 100, 500)
  for (let index = 0; index < 500; index++) gauge.observe('a/x', 400, 300, 500)
  expect(gauge.usual('a/x')).toBeGreaterThan(295)
})

test('the input of a body is what such bodies were counted as', () => {
  const gauge = new InputGauge()
  expect(gauge.expected('a/x', 400)).toBeNull()
  for (let index = 0; index < 20; index++) gauge.observe('a/x', 400, 90)
  expect(gauge.expected('a/x', 800)).toBe(180)
})

test('an answer that nobody sees grows with its time, and no further than it usually does', () => {
  const gauge = new OutputGauge()
  expect(gauge.after('a/x', 250)).toBe(0)
  for (let index = 0; index < 20; index++) gauge.observe('a/x', 0, 100, 500)
  expect([0, 250, 500, 5_000].map((ms) => gauge.after('a/x', ms))).toEqual([0, 50, 100, 100])
})
