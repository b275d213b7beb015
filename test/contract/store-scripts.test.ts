// The Lua scripts keep the rules that a cluster and replay need, and their headers tell the truth.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MEASURES } from '#store/redis/counters.ts'
import { SCRIPTS } from '#store/redis/scripts.gen.ts'

const FOLDER = join(import.meta.dirname, '../../src/store/redis/lua')
const scripts = readdirSync(FOLDER).map((file) => {
  const source = readFileSync(join(FOLDER, file), 'utf8')
  const [shebang = '', ...lines] = source.split('\n')
  const end = lines.findIndex((line) => !line.startsWith('--'))
  return { file, source, shebang, header: lines.slice(0, end).join('\n'), body: lines.slice(end).join('\n') }
})

/** Numbers n of `WORD[n]` in a text. */
function indexes(text: string, word: string): number[] {
  const found = [...text.matchAll(new RegExp(`${word}\\[(\\d+)\\]`, 'g'))].map((match) => Number(match[1]))
  return [...new Set(found)].toSorted((left, right) => left - right)
}

describe.each(scripts)('$file', ({ file, source, shebang, header, body }) => {
  test('begins with its flags, so that a full server refuses it before its first write', () => {
    expect(shebang).toMatch(
      /^#!lua( flags=(allow-oom|no-writes|allow-stale)(,(allow-oom|no-writes|allow-stale))*)?$/,
    )
  })

  test('carries the number of its keys in its name and lists each of them', () => {
    const keys = Number(/-(\d+)\.lua$/.exec(file)?.[1])
    const expected = Array.from({ length: keys }, (_, index) => index + 1)
    expect(indexes(header, 'KEYS')).toEqual(expected)
    expect(indexes(body, 'KEYS')).toEqual(expected)
  })

  test('lists each argument that it uses by number', () => {
    const listed = indexes(header, 'ARGV')
    for (const index of indexes(body, 'ARGV')) expect(listed).toContain(index)
  })

  test('says what it guarantees and what it returns', () => {
    expect(header).toMatch(/^-- \S.*\n-- Guarantee: /)
    expect(header).toMatch(/\n-- Returns /)
  })

  test('touches no key but those it was given, no chance, and no clock but that of Redis', () => {
    expect(body).not.toMatch(/math\.random|os\.(time|clock)/i)
    for (const [, first] of body.matchAll(/redis\.p?call\('\w+',\s*([^,)]+)/g)) {
      expect(first).toMatch(/^KEYS\[\d+\]$/)
    }
  })

  test('has at most 260 lines', () => {
    expect(source.split('\n').length).toBeLessThanOrEqual(260)
  })

  test('is the text that the program carries', () => {
    expect(new Map<string, string>(Object.entries(SCRIPTS)).get(file.replace('.lua', ''))).toBe(source)
  })
})

test('the script and the reader agree on the letters of the measures', () => {
  for (const script of [SCRIPTS['apply-12'], SCRIPTS['ship-12']]) {
    const list = /MEASURES = \{(.+)\}/.exec(script)?.[1] ?? ''
    expect([...list.matchAll(/'(\w)'/g)].map((match) => match[1]).join('')).toBe(MEASURES)
  }
})
