import { describe, expect, test } from 'vitest'
import type { DecideSession } from '#cli/decide-session.ts'
import { DecideStream } from '#cli/decide-stream.ts'
import { sessionOf } from './decide-support.ts'

const AT = Date.UTC(2026, 2, 2, 4, 0)

const CONFIG = JSON.stringify({
  providers: {
    main: { use: 'vendor', api_key: 'k' },
    lab: { use: 'hosted', base_url: 'https://lab.example' },
  },
  prices: {
    'main/small': {
      currency: 'CNY',
      unit: 'per_million_tokens',
      tiers: [{ input: '1', cached_input: '0.1', output: '2' }],
      time_bands: [
        {
          timezone: 'Asia/Shanghai',
          days: 'all',
          start: '13:00',
          end: '14:00',
          tiers: [{ input: '30', output: '60' }],
        },
      ],
      balances: [{ id: 'free', kind: 'free_quota', unit: 'tokens', amount: 1_500 }],
    },
    'lab/big': { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '3', output: '4' }] },
  },
  models: {
    chat: {
      policy: 'quick',
      targets: [
        { target: 'main/small', context_window: 8_000 },
        { target: 'lab/big', context_window: 32_000, limits: { rpm: 60 } },
      ],
    },
  },
  policies: {
    quick: { slo: { ttft_ms: 1500, value: 0.01 }, explore: { max_share: 0 }, hedge: { enabled: true } },
  },
})

const session = (seed = 1): DecideSession => sessionOf(CONFIG, seed)

const request = (changes: object = {}): object => ({
  type: 'request',
  id: 'r1',
  at: AT,
  model: 'chat',
  input_tokens: 1_000,
  ...changes,
})

describe('a session', () => {
  test('answers requests and questions for hedges, and nothing else', () => {
    const { handle } = session()
    expect(handle(request())).toEqual({
      id: 'r1',
      order: ['main/small', 'lab/big'],
      explore: false,
      propensity: 1,
      hedge_after_ms: expect.any(Number),
      expected_cost: expect.any(Number),
      p_slo: expect.any(Number),
    })
    expect(handle({ type: 'attempt_started', id: 'r1', at: AT, target: 'main/small' })).toBeNull()
    expect(handle({ type: 'hedge?', id: 'r1', at: AT + 1 })).toEqual({ id: 'r1', target: null })
    expect(handle({ type: 'first_token', id: 'r1', at: AT + 300, target: 'main/small' })).toBeNull()
    const usage = { input_tokens: 1_000, cached_tokens: 0, output_tokens: 100 }
    expect(handle({ type: 'finished', id: 'r1', at: AT + 900, target: 'main/small', ...usage })).toBeNull()
  })

  test('gives ids back as they came', () => {
    expect(session().handle(request({ id: 7 }))).toMatchObject({ id: 7 })
  })

  test('leaves out what was tried, and what has no room for input and output', () => {
    expect(session().handle(request({ tried: ['main/small'] }))).toMatchObject({ order: ['lab/big'] })
    expect(session().handle(request({ input_tokens: 7_000, max_output_tokens: 1_001 }))).toMatchObject({
      order: ['lab/big'],
    })
    expect(session().handle(request({ input_tokens: 40_000 }))).not.toHaveProperty('wait_ms')
  })

  test('asks for patience where a limit is used up', () => {
    const { handle } = session()
    const tried = { tried: ['main/small'] }
    for (let index = 0; index < 10; index++) {
      handle(request({ id: `a${index}`, ...tried }))
      handle({ type: 'attempt_started', id: `a${index}`, at: AT, target: 'lab/big' })
    }
    handle({ type: 'attempt_started', id: 'a0', at: AT, target: 'main/small' })
    handle({
      type: 'failed',
      id: 'a0',
      at: AT,
      target: 'main/small',
      error: 'rate_limited',
      retry_after_ms: 900,
    })
    expect(handle(request({ id: 'b' }))).toMatchObject({ order: [], wait_ms: expect.any(Number) })
  })

  test('prices by the hour of its own clock', () => {
    const noon = session().handle(request({ at: AT })) as { order: string[] }
    const band = session().handle(request({ at: AT + 90 * 60_000 })) as { order: string[] }
    expect(noon.order[0]).toBe('main/small')
    expect(band.order[0]).toBe('main/small')
    const { handle } = session()
    use(handle, 'x', 2_000, AT)
    expect(handle(request({ id: 'y', at: AT + 90 * 60_000 }))).toMatchObject({
      order: ['lab/big', 'main/small'],
    })
  })

  test('a free quota costs nothing until it is used up', () => {
    const { handle } = session()
    expect(handle(request())).toMatchObject({ expected_cost: 0 })
    use(handle, 'x', 2_000, AT)
    expect(handle(request({ id: 'y', at: AT + 1_000 }))).not.toMatchObject({ expected_cost: 0 })
  })

  function use(handle: DecideSession['handle'], id: string, tokens: number, at: number): void {
    handle(request({ id, input_tokens: tokens, at }))
    handle({ type: 'attempt_started', id, at, target: 'main/small' })
    handle({ type: 'first_token', id, at: at + 300, target: 'main/small' })
    const usage = { input_tokens: tokens, cached_tokens: 0, output_tokens: 10 }
    handle({ type: 'finished', id, at: at + 400, target: 'main/small', ...usage })
  }

  test('takes a target by its name, under the default policy', () => {
    expect(session().handle(request({ model: 'lab/big' }))).toMatchObject({ order: ['lab/big'] })
  })
})

describe('a line that cannot be taken', () => {
  const cases: readonly {
    readonly name: string
    readonly line: unknown
    readonly says: readonly string[]
  }[] = [
    { name: 'no JSON', line: '{', says: ['no JSON'] },
    { name: 'no object', line: [1], says: ['found [1]', 'an object'] },
    { name: 'no type', line: { id: 'a', at: 1 }, says: ['"type"', 'nothing', 'request, attempt_started'] },
    { name: 'an unknown type', line: request({ type: 'reqest' }), says: ['"type"', '"reqest"'] },
    { name: 'no id', line: request({ id: undefined }), says: ['"id"'] },
    { name: 'a time that is none', line: request({ at: '12' }), says: ['"at"', '"12"', 'milliseconds'] },
    {
      name: 'no length',
      line: request({ input_tokens: undefined }),
      says: ['"input_tokens"', 'whole number'],
    },
    { name: 'half a token', line: request({ input_tokens: 0.5 }), says: ['"input_tokens"', '0.5'] },
    {
      name: 'more than can be counted',
      line: request({ input_tokens: 1e300 }),
      says: ['"input_tokens"', '1e+300'],
    },
    { name: 'an unknown model', line: request({ model: 'chatt' }), says: ['"model"', '"chatt"', 'chat'] },
    { name: 'an unknown field', line: request({ input_token: 1 }), says: ['did you mean "input_tokens"'] },
    { name: 'an unknown capability', line: request({ capabilities: ['tool'] }), says: ['"tool"', 'tools'] },
    { name: 'a target of another model', line: request({ tried: ['main/x'] }), says: ['"tried"', 'lab/big'] },
    {
      name: 'an unknown error',
      line: { type: 'failed', id: 'r', at: 1, target: 'a/b', error: 'boom' },
      says: ['"error"', '"boom"', 'rate_limited, timeout'],
    },
  ]

  test.each(cases)('$name', ({ line, says }) => {
    const stream = new DecideStream(session())
    const text = typeof line === 'string' ? line : JSON.stringify(line)
    const taken = stream.take(Buffer.from(`\n${text}\n${JSON.stringify(request({ id: 'next' }))}\n`))
    expect(taken.problems).toHaveLength(1)
    expect(taken.problems[0]).toContain('line 2: ')
    for (const part of says) expect(taken.problems[0]).toContain(part)
    expect(stream.hasProblems).toBe(true)
    const answers = taken.answers.trim().split('\n')
    expect(JSON.parse(answers.at(-1) ?? '')).toMatchObject({ id: 'next', order: expect.any(Array) })
  })

  test('is answered where an answer was due, so that nobody waits for ever', () => {
    const { answers } = new DecideStream(session()).take(
      Buffer.from(`${JSON.stringify(request({ model: 'x' }))}\n`),
    )
    expect(JSON.parse(answers)).toEqual({
      id: 'r1',
      error: { line: 1, message: expect.stringContaining('model') },
    })
  })
})

describe('a stream', () => {
  const lines = [request(), { type: 'hedge?', id: 'r1', at: AT }, request({ id: 'é2' })]
  const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))

  test.each([1, 7, 64, bytes.length])('answers in order, whatever the chunks: %d bytes', (size) => {
    const stream = new DecideStream(session())
    let answers = ''
    for (let from = 0; from < bytes.length; from += size)
      answers += stream.take(bytes.subarray(from, from + size)).answers
    answers += stream.end().answers
    expect(
      answers
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { id: string }).id),
    ).toEqual(['r1', 'r1', 'é2'])
  })

  test('takes a last line without its end', () => {
    const stream = new DecideStream(session())
    expect(stream.take(Buffer.from(JSON.stringify(request()))).answers).toBe('')
    expect(stream.end().answers).toContain('"id":"r1"')
  })

  test('gives the same answers to the same lines and seed', () => {
    const run = (): string => new DecideStream(session(9)).take(bytes).answers
    expect(run()).toBe(run())
  })
})
