import { expect, test } from 'vitest'
import { answerKind } from '#pipeline/answer-kind.ts'
import { encode } from './support.ts'

test.each([
  ['data: {}', 'events'],
  ['data:{}', 'events'],
  ['event: error\n', 'events'],
  ['id:1\n', 'events'],
  ['retry: 10\n', 'events'],
  [': ping\n', 'events'],
  ['\ufeffdata: x', 'events'],
  ['\n\n  data: x', 'events'],
  ['d', 'events'],
  ['even', 'events'],
  ['{"id":1}', 'answer'],
  ['\r\n {', 'answer'],
  ['', null],
  ['\n\n', null],
  ['<html>', null],
  ['date: x', null],
  ['error', null],
  ['[1]', null],
])('%j is %s', (text, want) => expect(answerKind(encode(text))).toBe(want))
