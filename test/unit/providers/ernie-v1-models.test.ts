import { expect, test } from 'vitest'
import { suffixOf } from '#providers/ernie/v1-models.ts'

test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
  'a model named %s is no member of the table',
  (name) => expect(suffixOf(name)).toBe(encodeURIComponent(name.toLowerCase())),
)

test('names of the table have their irregular suffix, whatever their case', () => {
  expect(suffixOf('ERNIE-4.0-8K')).toBe('completions_pro')
  expect(suffixOf('ernie-speed-128k')).toBe('ernie-speed-128k')
})
