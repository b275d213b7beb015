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
    { seed: 7, numRuns: 400 },
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

describe('a body that parsers read in different ways', () => {
  const json = fc.jsonValue({ maxDepth: 3 })
  /** Names that hit: the edited one, plain and escaped, and others that hold it. */
  const name = fc.oneof(
    fc.constantFrom('model', 'Model', 'mod', 'el', 'a"model"', '模型', '\u2028', '', 'constructor'),
    // JSON.parse itself (V8 of Node 24.21) takes `"\\u2028"` for a key `\` where an object of that shape came before.
    fc.string({ unit: 'binary' }).filter((text) => !text.includes('\\')),
  )
  const member = fc.record({ key: name, value: json, escaped: fc.boolean() })
  const space = fc.constantFrom('', ' ', '\n\t', '\r\n  ')
  const body = fc.record({ members: fc.array(member, { maxLength: 8 }), space, bom: fc.boolean() })

  /** JSON.parse believes the last of several members; `__proto__` is a plain member to it. */
  const written = ({
    members,
    space: gap,
    bom,
  }: typeof body extends fc.Arbitrary<infer T> ? T : never): string => {
    const texts = members.map(({ key, value, escaped }) => {
      const quoted = escaped ? escapeAll(key) : JSON.stringify(key)
      return `${gap}${quoted}${gap}:${gap}${JSON.stringify(value, null, gap === '' ? 0 : 2)}${gap}`
    })
    return `${bom ? '\ufeff' : ''}${gap}{${texts.join(',')}${gap}}${gap}`
  }
  const parse = (text: string): unknown => JSON.parse(text.replace(/^\ufeff/, ''))

  test('is edited as parse, set, stringify would: duplicates, escapes, any key, any space, a byte order mark', () => {
    fc.assert(
      fc.property(body, fc.option(json), json, (given, model, stream) => {
        const text = written(given)
        const edits = { model: model === null ? null : JSON.stringify(model), stream: JSON.stringify(stream) }
        const want = new Map(Object.entries(parse(text) as object))
        if (model === null) want.delete('model')
        else want.set('model', model)
        want.set('stream', stream)
        const edited = edit(text, edits)
        expect(new Map(Object.entries(parse(edited) as object))).toEqual(
          new Map(Object.entries(parse(JSON.stringify(Object.fromEntries(want))) as object)),
        )
      }),
      { seed: 41, numRuns: 500 },
    )
  })

  test('has no occurrence of an edited key left as it was', () => {
    fc.assert(
      fc.property(body, (given) => {
        const bytes = encode(edit(written(given), { model: '"edited"' }))
        const scan = scanMembers(bytes, 100)
        const values = scan?.members
          .filter((one) => one.key === 'model')
          .map((one) => {
            return decode(bytes.subarray(one.valueStart, one.valueEnd))
          })
        expect(values?.length).toBeGreaterThan(0)
        expect(new Set(values)).toEqual(new Set(['"edited"']))
      }),
      { seed: 42, numRuns: 500 },
    )
  })

  test('keeps every other byte', () => {
    const text = '{"a":1.0,"b":1e400,"c":"\\u0061\\/","model":"x","d":12345678901234567890}'
    expect(edit(text, { model: '"y"' })).toBe(text.replace('"x"', '"y"'))
  })
})

function escapeAll(text: string): string {
  return `"${Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`
}

test('a byte order mark is not sent on: RFC 8259 forbids it', () => {
  expect(edit('\ufeff{"model":"a"}', { model: '"b"' })).toBe('{"model":"b"}')
})

test.each([
  { name: 'objects', deep: `{"a":${'{"b":'.repeat(200)}1${'}'.repeat(200)}}` },
  { name: 'lists behind a byte order mark', deep: `\ufeff{"a":${'['.repeat(200)}${']'.repeat(200)}}` },
])('deep $name are found out', ({ deep }) => {
  expect(scanMembers(encode(deep), 100)?.depth).toBeGreaterThan(100)
})

test('brackets inside strings are no depth', () => {
  expect(scanMembers(encode(`{"a":"${'[{'.repeat(200)}","b":[1]}`), 100)?.depth).toBe(2)
})
