import { describe, expect, test } from 'vitest'
import type { ChatRequest } from '#core/chat.ts'
import { GatewayError } from '#core/errors.ts'
import { askedModel, checkChatRequest, readNeeds } from '#wire/openai-chat/request.ts'

const messages = [{ role: 'user', content: 'hi' }]

function refusalOf(body: unknown): { param: string | null; message: string; code: string } | null {
  try {
    checkChatRequest(body)
    return null
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { param: error.param, message: error.message, code: error.code }
  }
}

const withFields = (fields: object): object => ({ model: 'm', messages, ...fields })
const withMessage = (message: unknown): object => ({ model: 'm', messages: [messages[0], message] })

describe('a body of a wrong type is refused with the field, what was found and what is right', () => {
  const cases = [
    { body: null, param: null, found: 'null', right: 'a JSON object' },
    { body: [], param: null, found: 'an array', right: 'a JSON object' },
    { body: 'text', param: null, found: 'the string "text"', right: 'a JSON object' },
    { body: { messages }, param: 'model', found: 'nothing', right: 'a string' },
    { body: { model: 7, messages }, param: 'model', found: 'the number 7', right: 'a string' },
    { body: { model: '', messages }, param: 'model', found: 'empty', right: '/v1/models' },
    { body: { model: 'm'.repeat(513), messages }, param: 'model', found: 'longer', right: '512 characters' },
    { body: { models: [], messages }, param: 'model', found: 'nothing', right: 'a string' },
    { body: { models: 'm', messages }, param: 'model', found: 'nothing', right: 'a string' },
    { body: { model: 7, models: ['m'], messages }, param: 'model', found: 'the number 7', right: 'a string' },
    { body: { model: '', models: ['m'], messages }, param: 'model', found: 'empty', right: '/v1/models' },
    { body: { models: [7], messages }, param: 'models[0]', found: 'the number 7', right: 'a string' },
    { body: { models: [null], messages }, param: 'models[0]', found: 'null', right: 'a string' },
    { body: { models: [''], messages }, param: 'models[0]', found: 'empty', right: '/v1/models' },
    { body: { models: ['m'.repeat(513)], messages }, param: 'models[0]', found: 'longer', right: '512' },
    { body: { model: 'm' }, param: 'messages', found: 'nothing', right: 'an array' },
    { body: { model: 'm', messages: {} }, param: 'messages', found: 'an object', right: 'an array' },
    { body: { model: 'm', messages: [] }, param: 'messages', found: 'empty', right: 'at least one' },
    { body: withMessage('hi'), param: 'messages[1]', found: 'the string "hi"', right: '`role`' },
    {
      body: withMessage({ content: 'x' }),
      param: 'messages[1].role',
      found: 'nothing',
      right: '"assistant"',
    },
    {
      body: withMessage({ role: '', content: 'x' }),
      param: 'messages[1].role',
      found: '""',
      right: '"user"',
    },
    {
      body: withMessage({ role: 'user', content: 1 }),
      param: 'messages[1].content',
      found: 'number 1',
      right: 'parts',
    },
    {
      body: withMessage({ role: 'user', content: {} }),
      param: 'messages[1].content',
      found: 'an object',
      right: 'null',
    },
    {
      body: withMessage({ role: 'user', content: ['x'] }),
      param: 'messages[1].content[0]',
      found: '"x"',
      right: '`type`',
    },
    {
      body: withMessage({ role: 'user', content: [{}] }),
      param: 'messages[1].content[0].type',
      found: 'nothing',
      right: '"text"',
    },
    {
      body: withMessage({ role: 'user', content: [{ type: 'text' }] }),
      param: 'messages[1].content[0].text',
      found: 'nothing',
      right: 'a string',
    },
    {
      body: withMessage({ role: 'assistant', tool_calls: {} }),
      param: 'messages[1].tool_calls',
      found: 'an object',
      right: 'an array',
    },
    { body: withFields({ stream: 'true' }), param: 'stream', found: 'the string "true"', right: 'a boolean' },
    { body: withFields({ temperature: '1' }), param: 'temperature', found: '"1"', right: 'a number' },
    { body: withFields({ top_p: true }), param: 'top_p', found: 'the boolean true', right: 'a number' },
    {
      body: withFields({ presence_penalty: {} }),
      param: 'presence_penalty',
      found: 'an object',
      right: 'a number',
    },
    {
      body: withFields({ frequency_penalty: [] }),
      param: 'frequency_penalty',
      found: 'an array',
      right: 'a number',
    },
    { body: withFields({ max_tokens: 0 }), param: 'max_tokens', found: 'the number 0', right: '1 or more' },
    { body: withFields({ max_tokens: 1.5 }), param: 'max_tokens', found: '1.5', right: 'an integer' },
    {
      body: withFields({ max_completion_tokens: -1 }),
      param: 'max_completion_tokens',
      found: '-1',
      right: 'an integer',
    },
    {
      body: withFields({ max_tokens: Number.POSITIVE_INFINITY }),
      param: 'max_tokens',
      found: 'Infinity',
      right: 'an integer',
    },
    { body: withFields({ n: '2' }), param: 'n', found: '"2"', right: 'an integer' },
    { body: withFields({ stop: 1 }), param: 'stop', found: 'the number 1', right: 'array of strings' },
    { body: withFields({ stop: ['a', 1] }), param: 'stop', found: 'an array', right: 'array of strings' },
    {
      body: withFields({ stream: true, stream_options: [] }),
      param: 'stream_options',
      found: 'an array',
      right: 'an object',
    },
    { body: withFields({ stream_options: {} }), param: 'stream_options', found: '`stream`', right: 'true' },
    {
      body: withFields({ stream: true, stream_options: { include_usage: 1 } }),
      param: 'stream_options.include_usage',
      found: 'the number 1',
      right: 'a boolean',
    },
    { body: withFields({ tools: {} }), param: 'tools', found: 'an object', right: 'an array' },
    {
      body: withFields({ tools: [{ type: 'function' }, 'x'] }),
      param: 'tools[1]',
      found: '"x"',
      right: '`type`',
    },
    {
      body: withFields({ tools: [{ function: {} }] }),
      param: 'tools[0]',
      found: 'an object',
      right: '`type`',
    },
    {
      body: withFields({ tool_choice: 1 }),
      param: 'tool_choice',
      found: 'the number 1',
      right: '"required"',
    },
    { body: withFields({ tool_choice: [] }), param: 'tool_choice', found: 'an array', right: 'an object' },
    {
      body: withFields({ response_format: 'json' }),
      param: 'response_format',
      found: '"json"',
      right: '`type`',
    },
    {
      body: withFields({ response_format: {} }),
      param: 'response_format',
      found: 'an object',
      right: '`type`',
    },
  ]
  test.each(cases)('$param: $found', ({ body, param, found, right }) => {
    const refusal = refusalOf(body)
    expect(refusal).toMatchObject({ param, code: 'invalid_request' })
    expect(refusal?.message).toContain(found)
    expect(refusal?.message).toContain(right)
  })
})

test('a long string at the wrong place is named, not repeated: it may be a prompt', () => {
  const secret = 'my private diary '.repeat(10)
  expect(refusalOf(withFields({ temperature: secret }))?.message).not.toContain('diary')
})

test.each([
  { fields: { model: 'm' }, asked: 'm' },
  { fields: { model: 'm', models: ['n'] }, asked: 'm' },
  { fields: { models: ['n:floor', 'o'] }, asked: 'n:floor' },
  { fields: { model: null, models: ['n'] }, asked: 'n' },
])('$fields asks for $asked first', ({ fields, asked }) => {
  const body = { ...fields, messages }
  expect(refusalOf(body)).toBeNull()
  expect(askedModel(body)).toBe(asked)
})

describe('what the official SDKs send is let through', () => {
  const cases = [
    {
      name: 'null in every optional field',
      body: withFields({
        stream: null,
        temperature: null,
        top_p: null,
        max_tokens: null,
        max_completion_tokens: null,
        n: null,
        stop: null,
        stream_options: null,
        tools: null,
        tool_choice: null,
        response_format: null,
      }),
    },
    {
      name: 'an assistant turn with tool calls and null content',
      body: withMessage({
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
      }),
    },
    { name: 'an assistant turn without content', body: withMessage({ role: 'assistant', tool_calls: [] }) },
    {
      name: 'a tool message of text parts',
      body: withMessage({ role: 'tool', tool_call_id: 'c', content: [{ type: 'text', text: '' }] }),
    },
    {
      name: 'a refusal part',
      body: withMessage({ role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] }),
    },
    { name: 'a role that is not known here', body: withMessage({ role: 'latest_reminder', content: 'x' }) },
    { name: 'a custom tool', body: withFields({ tools: [{ type: 'custom', custom: { name: 'f' } }] }) },
    {
      name: 'fields that are not known here',
      body: withFields({ top_k: 20, prediction: { type: 'content' }, extra: [1] }),
    },
    { name: 'stop as an empty list', body: withFields({ stop: [] }) },
    {
      name: 'stream options with a stream',
      body: withFields({ stream: true, stream_options: { include_usage: null } }),
    },
  ]
  test.each(cases)('$name', ({ body }) => expect(refusalOf(body)).toBeNull())
})

describe('what a request needs of a target', () => {
  const needsOf = (fields: object): readonly string[] =>
    readNeeds(withFields(fields) as ChatRequest).map((need) => `${need.capability} < ${need.param}`)
  const content = (...types: string[]): object => ({
    messages: [...messages, { role: 'user', content: types.map((type) => ({ type })) }],
  })
  const cases = [
    { fields: {}, needs: ['unstreamed < stream'] },
    { fields: { stream: true }, needs: ['stream < stream'] },
    {
      fields: { tools: [], stop: [], n: 1, logprobs: false, tool_choice: 'auto' },
      needs: ['unstreamed < stream'],
    },
    { fields: { tools: [{ type: 'function' }] }, needs: ['unstreamed < stream', 'tools < tools'] },
    { fields: { functions: [{ name: 'f' }] }, needs: ['unstreamed < stream', 'tools < functions'] },
    {
      fields: { functions: [{ name: 'f' }], function_call: { name: 'f' } },
      needs: ['unstreamed < stream', 'tools < functions', 'tool_choice < function_call'],
    },
    { fields: { tool_choice: 'none' }, needs: ['unstreamed < stream'] },
    { fields: { tool_choice: 'required' }, needs: ['unstreamed < stream', 'tool_choice < tool_choice'] },
    {
      fields: { tool_choice: { type: 'function' } },
      needs: ['unstreamed < stream', 'tool_choice < tool_choice'],
    },
    { fields: { response_format: { type: 'text' } }, needs: ['unstreamed < stream'] },
    {
      fields: { response_format: { type: 'json_object' } },
      needs: ['unstreamed < stream', 'json_object < response_format'],
    },
    {
      fields: { response_format: { type: 'json_schema' } },
      needs: ['unstreamed < stream', 'json_schema < response_format'],
    },
    { fields: { n: 2 }, needs: ['unstreamed < stream', 'n < n'] },
    { fields: { logprobs: true }, needs: ['unstreamed < stream', 'logprobs < logprobs'] },
    { fields: { stop: 'x' }, needs: ['unstreamed < stream', 'stop < stop'] },
    { fields: content('text'), needs: ['unstreamed < stream'] },
    {
      fields: content('image_url', 'image_url', 'input_audio', 'video', 'video_url', 'file'),
      needs: [
        'unstreamed < stream',
        'vision < messages[1].content',
        'audio_input < messages[1].content',
        'video_input < messages[1].content',
        'file_input < messages[1].content',
      ],
    },
    // Names of Object.prototype are no media types.
    { fields: content('constructor', 'toString', '__proto__'), needs: ['unstreamed < stream'] },
  ]
  test.each(cases)('$fields', ({ fields, needs }) => expect(needsOf(fields)).toEqual(needs))
})
