import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Quirks } from '#core/provider.ts'
import { CHUNKINGS } from '../../../support/chunkings.ts'
import { chunk, encode, event, type Passed, PLAIN, pass, passText, USAGE } from './support.ts'

const SAID = event(chunk({ content: 'a' }))
const FINISH = event(chunk({}, 'stop'))

interface Piece {
  readonly text: string
  /** What the client sees of it, where it is another text. */
  readonly shown?: string
  readonly drops?: number
  readonly outputTokens?: number
}

/** What a stream may bring between texts, and what becomes of it when usage was not asked for. */
const PIECES: readonly Piece[] = [
  { text: ': keep-alive\n\n' },
  { text: event(chunk({ content: 'b', role: 'assistant' })) },
  { text: event(chunk({ reasoning_content: 'hm' })) },
  { text: event(chunk({ content: 'a' })).replaceAll('\n', '\r\n') },
  {
    text: event(chunk({ content: 'a' }))
      .replaceAll(':', ': ')
      .replace('data:  ', 'data: '),
  },
  { text: event(chunk({ content: 'a' }, null, { usage: null })) },
  { text: `event: message\n${SAID}` },
  { text: 'data: [1]\n\n', shown: '', drops: 1 },
  { text: SAID.replace('}\n\n', '\n\n'), shown: '', drops: 1 },
  { text: SAID.replace('"a"', '"a\n"'), shown: '', drops: 1 },
  { text: FINISH },
  { text: event({ ...chunk({}), choices: [], usage: USAGE }), shown: '', outputTokens: 10 },
  {
    text: event(
      chunk({ content: 'c' }, null, { usage: { ...USAGE, completion_tokens: 7, total_tokens: 27 } }),
    ),
    shown: event(chunk({ content: 'c' })),
    outputTokens: 7,
  },
]

const piece = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...PIECES) },
  {
    weight: 5,
    arbitrary: fc
      .string({ unit: fc.constantFrom('a', '"', '\\', '\n', '你', '😀', '"usage":{', '[DONE]') })
      .map((content): Piece => ({ text: event(chunk({ content })) })),
  },
)

/** Everything known of the answer but its guess. */
function facts({ text, state }: Passed): object {
  const { finished, done, droppedEvents, usage, failure } = state
  return { text, finished, done, droppedEvents, outputTokens: usage?.outputTokens ?? null, failure }
}

test('what a stream brings between texts is seen however it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.array(fc.nat(400), { maxLength: 8 }),
      (pieces, lengths) => {
        const bytes = encode(
          `${SAID}${SAID}${pieces.map(({ text }) => text).join('')}data: [DONE]\n\n${SAID}`,
        )
        const chunks: Uint8Array[] = []
        let at = 0
        for (const length of [...lengths, bytes.length]) {
          chunks.push(bytes.slice(at, at + length))
          at += length
        }
        const passed = pass(chunks)
        expect(facts(passed)).toEqual({
          text: `${SAID}${SAID}${pieces.map(({ text, shown }) => shown ?? text).join('')}`,
          finished: pieces.some(({ text }) => text === FINISH),
          done: true,
          droppedEvents: pieces.reduce((sum, { drops }) => sum + (drops ?? 0), 0),
          outputTokens:
            pieces.findLast(({ outputTokens }) => outputTokens !== undefined)?.outputTokens ?? null,
          failure: null,
        })
        expect(passed.state.outputBytes).toBe(pass([bytes]).state.outputBytes)
      },
    ),
    { seed: 81, numRuns: 1000 },
  )
})

describe('among events that are alike', () => {
  const many = SAID.repeat(20)

  test.each(CHUNKINGS)('an error is seen, $name', ({ cut }) => {
    const failing = event({ error: { message: 'busy', code: 'overloaded_error' } })
    const passed = pass(cut(encode(many + failing + many)))
    expect(passed.text).toBe(many)
    expect(passed.state.failure?.kind).toBe('overloaded')
  })

  test.each(CHUNKINGS)('an error event that reads like them is seen, $name', ({ cut }) => {
    const passed = pass(cut(encode(`${many}event: error\n${SAID}${many}`)))
    expect(passed.text).toBe(many)
    expect(passed.state.failure).not.toBeNull()
  })

  test('the text is counted for the estimate', () => {
    const text = ['a', 'bcd', '你好'].map((content) => event(chunk({ content }))).join('')
    expect(passText(text.repeat(10)).state.outputBytes).toBe(100)
  })

  test('a read that is whole goes out in one write without a copy', () => {
    const bytes = encode(many)
    const { writes } = pass([encode(many), bytes])
    expect(writes.at(-1)?.buffer).toBe(bytes.buffer)
    expect(writes.at(-1)?.length).toBe(bytes.length)
  })
})

describe('a quirk is repaired among events that are alike', () => {
  test('an empty role, behind events with a role', () => {
    const quirks: Quirks = { ...PLAIN, emptyWords: true }
    const named = event(chunk({ role: 'assistant', content: 'a' }))
    const passed = passText(`${named}${named}${event(chunk({ role: '', content: 'b' }))}${named}`, { quirks })
    expect(passed.text).toBe(`${named}${named}${event(chunk({ content: 'b' }))}${named}`)
  })

  test('reasoning under another name, however often it comes', () => {
    const quirks: Quirks = { ...PLAIN, reasoningField: 'reasoning' }
    const thought = event(chunk({ reasoning: 'hm' }))
    const passed = passText(SAID.repeat(3) + thought.repeat(3) + SAID, { quirks })
    expect(passed.text).toBe(SAID.repeat(3) + event(chunk({ reasoning_content: 'hm' })).repeat(3) + SAID)
  })
})

test('events that are never alike pass all the same', () => {
  const text = Array.from({ length: 50 }, (_, created) =>
    event({ ...chunk({ content: 'a' }), created }),
  ).join('')
  const passed = passText(text + SAID.repeat(5) + FINISH)
  expect(passed.text).toBe(text + SAID.repeat(5) + FINISH)
  expect(passed.state).toMatchObject({ finished: true, failure: null })
})
