import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Quirks } from '#core/provider.ts'
import { passAnswer } from '#wire/openai-chat/pass.ts'
import { CHUNKINGS } from '../../../support/chunkings.ts'
import { bodiesOf, chunk, decode, encode, event, PLAIN, pass, passText, USAGE } from './support.ts'

const ROLE = event(chunk({ role: 'assistant', content: '' }))
const HELLO = event(chunk({ content: '你好' }))
const FINISH = event(chunk({}, 'stop'))
const USAGE_CHUNK = event({ ...chunk({}), choices: [], usage: USAGE })
const DONE = 'data: [DONE]\n\n'

describe('bytes pass', () => {
  const streams = [
    { name: 'a plain stream', text: ROLE + HELLO + FINISH },
    {
      name: 'odd spacing and key order inside events',
      text: `data:  {"choices" : [ {"delta":{"content":"a"},"index":0} ] ,"id":"x"}\n\n${HELLO}${FINISH}`,
    },
    {
      name: 'events without a space behind the colon',
      text: (ROLE + HELLO + FINISH).replaceAll('data: ', 'data:'),
    },
    { name: 'CRLF', text: (ROLE + HELLO + HELLO + FINISH).replaceAll('\n', '\r\n') },
    {
      name: 'comments, ids and event names',
      text: `: keep-alive\n\n${ROLE}id: 7\nevent: message\n${HELLO}: PROCESSING\n\n${FINISH}`,
    },
    {
      name: 'fields of a vendor',
      text: ROLE + event(chunk({ content: 'a', obfuscation: 'xyz', annotations: [] })) + FINISH,
    },
    {
      name: 'null usage on every chunk',
      text: event(chunk({ content: 'a' }, null, { usage: null })) + FINISH,
    },
    {
      name: 'a first event with empty choices',
      text: event({ id: 'x', choices: [], prompt_filter_results: [] }) + HELLO + FINISH,
    },
  ]
  describe.each(streams)('of $name', ({ text }) => {
    test.each(CHUNKINGS)('as they came, $name', ({ cut }) => {
      const passed = pass(cut(encode(text + DONE)))
      expect(passed.text).toBe(text)
      expect(passed.state).toMatchObject({ content: true, finished: true, done: true, failure: null })
    })
  })

  test('for any text, whatever words of the protocol it holds', () => {
    const word = fc.constantFrom(
      'usage',
      'error',
      'finish_reason',
      '"usage":{',
      '"error":{"a":1}',
      '[DONE]',
      'data: x\n\n',
      'null',
      '\\',
    )
    const text = fc.oneof(word, fc.string({ unit: 'grapheme', minLength: 1 }))
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 8 }), fc.nat(6), (texts, cutting) => {
        const stream = ROLE + texts.map((content) => event(chunk({ content }))).join('') + FINISH
        const cut = CHUNKINGS[cutting % CHUNKINGS.length]?.cut ?? ((bytes: Uint8Array) => [bytes])
        const passed = pass(cut(encode(stream + USAGE_CHUNK + DONE)))
        expect(passed.text).toBe(stream)
        expect(passed.state).toMatchObject({ finished: true, done: true, failure: null })
        expect(passed.state.usage?.outputTokens).toBe(10)
      }),
      { seed: 11, numRuns: 300 },
    )
  })

  test('of a chunk that is whole in one write without a copy', () => {
    const bytes = encode(ROLE + HELLO + HELLO + FINISH)
    const { writes } = pass([bytes])
    expect(writes.map((write) => write.length)).toEqual([bytes.length])
    expect(writes[0]?.buffer).toBe(bytes.buffer)
  })
})

describe('what is left out', () => {
  const rest = [
    { name: 'a second end mark', text: DONE },
    { name: 'an event behind the end mark', text: HELLO },
    { name: 'an error behind the end mark', text: event({ error: { message: 'late' } }) },
    { name: 'a comment behind the end mark', text: ': bye\n\n' },
    { name: 'the start of an event', text: 'data: {"cho' },
  ]
  test.each(rest)('$name', ({ text }) => {
    const passed = passText(HELLO + FINISH + DONE + text)
    expect(passed.text).toBe(HELLO + FINISH)
    expect(passed.state).toMatchObject({ done: true, failure: null, droppedEvents: 0 })
  })

  const broken = [
    { name: 'text', data: 'hello' },
    { name: 'a list', data: '[1]' },
    { name: 'a cut object', data: '{"choices":[' },
    { name: 'an object that only looks like one, before content', data: '{"choices":oops}' },
    { name: 'nothing', data: '' },
  ]
  test.each(broken)('an event whose data is $name: counted, and the stream goes on', ({ data }) => {
    const passed = passText(`data: ${data}\n\n${HELLO}${FINISH}`)
    expect(passed.text).toBe(HELLO + FINISH)
    expect(passed.state).toMatchObject({ droppedEvents: 1, finished: true, failure: null })
  })
})

describe('usage that the client did not ask for', () => {
  test('is learnt and taken out with its chunk', () => {
    const passed = passText(HELLO + FINISH + USAGE_CHUNK + DONE)
    expect(passed.text).toBe(HELLO + FINISH)
    expect(passed.state.usage).toMatchObject({ inputTokens: 20, outputTokens: 10 })
  })

  test('is taken out of a finish chunk that carries it, and the finish stays', () => {
    const passed = passText(HELLO + event(chunk({ content: '' }, 'stop', { usage: USAGE })) + DONE)
    expect(bodiesOf(passed.text)).toEqual([chunk({ content: '你好' }), chunk({ content: '' }, 'stop')])
  })

  test('is taken out of every chunk of a vendor that reports as it goes; the last report counts', () => {
    const stream = [1, 2, 3].map((tokens) =>
      event(
        chunk({ content: 'a' }, null, {
          usage: { prompt_tokens: 20, completion_tokens: tokens, total_tokens: 20 + tokens },
        }),
      ),
    )
    const passed = passText(stream.join('') + FINISH)
    expect(passed.text).not.toContain('usage')
    expect(passed.state.usage?.outputTokens).toBe(3)
  })

  test('is taken out of a choice, where Kimi also puts it', () => {
    const finish = chunk({}, 'stop')
    const choices = [{ index: 0, delta: {}, finish_reason: 'stop', usage: USAGE }]
    const passed = passText(HELLO + event({ ...finish, choices }))
    expect(bodiesOf(passed.text)).toEqual([chunk({ content: '你好' }), finish])
    expect(passed.state.usage?.inputTokens).toBe(20)
  })

  test.each(['usage', 'finish_reason', 'error'])(
    'and the finish are seen beside a token that reads "%s"',
    (content) => {
      const passed = passText(HELLO + event(chunk({ content }, 'stop', { usage: USAGE })))
      expect(passed.state).toMatchObject({ finished: true, failure: null, usage: { outputTokens: 10 } })
      expect(passed.text).not.toContain('prompt_tokens')
    },
  )

  test('a finish of a later choice is seen behind an unfinished one', () => {
    const choices = [
      { index: 0, delta: { content: 'a' }, finish_reason: null },
      { index: 1, delta: {}, finish_reason: 'stop' },
    ]
    expect(passText(HELLO + event({ ...chunk({}), choices })).state.finished).toBe(true)
  })
})

describe('usage that the client asked for', () => {
  const costOf = () => '0.000123'

  test('comes with the cost of the request', () => {
    const passed = passText(HELLO + FINISH + USAGE_CHUNK + DONE, { wantsUsage: true, costOf })
    expect(passed.text.startsWith(HELLO + FINISH)).toBe(true)
    expect(bodiesOf(passed.text).at(-1)).toMatchObject({ choices: [], usage: { ...USAGE, cost: '0.000123' } })
  })

  test('passes as it came where no price is known', () => {
    expect(passText(HELLO + FINISH + USAGE_CHUNK, { wantsUsage: true }).text).toBe(
      HELLO + FINISH + USAGE_CHUNK,
    )
  })

  test('gets a chunk of its own where the vendor has it in a choice only', () => {
    const choices = [{ index: 0, delta: {}, finish_reason: 'stop', usage: USAGE }]
    const passed = passText(HELLO + event({ ...chunk({}), choices }), { wantsUsage: true, costOf })
    const last = bodiesOf(passed.text).at(-1)
    expect(last).toMatchObject({ id: 'c1', object: 'chat.completion.chunk', model: 'm', choices: [] })
    expect(last?.['usage']).toMatchObject({ prompt_tokens: 20, completion_tokens: 10, cost: '0.000123' })
  })

  test('is shown once', () => {
    const passed = passText(HELLO + FINISH + USAGE_CHUNK, { wantsUsage: true, costOf })
    expect(bodiesOf(passed.text).filter((body) => 'usage' in body)).toHaveLength(1)
  })

  test('the cost is asked for the model that the answer names', () => {
    const asked: (string | null)[] = []
    passText(HELLO + FINISH + USAGE_CHUNK, {
      wantsUsage: true,
      costOf: (_usage, model) => {
        asked.push(model)
        return null
      },
    })
    expect(asked).toEqual(['m'])
  })
})

describe('the end of a stream', () => {
  test('without a finish reason is no whole answer', () => {
    expect(passText(HELLO + HELLO).state).toMatchObject({ content: true, finished: false, done: false })
  })

  test.each([
    { name: 'no line end', tail: '' },
    { name: 'one line end', tail: '\n' },
    { name: 'CR LF', tail: '\r\n' },
  ])('with $name behind its last event leaves room for what follows', ({ tail }) => {
    const text = HELLO + FINISH.trimEnd() + tail
    const passed = passText(text)
    expect(passed.state.finished).toBe(true)
    expect(bodiesOf(passed.text + DONE)).toEqual([chunk({ content: '你好' }), chunk({}, 'stop')])
  })

  test('with a broken last event drops it', () => {
    expect(passText(`${HELLO}${FINISH}data: {"choices":[{"del`).text).toBe(HELLO + FINISH)
  })
})

describe('a failure inside a stream under HTTP 200', () => {
  const failures = [
    {
      name: 'an error object',
      text: event({ error: { message: 'busy', code: 'overloaded_error' } }),
      kind: 'overloaded',
    },
    { name: 'an error text', text: event({ error: 'engine died' }), kind: 'server' },
    {
      name: 'an error event',
      text: `event: error\n${event({ message: 'content_filter' })}`,
      kind: 'moderation',
    },
    { name: 'a bare JSON line', text: '{"error_code":336100,"error_msg":"try again"}\n\n', kind: 'server' },
    {
      name: 'an error beside choices',
      text: event(chunk({}, null, { error: { message: 'x' } })),
      kind: 'server',
    },
  ]
  test.each(failures)('$name before content leaves nothing for the client', ({ text, kind }) => {
    const passed = passText(text)
    expect(passed.state.failure?.kind).toBe(kind)
    expect(passed.text).toBe('')
  })

  test.each(failures)('$name after content ends it there', ({ text, kind }) => {
    const passed = passText(HELLO + HELLO + text + HELLO)
    expect(passed.state.failure?.kind).toBe(kind)
    expect(passed.text).toBe(HELLO + HELLO)
  })

  test.each([null, false, '', 0])('an `error` of %j is none, as the official SDKs see it', (error) => {
    const text = event(chunk({ content: 'a' }, null, { error })) + FINISH
    expect(passText(text)).toMatchObject({ text, state: { failure: null, finished: true } })
  })

  test('an event without end is given up', () => {
    const passed = pass([encode(HELLO), encode(`data: ${'x'.repeat(5 * 1024 * 1024)}`)])
    expect(passed.state.failure?.kind).toBe('protocol')
  })
})

describe('quirks are repaired', () => {
  const quirks: Quirks = {
    ...PLAIN,
    reasoningField: 'reasoning',
    finishReasons: { eos: 'stop', abort: 'error' },
  }

  test('reasoning under another name, and nothing else', () => {
    const text = HELLO + event(chunk({ reasoning: 'hm' })) + HELLO + FINISH
    const passed = passText(text, { quirks })
    expect(bodiesOf(passed.text)[1]).toEqual(chunk({ reasoning_content: 'hm' }))
    expect(passed.text.split('\n\n')).toHaveLength(5)
  })

  test('the vendor’s finish reason is mapped and kept beside it', () => {
    const last = bodiesOf(passText(HELLO + event(chunk({}, 'eos')), { quirks }).text).at(-1)
    expect(last?.['choices']).toEqual([
      { index: 0, delta: {}, finish_reason: 'stop', native_finish_reason: 'eos' },
    ])
  })

  test('a finish reason that means failure is one', () => {
    const passed = passText(HELLO + event(chunk({}, 'abort')), { quirks })
    expect(passed.state.failure).toMatchObject({ kind: 'server', vendorCode: 'abort' })
    expect(passed.text).toBe(HELLO)
  })
})

describe('what counts as content', () => {
  const cases = [
    { delta: { role: 'assistant', content: '' }, content: false },
    { delta: { content: null, reasoning_content: '' }, content: false },
    { delta: { tool_calls: [] }, content: false },
    { delta: { content: 'a' }, content: true },
    { delta: { reasoning_content: 'a' }, content: true },
    { delta: { reasoning: 'a' }, content: true },
    { delta: { refusal: 'a' }, content: true },
    { delta: { audio: { id: 'a' } }, content: true },
    { delta: { tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '' } }] }, content: true },
    {
      delta: { tool_calls: [{ index: 0, id: 'c', type: 'custom', custom: { name: 'f', input: '' } }] },
      content: true,
    },
    { delta: { function_call: { name: 'f' } }, content: true },
  ]
  test.each(cases)('$delta: $content', ({ delta, content }) => {
    expect(passText(event(chunk(delta))).state.content).toBe(content)
  })
})

describe('an unstreamed answer', () => {
  const answer = (fields: object): string =>
    JSON.stringify({
      id: 'c1',
      model: 'm-1',
      choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
      ...fields,
    })
  const read = (text: string, quirks: Quirks = PLAIN) => passAnswer(encode(text), { quirks, rules: [] })

  test('passes in its own bytes and is learnt from', () => {
    const text = `\n\n ${answer({ usage: USAGE })}`
    const { state, bytes } = read(text)
    expect(decode(bytes)).toBe(text)
    expect(state).toMatchObject({
      upstreamId: 'c1',
      responseModel: 'm-1',
      finished: true,
      usage: { inputTokens: 20 },
    })
  })

  test.each([
    { name: 'not JSON', text: '<html>', kind: 'protocol' },
    { name: 'cut', text: '{"choices":[', kind: 'protocol' },
    { name: 'without choices', text: '{"id":"x","choices":[]}', kind: 'protocol' },
    { name: 'an error', text: '{"error":{"code":"insufficient_quota","message":"x"}}', kind: 'quota' },
    {
      name: 'an error of MiniMax',
      text: '{"choices":null,"base_resp":{"status_code":1002,"status_msg":"rate"}}',
      kind: 'server',
    },
    { name: 'a list', text: '[]', kind: 'server' },
  ])('that is $name is a failure', ({ text, kind }) => expect(read(text).state.failure?.kind).toBe(kind))

  test('is rewritten only where a quirk asks for it', () => {
    const quirks: Quirks = { ...PLAIN, finishReasons: { eos: 'stop' } }
    const choices = [{ index: 0, message: { content: 'hi' }, finish_reason: 'eos' }]
    expect(JSON.parse(decode(read(answer({ choices }), quirks).bytes))).toMatchObject({
      choices: [{ finish_reason: 'stop', native_finish_reason: 'eos' }],
    })
    expect(decode(read(answer({}), quirks).bytes)).toBe(answer({}))
  })
})
