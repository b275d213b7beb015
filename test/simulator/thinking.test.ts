// What vendors refuse of the words for thinking, by their own documents.

import { expect, test } from 'vitest'
import { ask, call, start } from './caller.ts'

test.each([
  ['doubao', { thinking: { type: 'adaptive' } }, 'InvalidParameter'],
  ['doubao', { thinking: {} }, 'InvalidParameter'],
  ['deepseek', { thinking: { type: 'auto' } }, 'unknown variant `auto`, expected `enabled` or `disabled`'],
  ['qwen', { enable_thinking: true, thinking_budget: 0, stream: true }, 'must be a positive integer'],
  ['qwen', { enable_thinking: true, thinking_budget: 1.5, stream: true }, 'must be a positive integer'],
  ['ernie', { enable_thinking: true, thinking_budget: 99 }, 'thinking_budget is invalid'],
  ['ernie', { enable_thinking: true, reasoning_effort: 'max' }, 'reasoning_effort is invalid'],
] as const)('%s refuses %o', async (dialect, fields, words) => {
  const simulator = await start(dialect, { thinking: 'on' })
  const answer = await call(simulator, ask('你好', fields))
  expect(answer.status).toBe(400)
  expect(answer.text).toContain(words)
})

test.each([
  ['doubao', { thinking: { type: 'auto' } }],
  ['doubao', { thinking: { type: 'disabled' } }],
  ['deepseek', { thinking: { type: 'enabled' } }],
  ['qwen', { enable_thinking: true, thinking_budget: 1, stream: true }],
  ['ernie', { enable_thinking: true, thinking_budget: 100, reasoning_effort: 'high' }],
] as const)('%s takes %o', async (dialect, fields) => {
  const simulator = await start(dialect, { thinking: 'on' })
  expect((await call(simulator, ask('你好', fields))).status).toBe(200)
})
