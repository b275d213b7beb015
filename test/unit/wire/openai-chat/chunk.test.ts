import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatEvent } from '#core/chat.ts'
import type { Quirks } from '#core/provider.ts'
import { passAnswer } from '#wire/openai-chat/pass.ts'
import { bodiesOf, decode, decodeText, encode, event, type Json, PLAIN, passText } from './support.ts'

const LOOSE: Quirks = { ...PLAIN, looseToolCalls: true }

interface Call {
  readonly id: string
  readonly name: string
  /** In pieces, as they stream. */
  readonly pieces: readonly string[]
}

/** How a vendor writes piece `piece` of call `at` of a choice. */
type Dialect = (call: Call, at: number, piece: number) => unknown

const text = (call: Call, piece: number): string => call.pieces[piece] ?? ''
const first = (call: Call, piece: number): object => (piece === 0 ? { id: call.id, type: 'function' } : {})
const named = (call: Call, piece: number): object => ({
  function: { ...(piece === 0 ? { name: call.name } : {}), arguments: text(call, piece) },
})

/** The ways of open.md (rule 7), qwen.md 1.3 and GLM. */
const DIALECTS: readonly { name: string; write: Dialect; hasIds: boolean; interleaves: boolean }[] = [
  {
    name: 'as OpenAI does',
    write: (call, at, piece) => [{ index: at, ...first(call, piece), ...named(call, piece) }],
    hasIds: true,
    interleaves: true,
  },
  {
    name: 'with empty ids and names repeated',
    write: (call, at, piece) => [
      {
        index: at,
        id: piece === 0 ? call.id : '',
        type: 'function',
        function: { name: piece === 0 ? call.name : '', arguments: text(call, piece) },
      },
    ],
    hasIds: true,
    interleaves: true,
  },
  {
    name: 'with id and name repeated and no index',
    write: (call, _at, piece) => [
      { id: call.id, type: 'function', function: { name: call.name, arguments: text(call, piece) } },
    ],
    hasIds: true,
    interleaves: true,
  },
  {
    name: 'without indexes',
    write: (call, _at, piece) => [{ ...first(call, piece), ...named(call, piece) }],
    hasIds: true,
    interleaves: false,
  },
  {
    name: 'with index 0 for every call',
    write: (call, _at, piece) => [{ index: 0, ...first(call, piece), ...named(call, piece) }],
    hasIds: true,
    interleaves: false,
  },
  {
    name: 'with a negative index',
    write: (call, _at, piece) => [{ index: -1, ...first(call, piece), ...named(call, piece) }],
    hasIds: true,
    interleaves: false,
  },
  {
    name: 'with indexes from 1',
    write: (call, at, piece) => [{ index: at + 1, ...first(call, piece), ...named(call, piece) }],
    hasIds: true,
    interleaves: true,
  },
  {
    name: 'without ids',
    write: (call, at, piece) => [{ index: at, ...named(call, piece) }],
    hasIds: false,
    interleaves: true,
  },
  {
    name: 'without ids and indexes',
    write: (call, _at, piece) => [named(call, piece)],
    hasIds: false,
    interleaves: false,
  },
  {
    name: 'as an object',
    write: (call, at, piece) => ({ index: at, ...first(call, piece), ...named(call, piece) }),
    hasIds: true,
    interleaves: true,
  },
  {
    name: 'with empty elements between',
    write: (call, at, piece) => [{}, { index: at, ...first(call, piece), ...named(call, piece) }],
    hasIds: true,
    interleaves: true,
  },
]

/** Streams the calls of each choice; where the dialect allows, one piece of each call in turn. */
function stream(choices: readonly (readonly Call[])[], write: Dialect, interleaved: boolean): string {
  const chunks: string[] = []
  choices.forEach((calls, choice) => {
    const steps = calls.flatMap((call, at) => call.pieces.map((_piece, piece) => ({ call, at, piece })))
    if (interleaved) steps.sort((a, b) => a.piece - b.piece || a.at - b.at)
    for (const { call, at, piece } of steps) {
      const delta = { tool_calls: write(call, at, piece) }
      chunks.push(event({ id: 'c1', choices: [{ index: choice, delta, finish_reason: null }] }))
    }
  })
  const finish = choices.map((_calls, index) => ({ index, delta: {}, finish_reason: 'tool_calls' }))
  return chunks.join('') + event({ id: 'c1', choices: finish })
}

interface Gathered {
  id: string
  name: string
  arguments: string
}

function callsOf(choices: Gathered[][], index: number): Gathered[] {
  const calls = choices[index] ?? []
  choices[index] = calls
  return calls
}

/** As the SDKs gather: by choice and index, id and name from where they stand. */
function gatherChunks(bodies: readonly Json[]): Gathered[][] {
  const choices: Gathered[][] = []
  for (const body of bodies) {
    for (const choice of body['choices'] as Json[]) {
      const calls = callsOf(choices, choice['index'] as number)
      const delta = choice['delta'] as { tool_calls?: Json[] }
      for (const call of delta.tool_calls ?? []) {
        const index = call['index'] as number
        const own = calls[index] ?? { id: '', name: '', arguments: '' }
        calls[index] = own
        const fn = call['function'] as { name?: string; arguments?: string }
        if (call['id'] !== undefined) own.id += String(call['id'])
        if (fn.name !== undefined) own.name += fn.name
        own.arguments += fn.arguments ?? ''
      }
    }
  }
  return choices
}

function gatherEvents(events: readonly ChatEvent[]): Gathered[][] {
  const choices: Gathered[][] = []
  for (const one of events) {
    if (one.type === 'tool-call-start') {
      callsOf(choices, one.choice)[one.call] = { id: one.id, name: one.name, arguments: '' }
    } else if (one.type === 'tool-call-delta') {
      const call = choices[one.choice]?.[one.call]
      if (call === undefined) throw new Error('a delta of a call that has not begun')
      call.arguments += one.arguments
    }
  }
  return choices
}

const calls = fc.uniqueArray(
  fc.record({
    id: fc.uuid().map((id) => `call_${id}`),
    name: fc.constantFrom('get_weather', 'search', '查询'),
    pieces: fc.array(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }),
  }),
  { selector: (call) => call.id, minLength: 1, maxLength: 3 },
)

describe.each(DIALECTS)('tool calls streamed $name', ({ write, hasIds, interleaves }) => {
  const check = (read: (text: string) => Gathered[][]): void => {
    fc.assert(
      fc.property(fc.array(calls, { minLength: 1, maxLength: 2 }), fc.boolean(), (choices, mixed) => {
        const gathered = read(stream(choices, write, interleaves && mixed))
        const want = choices.map((list) =>
          list.map(({ id, name, pieces }) => ({
            ...(hasIds ? { id } : {}),
            name,
            arguments: pieces.join(''),
          })),
        )
        expect(gathered).toMatchObject(want)
        for (const [index, list] of gathered.entries()) {
          expect(list).toHaveLength(choices[index]?.length ?? 0)
          expect(new Set(list.map((call) => call.id)).size).toBe(list.length)
          expect(list.every((call) => call.id !== '')).toBe(true)
        }
      }),
      { seed: 23, numRuns: 60 },
    )
  }

  test('pass as an SDK expects them', () => {
    check((streamed) => gatherChunks(bodiesOf(passText(streamed, { quirks: LOOSE }).text)))
  })

  test('become whole calls', () => check((streamed) => gatherEvents(decodeText(streamed))))
})

test('a name that comes behind the first arguments is kept', () => {
  const deltas = [
    [{ index: 0, id: 'call_1', function: { arguments: '{"a"' } }],
    [{ index: 0, function: { name: 'f', arguments: ':1}' } }],
  ]
  const streamed = deltas
    .map((tool_calls) => event({ choices: [{ index: 0, delta: { tool_calls } }] }))
    .join('')
  const passed = passText(streamed, { quirks: LOOSE })
  expect(gatherChunks(bodiesOf(passed.text))).toEqual([[{ id: 'call_1', name: 'f', arguments: '{"a":1}' }]])
})

test('a call of a custom tool stays what it is', () => {
  const call = { index: 0, id: 'call_1', type: 'custom', custom: { name: 'code', input: 'x = 1' } }
  const streamed = event({ choices: [{ index: 0, delta: { tool_calls: [call] } }] })
  const [body] = bodiesOf(passText(streamed, { quirks: LOOSE }).text)
  expect(body?.['choices']).toEqual([{ index: 0, delta: { tool_calls: [call] } }])
})

describe('tool calls of a whole answer', () => {
  const read = (tool_calls: unknown): Json => {
    const message = { role: 'assistant', content: null, tool_calls }
    const body = { choices: [{ index: 0, message, finish_reason: 'tool_calls' }] }
    const { bytes } = passAnswer(encode(JSON.stringify(body)), { quirks: LOOSE, rules: [] })
    return (JSON.parse(decode(bytes)) as { choices: { message: Json }[] }).choices[0]?.message ?? {}
  }
  const fn = { name: 'f', arguments: '{}' }

  test.each([
    {
      name: 'an object',
      sent: { id: 'a', function: fn },
      want: [{ id: 'a', type: 'function', function: fn }],
    },
    {
      name: 'without an id',
      sent: [{ function: fn }],
      want: [{ id: 'call_0', type: 'function', function: fn }],
    },
    {
      name: 'with an index',
      sent: [{ index: 0, id: 'a', type: 'function', function: fn }],
      want: [{ id: 'a', type: 'function', function: fn }],
    },
    { name: 'an empty list', sent: [], want: undefined },
    { name: 'a list of nothing', sent: [{}, null], want: undefined },
  ])('$name', ({ sent, want }) => expect(read(sent)['tool_calls']).toEqual(want))
})
