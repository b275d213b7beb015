import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isDone, looksLikeObject, SseSplitter } from '#wire/sse.ts'
import { CHUNKINGS } from '../../support/chunkings.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

interface Seen {
  data: string | null
  raw: string
  isErrorEvent: boolean
  commentStatus: number
}

function split(chunks: readonly Uint8Array[], bytesMax = 1_000_000): { events: Seen[]; ok: boolean } {
  const splitter = new SseSplitter(bytesMax)
  const events: Seen[] = []
  const keep = (event: Parameters<Parameters<SseSplitter['push']>[1]>[0]): void => {
    const { data, raw, isErrorEvent, commentStatus } = event
    events.push({ data: data === null ? null : decode(data), raw: decode(raw), isErrorEvent, commentStatus })
  }
  let ok = true
  for (const chunk of chunks) ok = splitter.push(chunk, keep) && ok
  splitter.end(keep)
  return { events, ok }
}

const STREAMS = [
  {
    name: 'plain',
    text: 'data: {"a":"你好"}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n',
    data: ['{"a":"你好"}', '{"b":2}', '[DONE]'],
  },
  { name: 'CRLF', text: 'data: {"a":"世界"}\r\n\r\ndata: [DONE]\r\n\r\n', data: ['{"a":"世界"}', '[DONE]'] },
  { name: 'CR alone', text: 'data: {"a":1}\r\rdata: {"b":2}\r\r', data: ['{"a":1}', '{"b":2}'] },
  { name: 'without a space', text: 'data:{"a":1}\n\ndata:[DONE]\n\n', data: ['{"a":1}', '[DONE]'] },
  {
    name: 'comments between',
    text: ': keep-alive\n\ndata: {"a":1}\n\n: ping\n\n',
    data: [null, '{"a":1}', null],
  },
  { name: 'a byte order mark', text: '\ufeffdata: {"a":1}\n\n', data: ['{"a":1}'] },
  { name: 'several data lines', text: 'data: {"a":\ndata: 1}\n\n', data: ['{"a":\n1}'] },
  { name: 'no blank line at the end', text: 'data: {"a":1}\n\ndata: {"b":2}', data: ['{"a":1}', '{"b":2}'] },
  {
    name: 'a bare JSON line',
    text: 'data: {"a":1}\n\n{"error":{"code":"x"}}\n\n',
    data: ['{"a":1}', '{"error":{"code":"x"}}'],
  },
]

describe.each(STREAMS)('a stream with $name', ({ text, data }) => {
  test.each(CHUNKINGS)('splits alike when it comes $name', ({ cut }) => {
    expect(split(cut(encode(text))).events.map((event) => event.data)).toEqual(data)
  })

  test.each(CHUNKINGS)('loses no byte when it comes $name', ({ cut }) => {
    const joined = split(cut(encode(text)))
      .events.map((event) => event.raw)
      .join('')
    expect(joined).toBe(text.replace('\ufeff', ''))
  })
})

test.each(CHUNKINGS)('DashScope frames give status and name when they come $name', ({ cut }) => {
  const text = 'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter"}\n\n'
  const [event] = split(cut(encode(text))).events
  expect(event).toMatchObject({ isErrorEvent: true, commentStatus: 400, data: '{"code":"InvalidParameter"}' })
})

test('U+2028 and U+0085 inside data are no line ends', () => {
  const text = 'data: {"a":"x\u2028y\u0085z"}\n\n'
  expect(split([encode(text)]).events[0]?.data).toBe('{"a":"x\u2028y\u0085z"}')
})

test('an event without end is refused at its bound, not gathered for ever', () => {
  const chunks = Array.from({ length: 20 }, () => encode('x'.repeat(100)))
  expect(split([encode('data: '), ...chunks], 1000).ok).toBe(false)
})

test('a chunk that passes whole is handed on without a copy', () => {
  const chunk = encode('data: {"a":1}\n\n')
  let raw: Uint8Array | null = null
  new SseSplitter(1000).push(chunk, (event) => {
    raw = event.raw
  })
  expect((raw as Uint8Array | null)?.buffer).toBe(chunk.buffer)
})

/** The data of each event, by the letter of the HTML standard: whole text, no cuts. */
function reference(text: string): string[] {
  const found: string[] = []
  let data: string[] = []
  for (const line of text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)) {
    if (line === '') {
      if (data.length > 0) found.push(data.join('\n'))
      data = []
    } else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''))
  }
  return found
}

test('any stream in any pieces splits as the standard says', () => {
  const line = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 6 }).map((text) => `data: ${text.replace(/[\r\n]/g, '')}`),
    fc.constantFrom(
      'data:',
      'data:x',
      'data:  y',
      ': comment',
      'id: 1',
      'event: message',
      'retry: 5',
      'data: [DONE]',
    ),
  )
  const ending = fc.constantFrom('\n', '\r\n', '\r')
  const block = fc.tuple(fc.array(fc.tuple(line, ending), { minLength: 1, maxLength: 3 }), ending, fc.nat(2))
  const stream = fc
    .array(block, { maxLength: 5 })
    .map((blocks) =>
      blocks
        .map(([lines, end, more]) => lines.map(([text, stop]) => text + stop).join('') + end.repeat(1 + more))
        .join(''),
    )
  fc.assert(
    fc.property(stream, fc.array(fc.nat(60), { maxLength: 8 }), fc.boolean(), (text, lengths, bom) => {
      const bytes = encode((bom ? '\ufeff' : '') + text)
      const chunks: Uint8Array[] = []
      let at = 0
      for (const length of lengths) {
        chunks.push(bytes.slice(at, at + length))
        at += length
      }
      chunks.push(bytes.slice(at))
      const { events, ok } = split(chunks)
      expect(ok).toBe(true)
      expect(events.map((event) => event.data).filter((data) => data !== null)).toEqual(reference(text))
    }),
    { seed: 51, numRuns: 1500 },
  )
})

test('events handed out stay what they were when more bytes come', () => {
  const splitter = new SseSplitter(1000)
  const raws: Uint8Array[] = []
  const text = Array.from({ length: 50 }, (_, index) => `data: {"n":${index}}\n\n`).join('')
  for (const byte of encode(text)) splitter.push(Uint8Array.of(byte), (event) => raws.push(event.raw))
  expect(raws.map(decode).join('')).toBe(text)
})

test('many events together may be larger than the bound of one', () => {
  const text = `data: ${'x'.repeat(400)}\n\n`.repeat(20)
  expect(split([encode(text)], 500)).toMatchObject({ ok: true, events: { length: 20 } })
})

test.each([
  { data: '[DONE]', done: true },
  { data: '[DONE] ', done: true },
  { data: '[DONE', done: false },
  { data: ' [DONE]', done: false },
  { data: '"[DONE]"', done: false },
])('$data is the end mark: $done', ({ data, done }) => expect(isDone(encode(data))).toBe(done))

test.each([
  { data: '{}', is: true },
  { data: ' \t{"a":1}\r', is: true },
  { data: '{', is: false },
  { data: '}', is: false },
  { data: '', is: false },
  { data: ' ', is: false },
  { data: '[{}]', is: false },
  { data: 'x{}', is: false },
])('$data looks like an object: $is', ({ data, is }) => expect(looksLikeObject(encode(data))).toBe(is))

test('events that are skipped are not handed over, and those behind them are', () => {
  const text = 'data: 1\n\ndata: {"a":1}\n\ndata: 2\n\ndata: {"b":2}\n\n'
  const skipped: string[] = []
  // Deals with events that are a digit.
  const skip = (bytes: Uint8Array, from: number): number => {
    const next = decode(bytes.subarray(from, from + 9))
    if (!/^data: \d\n\n$/.test(next)) return from
    skipped.push(next)
    return from + 9
  }
  const seen: (string | null)[] = []
  new SseSplitter(1000).push(encode(text), ({ data }) => seen.push(data === null ? null : decode(data)), skip)
  expect(seen).toEqual(['{"a":1}', '{"b":2}'])
  expect(skipped).toEqual(['data: 1\n\n', 'data: 2\n\n'])
})

test('a growing event is offered to be skipped once, not with every piece of it', () => {
  const offered: number[] = []
  const splitter = new SseSplitter(1000)
  for (const byte of encode('data: {"a":1}\n\n'))
    splitter.push(
      Uint8Array.of(byte),
      () => undefined,
      (bytes, from) => {
        offered.push(bytes.length)
        return from
      },
    )
  expect(offered.filter((length) => length > 0)).toEqual([1, 15])
})
