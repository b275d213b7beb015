import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type EventShape, readShape, shapeEnd } from '#wire/openai-chat/event-shape.ts'
import { SseSplitter } from '#wire/sse.ts'
import { chunk, encode, event } from './support.ts'

function shapeOf(text: string): EventShape | null {
  let shape: EventShape | null = null
  new SseSplitter(100_000).push(encode(text), ({ raw, data }) => {
    shape = data === null ? null : readShape(raw, data)
  })
  return shape
}

function fits(shape: EventShape | null, text: string): boolean {
  const bytes = encode(text)
  return shape !== null && shapeEnd(shape, bytes, 0) === bytes.length
}

const SAID = event(chunk({ content: 'a' }))

describe('an event of the same shape', () => {
  const alike = [
    { name: 'another text', text: event(chunk({ content: '你好, world' })) },
    { name: 'no text', text: event(chunk({ content: '' })) },
    { name: 'quotes in its text', text: event(chunk({ content: 'say "usage":{} to \\"' })) },
    { name: 'a backslash at the end of its text', text: event(chunk({ content: '\\' })) },
    { name: 'line ends in its text', text: event(chunk({ content: '\n\n\r\n' })) },
  ]
  test.each(alike)('may have $name', ({ text }) => expect(fits(shapeOf(SAID), text)).toBe(true))

  test('is found for any two texts', () => {
    const text = fc.string({ unit: fc.oneof(fc.constantFrom('"', '\\', '\n', 'é', '😀'), fc.string()) })
    fc.assert(
      fc.property(text, text, (first, second) => {
        expect(fits(shapeOf(event(chunk({ content: first }))), event(chunk({ content: second })))).toBe(true)
      }),
      { seed: 71, numRuns: 500 },
    )
  })

  test.each(['reasoning_content', 'refusal'])('may differ in its %s', (field) => {
    const said = (text: string): string => event(chunk({ content: null, [field]: text }))
    expect(fits(shapeOf(said('a')), said('other'))).toBe(true)
  })

  test('may differ in the arguments of a call, and in padding', () => {
    const called = (text: string, padding: string): string =>
      event(
        chunk({ tool_calls: [{ index: 0, function: { arguments: text } }] }, null, { obfuscation: padding }),
      )
    expect(fits(shapeOf(called('{"a', 'xyz')), called('": 1}', 'q'))).toBe(true)
  })

  test('may have spaces between its members', () => {
    const spaced = (text: string): string =>
      `data: {"choices": [{"delta": {"content": "${text}"}, "index": 0}], "usage": null}\n\n`
    expect(fits(shapeOf(spaced('a')), spaced('bc'))).toBe(true)
  })

  test('may have fields beside its data, and lines that end in CR LF', () => {
    const framed = (text: string): string =>
      `event: message\r\n${event(chunk({ content: text })).replaceAll('\n', '\r\n')}`
    expect(fits(shapeOf(framed('a')), framed('b'))).toBe(true)
  })
})

describe('an event of another shape', () => {
  const others = [
    { name: 'another member', text: event(chunk({ refusal: 'a' })) },
    { name: 'a member more', text: event(chunk({ content: 'a', role: 'assistant' })) },
    { name: 'another index', text: SAID.replace('"index":0', '"index":1') },
    { name: 'another model', text: event({ ...chunk({ content: 'a' }), model: 'n' }) },
    { name: 'a finish reason', text: event(chunk({ content: 'a' }, 'stop')) },
    { name: 'usage', text: event(chunk({ content: 'a' }, null, { usage: {} })) },
    { name: 'a text that is null', text: event(chunk({ content: null })) },
    { name: 'a line end in its text', text: SAID.replace('"a"', '"a\n"') },
    { name: 'a blank line in its text', text: SAID.replace('"a"', '"a\n\n"') },
    { name: 'a line end behind a backslash', text: SAID.replace('"a"', '"a\\\n"') },
    { name: 'another line end', text: SAID.replaceAll('\n', '\r\n') },
    { name: 'another field before it', text: `event: error\n${SAID}` },
    { name: 'no end', text: SAID.slice(0, -1) },
    { name: 'no end of its text', text: SAID.slice(0, SAID.indexOf('"a"') + 2) },
    { name: 'a text that ends in a backslash only', text: SAID.replace('"a"', '"a\\') },
  ]
  test.each(others)('has $name', ({ text }) => expect(fits(shapeOf(SAID), text)).toBe(false))

  test('has another number of texts', () => {
    const both = event(chunk({ content: 'a', reasoning_content: 'b' }))
    expect(fits(shapeOf(both), SAID)).toBe(false)
    expect(fits(shapeOf(SAID), both)).toBe(false)
  })
})

describe('no shape has', () => {
  const none = [
    { name: 'an event without text', text: event(chunk({ content: null })) },
    { name: 'a value that only reads like a name', text: event({ choices: [], id: 'content', model: 'm' }) },
    { name: 'an event in several data lines', text: 'data: {"choices":[],\ndata: "content":"a"}\n\n' },
    { name: 'an event that ends in CR', text: SAID.replaceAll('\n', '\r') },
    { name: 'an event whose last string is open', text: 'data: {"content":"a","x":"}\n\n' },
  ]
  test.each(none)('$name', ({ text }) => expect(shapeOf(`${text}${text}`)).toBeNull())
})

test('the bytes that a shape was read from may be overwritten', () => {
  const bytes = encode(SAID)
  const shape = readShape(bytes, bytes.subarray(6, bytes.length - 2))
  bytes.fill(0)
  expect(fits(shape, SAID)).toBe(true)
})
