import { describe, expect, test } from 'vitest'
import { SseSplitter } from '#wire/sse.ts'
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
