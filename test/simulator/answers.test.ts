// What a simulated model says and what is counted for it.

import { expect, test } from 'vitest'
import { ask, call, start } from './caller.ts'

const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: '查询城市天气',
    parameters: {
      type: 'object',
      properties: {
        city: { type: 'string' },
        days: { type: 'integer', minimum: 2 },
        unit: { enum: ['c', 'f'] },
      },
      required: ['city'],
    },
  },
}

interface Answered {
  readonly choices: readonly {
    readonly message: {
      readonly content: string
      readonly tool_calls: readonly {
        readonly function: { readonly name: string; readonly arguments: string }
      }[]
    }
  }[]
  readonly usage: object
}

async function answerOf(body: object, model = {}): Promise<Answered> {
  const simulator = await start('openai', model)
  return JSON.parse((await call(simulator, body)).text)
}

test('the same prompt gets the same answer, in the language of the question, another one another', async () => {
  const simulator = await start('openai')
  const say = async (text: string): Promise<string> =>
    JSON.parse((await call(simulator, ask(text))).text).choices[0].message.content
  const [first, again, other] = [
    await say('天为什么蓝？'),
    await say('天为什么蓝？'),
    await say('Why is it blue?'),
  ]
  expect(again).toBe(first)
  expect(first).toMatch(/^关于“天为什么蓝？”：/)
  expect(other).toMatch(/^About "Why is it blue\?": /)
})

test('tokens are counted as the counter says: words, numbers, signs, characters', async () => {
  // Frame 4 and opening 3; "hello" 1, " world" 1, "," 1, " " 1, "12345" 2, " abcdefgh" 2, "天" 1
  const { usage } = await answerOf(ask('hello world, 12345 abcdefgh天'), { answer: 'one two' })
  expect(usage).toMatchObject({ prompt_tokens: 16, completion_tokens: 2, total_tokens: 18 })
})

test('a length bound ends the answer with exactly so many tokens', async () => {
  const answer = await answerOf(ask('hi', { max_tokens: 3 }), { answer: 'one two three four' })
  expect(answer).toMatchObject({
    choices: [{ finish_reason: 'length', message: { content: 'one two three' } }],
    usage: { completion_tokens: 3 },
  })
})

test('a stop word ends the answer before it', async () => {
  const answer = await answerOf(ask('hi', { stop: ['three'] }), { answer: 'one two three four' })
  expect(answer).toMatchObject({ choices: [{ finish_reason: 'stop', message: { content: 'one two ' } }] })
})

test('n choices are counted together, the prompt once', async () => {
  const answer = await answerOf(ask('你好', { n: 3, max_tokens: 5 }))
  expect(answer).toMatchObject({
    choices: [{ index: 0 }, { index: 1 }, { index: 2 }],
    usage: { prompt_tokens: 9, completion_tokens: 15 },
  })
})

test('a tool is called when the question asks for it, with arguments that fit its schema', async () => {
  const { choices } = await answerOf(ask('杭州天气怎么样？', { tools: [WEATHER] }))
  const made = choices[0]?.message.tool_calls[0]?.function
  expect(made?.name).toBe('get_weather')
  expect(JSON.parse(made?.arguments ?? '')).toEqual({ city: '杭州', days: 2, unit: 'c' })
})

test('two places are two calls, or one where calls may not be parallel', async () => {
  const tools = [WEATHER]
  const both = await answerOf(ask('杭州和北京的天气', { tools }))
  expect(both).toMatchObject({
    choices: [{ finish_reason: 'tool_calls', message: { tool_calls: [{}, {}] } }],
  })
  const one = await answerOf(ask('杭州和北京的天气', { tools, parallel_tool_calls: false }))
  expect(one.choices[0]?.message.tool_calls).toHaveLength(1)
})

test('a tool is left alone when nothing asks for it, or when it may not be called', async () => {
  const unasked = await answerOf(ask('讲个笑话', { tools: [WEATHER] }))
  const forbidden = await answerOf(ask('杭州天气', { tools: [WEATHER], tool_choice: 'none' }))
  expect(unasked).toMatchObject({ choices: [{ finish_reason: 'stop' }] })
  expect(forbidden).toMatchObject({ choices: [{ finish_reason: 'stop' }] })
})

test('a result of a tool is quoted', async () => {
  const messages = [
    { role: 'user', content: '杭州天气' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'get_weather', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'c', content: '晴，25 度' },
  ]
  const answer = await answerOf({ model: 'm', messages, tools: [WEATHER] })
  expect(answer).toMatchObject({ choices: [{ message: { content: '根据工具返回的结果：晴，25 度' } }] })
})

test('a structured answer fits its schema, references and combinations included', async () => {
  const schema = {
    type: 'object',
    $defs: { point: { type: 'object', properties: { x: { type: 'number', exclusiveMinimum: 3 } } } },
    properties: {
      at: { $ref: '#/$defs/point' },
      tags: { type: 'array', items: { type: 'string', maxLength: 3 }, minItems: 2 },
      kind: { anyOf: [{ const: 'a' }, { type: 'null' }] },
      on: { type: 'string', format: 'date' },
      all: { allOf: [{ properties: { ok: { type: 'boolean' } } }, { properties: { no: { type: 'null' } } }] },
    },
  }
  const format = { type: 'json_schema', json_schema: { name: 's', schema } }
  const { choices } = await answerOf(ask('make one', { response_format: format }))
  const content = choices[0]?.message.content ?? ''
  expect(JSON.parse(content)).toEqual({
    at: { x: 4 },
    tags: ['mak', 'mak'],
    kind: 'a',
    on: '2026-11-25',
    all: { ok: true, no: null },
  })
})

test('images are counted on models that see, and refused by others', async () => {
  const content = [
    { type: 'text', text: '这是什么' },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } },
  ]
  const body = { model: 'm', messages: [{ role: 'user', content }] }
  const seen = await answerOf(body, { vision: true, imageTokens: 100 })
  expect(seen).toMatchObject({ usage: { prompt_tokens: 111 } })
  const simulator = await start('openai')
  expect((await call(simulator, body)).status).toBe(400)
})

test('a prefix is found cached in whole blocks, and never all of a prompt', async () => {
  const simulator = await start('doubao', { prefixCache: { minTokens: 16, blockTokens: 16 } })
  const cached = async (text: string): Promise<number> =>
    JSON.parse((await call(simulator, ask(text))).text).usage.prompt_tokens_details.cached_tokens
  const long = '长'.repeat(41)
  // 48 tokens: 4 of the frame, 41, 3 of the opening.
  expect(await cached(long)).toBe(0)
  expect(await cached(long)).toBe(32)
  expect(await cached(`${long}短`)).toBe(32)
  expect(await cached(`短${long}`)).toBe(0)
})
