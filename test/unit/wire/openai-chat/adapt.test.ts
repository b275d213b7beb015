import { describe, expect, test } from 'vitest'
import type { ChatRequest } from '#core/chat.ts'
import type { Quirks } from '#core/provider.ts'
import { scanMembers, spliceMembers } from '#wire/json-members.ts'
import { type AdaptOptions, adaptMessages, adaptRequest } from '#wire/openai-chat/adapt.ts'
import { readThinking } from '#wire/openai-chat/thinking.ts'
import { decode, encode, type Json, PLAIN } from './support.ts'

const HI = [{ role: 'user', content: 'hi' }]

/** The body as the upstream gets it. */
function adapt(
  fields: Json,
  quirks: Partial<Quirks> = {},
  options: Partial<AdaptOptions> = {},
): { text: string; body: Json; dropped: readonly string[] } {
  const request = { model: 'assistant', messages: HI, ...fields } as unknown as ChatRequest
  const bytes = encode(JSON.stringify(request))
  const { edits, dropped } = adaptRequest(request, readThinking(request), {
    model: 'upstream-1',
    quirks: { ...PLAIN, ...quirks },
    streaming: fields['stream'] === true,
    ...options,
  })
  const scan = scanMembers(bytes, 100)
  if (scan === null) throw new Error('no object')
  const text = decode(spliceMembers(bytes, scan, edits))
  const { model, messages, ...body } = JSON.parse(text) as Json
  expect(model).toBe('upstream-1')
  return { text, body: messages === undefined ? body : { ...body, messages }, dropped }
}

describe('fields of the request on their way', () => {
  const cases: readonly {
    name: string
    fields: Json
    quirks?: Partial<Quirks>
    options?: Partial<AdaptOptions>
    want: Json
    dropped?: readonly string[]
  }[] = [
    {
      name: 'unknown fields pass',
      fields: { top_k: 20, extra: { model: 'x' } },
      want: { top_k: 20, extra: { model: 'x' } },
    },
    {
      name: 'our own fields stay here',
      fields: { models: ['a'], provider: { only: ['x'] }, user: 'u' },
      want: { user: 'u' },
    },
    {
      name: 'a model that stands in the list only gets its own field',
      fields: { model: undefined, models: ['a'], user: 'u' },
      want: { user: 'u' },
    },
    {
      name: 'both lengths: the completion one wins',
      fields: { max_tokens: 5, max_completion_tokens: 9 },
      want: { max_completion_tokens: 9 },
    },
    { name: 'a length passes', fields: { max_tokens: 5 }, want: { max_tokens: 5 } },
    {
      name: 'a null length says nothing',
      fields: { max_completion_tokens: null, max_tokens: 5 },
      quirks: { maxTokens: 'max_tokens' },
      want: { max_tokens: 5 },
    },
    {
      name: 'the length is renamed',
      fields: { max_completion_tokens: 9 },
      quirks: { maxTokens: 'max_tokens' },
      want: { max_tokens: 9 },
    },
    {
      name: 'the length that wins is renamed',
      fields: { max_tokens: 5, max_completion_tokens: 9 },
      quirks: { maxTokens: 'max_tokens' },
      want: { max_tokens: 9 },
    },
    {
      name: 'the length is renamed the other way',
      fields: { max_tokens: 5 },
      quirks: { maxTokens: 'max_completion_tokens' },
      want: { max_completion_tokens: 5 },
    },
    {
      name: 'usage is asked for',
      fields: { stream: true },
      want: { stream: true, stream_options: { include_usage: true } },
    },
    {
      name: 'usage is asked for beside other options',
      fields: { stream: true, stream_options: { include_usage: false, include_obfuscation: false } },
      want: { stream: true, stream_options: { include_usage: true, include_obfuscation: false } },
    },
    {
      name: 'usage that comes unasked is not asked for',
      fields: { stream: true, stream_options: { include_usage: true } },
      quirks: { streamUsage: 'always' },
      want: { stream: true },
    },
    {
      name: 'a stream-only model streams',
      fields: {},
      options: { streaming: true },
      want: { stream: true, stream_options: { include_usage: true } },
    },
    {
      name: 'a stream-only model streams against the client’s word',
      fields: { stream: false },
      options: { streaming: true },
      want: { stream: true, stream_options: { include_usage: true } },
    },
    { name: 'null options of no stream are taken out', fields: { stream_options: null }, want: {} },
    {
      name: 'hints that the upstream refuses are dropped and listed',
      fields: { seed: 1, logit_bias: {} },
      quirks: { drops: ['logit_bias', 'user'] },
      want: { seed: 1 },
      dropped: ['logit_bias'],
    },
    {
      name: 'fields get their other name',
      fields: { user: 'u' },
      quirks: { renames: { user: 'user_id' } },
      want: { user_id: 'u' },
    },
    {
      name: 'a field under its other name already is left',
      fields: { user: 'u', user_id: 'v' },
      quirks: { renames: { user: 'user_id' } },
      want: { user_id: 'v' },
    },
    {
      name: 'a thinking switch without a word for it is listed',
      fields: { enable_thinking: true },
      want: {},
      dropped: ['enable_thinking'],
    },
  ]
  test.each(cases)('$name', ({ fields, quirks, options, want, dropped = [] }) => {
    const adapted = adapt(fields, quirks, options)
    expect(adapted.body).toEqual({ messages: HI, ...want })
    expect(adapted.dropped).toEqual(dropped)
  })
})

test('messages that need no change keep their bytes', () => {
  const content = 'caf\u00e9 "quoted" \u2028'
  const { text } = adapt({ messages: [{ role: 'user', content }] }, { flattenText: true, systemFirst: true })
  expect(text).toContain(JSON.stringify([{ role: 'user', content }]))
})

describe('messages on their way', () => {
  const calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }]
  const parts = [
    { type: 'text', text: 'a' },
    { type: 'text', text: 'b' },
  ]
  const picture = [...parts, { type: 'image_url', image_url: { url: 'x' } }]
  const system = (content: unknown): Json => ({ role: 'system', content })
  const user = { role: 'user', content: 'u' }
  const cases: readonly { name: string; quirks: Partial<Quirks>; from: Json[]; to: Json[] }[] = [
    {
      name: 'developer becomes system',
      quirks: {},
      from: [{ role: 'developer', content: 'x', name: 'n' }, user],
      to: [{ role: 'system', content: 'x', name: 'n' }, user],
    },
    {
      name: 'developer stays where it is known',
      quirks: { developerToSystem: false },
      from: [{ role: 'developer', content: 'x' }],
      to: [{ role: 'developer', content: 'x' }],
    },
    {
      name: 'system messages are joined in front',
      quirks: { systemFirst: true },
      from: [user, system('a'), { role: 'developer', content: 'b' }],
      to: [system('a\n\nb'), user],
    },
    {
      name: 'parts of system messages are joined',
      quirks: { systemFirst: true },
      from: [system(parts), user, system('c')],
      to: [system('ab\n\nc'), user],
    },
    {
      name: 'one system message in front is left alone',
      quirks: { systemFirst: true },
      from: [system(parts), user],
      to: [system(parts), user],
    },
    {
      name: 'text parts become a string',
      quirks: { flattenText: true },
      from: [{ role: 'tool', tool_call_id: 'c', content: parts }],
      to: [{ role: 'tool', tool_call_id: 'c', content: 'ab' }],
    },
    {
      name: 'parts with a picture stay',
      quirks: { flattenText: true },
      from: [{ role: 'user', content: picture }],
      to: [{ role: 'user', content: picture }],
    },
    {
      name: 'a turn with calls gets its content',
      quirks: { emptyAssistantContent: ' ' },
      from: [{ role: 'assistant', content: null, tool_calls: calls }],
      to: [{ role: 'assistant', content: ' ', tool_calls: calls }],
    },
    {
      name: 'a turn with calls and text keeps it',
      quirks: { emptyAssistantContent: ' ' },
      from: [{ role: 'assistant', content: 'x', tool_calls: calls }],
      to: [{ role: 'assistant', content: 'x', tool_calls: calls }],
    },
    {
      name: 'a turn without calls gets none',
      quirks: { emptyAssistantContent: ' ' },
      from: [{ role: 'assistant', content: '', tool_calls: [] }],
      to: [{ role: 'assistant', content: '', tool_calls: [] }],
    },
    {
      name: 'reasoning goes under both names',
      quirks: { reasoningReplay: ['reasoning_content', 'reasoning'] },
      from: [{ role: 'assistant', content: 'x', reasoning_content: 'r' }],
      to: [{ role: 'assistant', content: 'x', reasoning_content: 'r', reasoning: 'r' }],
    },
    {
      name: 'reasoning goes under its one name',
      quirks: { reasoningReplay: ['reasoning'] },
      from: [{ role: 'assistant', content: 'x', reasoning_content: 'r' }],
      to: [{ role: 'assistant', content: 'x', reasoning: 'r' }],
    },
    {
      name: 'reasoning is left out',
      quirks: { reasoningReplay: [] },
      from: [{ role: 'assistant', content: 'x', reasoning_content: 'r', reasoning: 'r' }],
      to: [{ role: 'assistant', content: 'x' }],
    },
    {
      name: 'required reasoning is there, if empty',
      quirks: { reasoningRequired: true },
      from: [
        { role: 'assistant', content: null, tool_calls: calls },
        { role: 'assistant', content: 'x' },
      ],
      to: [
        { role: 'assistant', content: null, tool_calls: calls, reasoning_content: '' },
        { role: 'assistant', content: 'x' },
      ],
    },
    {
      name: 'a user’s field of that name is no reasoning',
      quirks: { reasoningReplay: [] },
      from: [{ role: 'user', content: 'x', reasoning: 'mine' }],
      to: [{ role: 'user', content: 'x', reasoning: 'mine' }],
    },
  ]
  test.each(cases)('$name', ({ quirks, from, to }) => {
    const before = JSON.stringify(from)
    const adapted = adaptMessages(from as unknown as ChatRequest['messages'], { ...PLAIN, ...quirks })
    expect(adapted).toEqual(to)
    expect(JSON.stringify(from)).toBe(before)
    if (JSON.stringify(from) === JSON.stringify(to)) expect(adapted).toBe(from)
    expect(adaptMessages(adapted, { ...PLAIN, ...quirks })).toBe(adapted)
  })
})
