import { expect, test } from 'vitest'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { OutputGauge } from '#pipeline/output-gauge.ts'

test('without counts four bytes are a token, and nothing is usual', () => {
  const gauge = new OutputGauge()
  expect([gauge.expected('a/x', 41), gauge.usual('a/x')]).toEqual([11, null])
})

test('what a target has counted says how many tokens a text and an answer are', () => {
  const gauge = new OutputGauge()
  for (let index = 0; index < 20; index++) gauge.observe('a/x', 300, 100)
  expect(gauge.expected('a/x', 30)).toBe(10)
  expect(gauge.usual('a/x')).toBe(100)
  expect(gauge.expected('b/x', 30), 'of another target nothing is known').toBe(8)
})

test('answers whose text was not counted say only how long answers are', () => {
  const gauge = new OutputGauge()
  for (let index = 0; index < 20; index++) gauge.observe('a/x', 0, 50)
  expect([gauge.expected('a/x', 40), gauge.usual('a/x')]).toEqual([10, 50])
})

test('averages follow a target whose answers change', () => {
  const gauge = new OutputGauge()
  for (let index = 0; index < 100; index++) gauge.observe('a/x', 400, 100)
  for (let index = 0; index < 500; index++) gauge.observe('a/x', 400, 300)
  expect(gauge.usual('a/x')).toBeGreaterThan(295)
})

test('the input of a body is what such bodies were counted as', () => {
  const gauge = new InputGauge()
  expect(gauge.expected('a/x', 400)).toBeNull()
  for (let index = 0; index < 20; index++) gauge.observe('a/x', 400, 90)
  expect(gauge.expected('a/x', 800)).toBe(180)
})
