// Both READMEs say the same, as far as a machine can tell: routes, query parameters, headers, metrics, code.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const english = readFileSync(join(ROOT, 'README.md'), 'utf8')
const chinese = readFileSync(join(ROOT, 'README.zh-CN.md'), 'utf8')

/** Words of the interface between backticks, whatever stands around them. */
function words(text: string): readonly string[] {
  const quoted = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, word = '']) => word,
  )
  const ours = quoted.filter((word) => /^(GET|POST) |^\/|^x-|^sluice_|^[a-z_]+$/.test(word))
  return [...new Set(ours)].toSorted()
}

/** Without comments and placeholders, which are in the reader's language. */
function code(text: string): readonly string[] {
  return [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, body = '']) =>
    `${language}\n${body}`.replace(/\s*#.*$/gm, '').replace(/sk-[^\s'"]+/g, 'sk-…'),
  )
}

test('name the same routes, headers, metrics and settings', () => {
  expect(words(chinese)).toEqual(words(english))
})

test('show the same code', () => {
  expect(code(chinese)).toEqual(code(english))
})

test('have the same sections', () => {
  const levels = (text: string) => [...text.matchAll(/^(#+) /gm)].map(([, marks]) => marks)
  expect(levels(chinese)).toEqual(levels(english))
})
