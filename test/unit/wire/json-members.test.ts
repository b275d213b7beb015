import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scanMembers, spliceMembers } from '#wire/json-members.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

function edit(text: string, edits: Record<string, string | null>): string {
  const bytes = encode(text)
  const scan = scanMembers(bytes, 100)
  if (scan === null) throw new Error('no object')
  return decode(spliceMembers(bytes, scan, new Map(Object.entries(edits))))
}

describe('splicing members', () => {
  const cases = [
    {
      name: 'replaces a value in place',
      text: '{"model":"a","x":1}',
      edits: { model: '"b"' },
      want: '{"model":"b","x":1}',
    },
    {
      name: 'keeps spacing and order',
      text: '{ "x" : 1 ,\n "model" : "a" }',
      edits: { model: '"b"' },
      want: '{ "x" : 1 ,\n "model" : "b" }',
    },
    { name: 'adds at the front', text: '{"x":1}', edits: { y: '2' }, want: '{"y":2,"x":1}' },
    { name: 'adds to an empty object', text: '{}', edits: { y: '2' }, want: '{"y":2}' },
    { name: 'removes the first', text: '{"a":1,"b":2}', edits: { a: null }, want: '{"b":2}' },
    { name: 'removes the last', text: '{"a":1,"b":2}', edits: { b: null }, want: '{"a":1}' },
    { name: 'removes all', text: '{"a":1}', edits: { a: null }, want: '{}' },
    { name: 'removes one and adds one', text: '{"a":1}', edits: { a: null, b: '2' }, want: '{"b":2}' },
    {
      name: 'sets every occurrence of a key',
      text: '{"model":"a","model":"b"}',
      edits: { model: '"c"' },
      want: '{"model":"c","model":"c"}',
    },
    {
      name: 'knows an escaped key',
      text: '{"mod\\u0065l":"a"}',
      edits: { model: '"c"' },
      want: '{"mod\\u0065l":"c"}',
    },
    {
      name: 'leaves nested keys alone',
      text: '{"m":{"model":"x"},"model":"a"}',
      edits: { model: '"b"' },
      want: '{"m":{"model":"x"},"model":"b"}',
    },
    {
      name: 'is not misled by quotes in strings',
      text: '{"s":"a\\"model\\":\\"z\\\\","model":"a"}',
      edits: { model: '"b"' },
      want: '{"s":"a\\"model\\":\\"z\\\\","model":"b"}',
    },
  ]
  test.each(cases)('$name', ({ text, edits, want }) => {
    expect(edit(text, edits)).toBe(want)
  })
})

test('parse(splice(text)) is what setting the member would give, for any object', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.string(),
      fc.option(fc.jsonValue()),
      fc.boolean(),
      (object, key, value, spaced) => {
        const known = Object.fromEntries(Object.entries(object).filter(([name]) => name !== '__proto__'))
        fc.pre(key !== '__proto__')
        const text = JSON.stringify(known, null, spaced ? 2 : 0)
        const edited = JSON.parse(
          edit(text, { [key]: value === null ? null : JSON.stringify(value) }),
        ) as object
        const want: Record<string, unknown> = { ...known }
        if (value === null) delete want[key]
        else want[key] = value
        expect(edited).toEqual(JSON.parse(JSON.stringify(want)))
      },
    ),
    { seed: 7, numRuns: 2000 },
  )
})

test('the depth of a body is measured and the scan stops at the bound', () => {
  const deep = `{"a":${'['.repeat(500)}${']'.repeat(500)}}`
  expect(scanMembers(encode(deep), 100)?.depth).toBeGreaterThan(100)
  expect(scanMembers(encode('{"a":[{"b":1}]}'), 100)?.depth).toBe(3)
})

test.each(['', '[]', '"x"', '{"a"', '{"a":', '{"a":"x', 'nonsense'])('%j is no object to splice', (text) => {
  expect(scanMembers(encode(text), 100)).toBeNull()
})
