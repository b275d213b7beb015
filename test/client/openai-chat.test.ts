// The official `openai` SDK over every dialect: text, streams, usage, bounds, reasoning, pictures, leaving.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, KEY } from '../support/gateway.ts'
import { openAi } from './clients.ts'
import { refusalOf } from './outcomes.ts'
import { type Bench, can, idOf, startBench, TARGETS, type Target } from './targets.ts'

type Chunk = OpenAI.ChatCompletionChunk
type Message = OpenAI.ChatCompletionMessageParam

const MESSAGES: Message[] = [{ role: 'user', content: 'Why is the sky blue?' }]
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

let bench: Bench
let client: OpenAI

beforeAll(async () => {
  bench = await startBench()
  client = openAi(bench.url)
})

afterAll(async () => bench?.close())

/** Set by the SDK on what it parses. */
interface Identified {
  readonly _request_id?: string | null
}

/** A field that vendors have beside OpenAI's. */
const reasoningOf = (message: object): string =>
  (message as { readonly reasoning_content?: string | null }).reasoning_content ?? ''

async function chunksOf(stream: AsyncIterable<Chunk>): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

const textOf = (chunks: readonly Chunk[], choice = 0): string =>
  chunks
    .flatMap((chunk) => chunk.choices.filter(({ index }) => index === choice))
    .map(({ delta }) => delta.content ?? '')
    .join('')

const finishesOf = (chunks: readonly Chunk[]): readonly (string | null | undefined)[] =>
  chunks
    .flatMap((chunk) => chunk.choices)
    .map((choice) => choice.finish_reason)
    .filter((reason) => typeof reason === 'string')

describe.each(TARGETS)('$name', (target: Target) => {
  const model = idOf(target)
  const request = { model, messages: MESSAGES }

  test('answers whole, with usage, names and headers', async () => {
    const { data, response, request_id: id } = await client.chat.completions.create(request).withResponse()
    expect(data).toMatchObject({ object: 'chat.completion', choices: [{ index: 0, finish_reason: 'stop' }] })
    expect(data.choices[0]?.message).toMatchObject({
      role: 'assistant',
      content: expect.stringContaining('sky'),
    })
    expect(data.model).toContain(target.model)
    expect(data.created).toBeGreaterThan(1_700_000_000)
    expect(data.usage?.prompt_tokens).toBeGreaterThan(5)
    expect(data.usage?.completion_tokens).toBeGreaterThan(20)
    expect(data.usage?.total_tokens).toBe(
      (data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0),
    )
    expect((data as Identified)._request_id).toBe(id)
    expect(response.headers.get('x-request-id')).toBe(id)
    expect(response.headers.get('x-sluice-target')).toBe(model)
    expect(response.headers.get('x-sluice-cost')).toMatch(/^0\.\d+ CNY$/)
  })

  test('streams the same text, and no usage that was not asked for', async () => {
    const whole = await client.chat.completions.create(request)
    const chunks = await chunksOf(await client.chat.completions.create({ ...request, stream: true }))
    expect(textOf(chunks)).toBe(whole.choices[0]?.message.content)
    expect(finishesOf(chunks)).toEqual(['stop'])
    expect(chunks.length).toBeGreaterThan(3)
    expect(chunks.filter((chunk) => chunk.usage !== null && chunk.usage !== undefined)).toEqual([])
  })

  test('streams Chinese and signs outside the first plane whole', async () => {
    const messages: Message[] = [{ role: 'user', content: '为什么天空是蓝色的？🌈𠮷' }]
    const whole = await client.chat.completions.create({ model, messages })
    const chunks = await chunksOf(await client.chat.completions.create({ model, messages, stream: true }))
    expect(textOf(chunks)).toBe(whole.choices[0]?.message.content)
    expect(textOf(chunks)).toContain('为什么天空是蓝色的？🌈𠮷')
  })

  test('gives every chunk the fields that the SDK promises', async () => {
    const chunks = await chunksOf(await client.chat.completions.create({ ...request, stream: true }))
    expect(new Set(chunks.map((chunk) => chunk.object))).toEqual(new Set(['chat.completion.chunk']))
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1)
    expect(chunks[0]?.id).toBeTypeOf('string')
    expect(new Set(chunks.map((chunk) => chunk.model)).size).toBe(1)
    expect(chunks.filter((chunk) => !Number.isInteger(chunk.created))).toEqual([])
    expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant')
    const choices = chunks.flatMap((chunk) => chunk.choices)
    expect(choices.filter((choice) => choice.index !== 0 || typeof choice.delta !== 'object')).toEqual([])
  })

  test('streams usage once where it is asked for, equal to that of the whole answer', async () => {
    const whole = await client.chat.completions.create(request)
    const chunks = await chunksOf(
      await client.chat.completions.create({
        ...request,
        stream: true,
        stream_options: { include_usage: true },
      }),
    )
    const counted = chunks.filter((chunk) => chunk.usage !== null && chunk.usage !== undefined)
    expect(counted).toHaveLength(1)
    expect(counted[0]).toBe(chunks.at(-1))
    const { prompt_tokens, completion_tokens, total_tokens } = counted[0]?.usage ?? {}
    expect({ prompt_tokens, completion_tokens, total_tokens }).toEqual({
      prompt_tokens: whole.usage?.prompt_tokens,
      completion_tokens: whole.usage?.completion_tokens,
      total_tokens: whole.usage?.total_tokens,
    })
    expect(counted[0]?.usage).toHaveProperty('cost', expect.stringMatching(/^0\.\d+$/))
  })

  test('gives the stream helper a whole completion at its end', async () => {
    const stream = client.chat.completions.stream(request)
    const deltas: string[] = []
    stream.on('content', (delta) => deltas.push(delta))
    const completion = await stream.finalChatCompletion()
    expect(completion.choices[0]?.message.content).toBe(deltas.join(''))
    expect(completion.choices[0]?.finish_reason).toBe('stop')
    expect(deltas.join('')).toContain('sky')
  })

  test('serves several choices, or says that it cannot', async () => {
    const several = { ...request, n: 2 }
    if (!can(target, 'n')) {
      const error = await refusalOf(client.chat.completions.create(several))
      expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'n' })
      return
    }
    const whole = await client.chat.completions.create(several)
    expect(whole.choices.map((choice) => choice.index)).toEqual([0, 1])
    const chunks = await chunksOf(await client.chat.completions.create({ ...several, stream: true }))
    expect([textOf(chunks, 0), textOf(chunks, 1)]).toEqual(
      whole.choices.map((choice) => choice.message.content),
    )
    expect(finishesOf(chunks)).toEqual(['stop', 'stop'])
  })

  test('stops where it is told to, or says that it cannot', async () => {
    if (!can(target, 'stop')) {
      const error = await refusalOf(client.chat.completions.create({ ...request, stop: 'blue' }))
      expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'stop' })
      return
    }
    for (const stop of ['blue', ['blue', 'never']]) {
      const completion = await client.chat.completions.create({ ...request, stop })
      expect(completion.choices[0]?.message.content).toMatch(/is the sky ?$/)
      expect(completion.choices[0]?.finish_reason).toBe('stop')
    }
  })

  test.each(['max_tokens', 'max_completion_tokens'] as const)('ends at %s with `length`', async (field) => {
    const bounded = { ...request, [field]: 7, reasoning_effort: 'none' as const }
    const whole = await client.chat.completions.create(bounded)
    expect(whole.choices[0]?.finish_reason).toBe('length')
    expect(whole.usage?.completion_tokens).toBe(7)
    const chunks = await chunksOf(await client.chat.completions.create({ ...bounded, stream: true }))
    expect(textOf(chunks)).toBe(whole.choices[0]?.message.content)
    expect(finishesOf(chunks)).toEqual(['length'])
  })

  test('takes instructions as developer and as system messages', async () => {
    for (const role of ['developer', 'system'] as const) {
      const messages: Message[] = [{ role, content: 'Be brief.' }, ...MESSAGES]
      const completion = await client.chat.completions.create({ model, messages })
      expect(completion.choices[0]?.message.content).toContain('sky')
    }
  })

  test('takes hints, and says which of them the provider did not get', async () => {
    const hints = {
      user: 'someone',
      seed: 7,
      metadata: { app: 'web' },
      store: false,
      service_tier: 'auto' as const,
      presence_penalty: 0.1,
      frequency_penalty: 0.1,
      prompt_cache_key: 'session-1',
    }
    const { data, response } = await client.chat.completions.create({ ...request, ...hints }).withResponse()
    expect(data.choices[0]?.message.content).toContain('sky')
    const { body = '' } = bench.upstream(target).requests.at(-1) ?? {}
    const dropped = (response.headers.get('x-sluice-dropped') ?? '').split(', ')
    const lost = Object.keys(hints).filter(
      (field) => !body.includes(`"${field}"`) && !dropped.includes(field),
    )
    expect(lost.filter((field) => field !== 'user' || !body.includes('"someone"'))).toEqual([])
  })

  test('takes content as parts of text', async () => {
    const content = [
      { type: 'text' as const, text: 'Why is the ' },
      { type: 'text' as const, text: 'sea salty?' },
    ]
    const completion = await client.chat.completions.create({ model, messages: [{ role: 'user', content }] })
    expect(completion.choices[0]?.message.content).toContain('Why is the sea salty?')
  })

  test('sees a picture, where the dialect has them', async () => {
    const messages: Message[] = [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is in it?' },
          { type: 'image_url', image_url: { url: PIXEL } },
        ],
      },
    ]
    if (target.visionModel === null) {
      const error = await refusalOf(client.chat.completions.create({ model, messages }))
      expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'messages[0].content' })
      return
    }
    const seeing = `${target.name}/${target.visionModel}`
    const completion = await client.chat.completions.create({ model: seeing, messages })
    expect(completion.choices[0]?.message.content).toContain('1 image')
  })

  test('thinks when asked to by effort, shows it, and keeps quiet when told not to', async () => {
    const thinking = { ...request, ...target.thinkingFields }
    const thoughtful = await client.chat.completions.create(thinking)
    const chunks = await chunksOf(await client.chat.completions.create({ ...thinking, stream: true }))
    const streamed = chunks.flatMap((chunk) => chunk.choices).map(({ delta }) => reasoningOf(delta))
    const message = thoughtful.choices[0]?.message ?? {}
    expect(reasoningOf(message) !== '').toBe(target.thinking !== 'never')
    expect(streamed.join('')).toBe(reasoningOf(message))
    expect(textOf(chunks)).toBe(thoughtful.choices[0]?.message.content)
    const quiet = await client.chat.completions.create({ ...request, reasoning_effort: 'none' })
    expect(reasoningOf(quiet.choices[0]?.message ?? {})).toBe('')
  })

  test('goes on from an answer with its reasoning', async () => {
    const first = await client.chat.completions.create({ ...request, ...target.thinkingFields })
    const said = first.choices[0]?.message
    const messages = [...MESSAGES, said as Message, { role: 'user' as const, content: 'And at night?' }]
    const second = await client.chat.completions.create({ model, messages, ...target.thinkingFields })
    expect(second.choices[0]?.message.content).toContain('And at night?')
    const { body = '' } = bench.upstream(target).requests.at(-1) ?? {}
    expect(body).toContain(JSON.stringify(reasoningOf(said ?? {})).slice(1, -1))
  })

  test("hands on neither the application's key nor its SDK's headers", async () => {
    await openAi(bench.url, { organization: 'org-of-mine' }).chat.completions.create(request)
    const { headers = {}, path = '' } = bench.upstream(target).requests.at(-1) ?? {}
    expect(Object.keys(headers).filter((name) => /^(x-stainless|openai)-/.test(name))).toEqual([])
    expect(Object.keys(headers)).toContain('content-type')
    expect(JSON.stringify([headers, path])).not.toContain(KEY)
  })

  test('is left in the middle of a stream, and the provider stops', async () => {
    const slow = { ...request, model: `${target.name}/${target.slowModel}`, stream: true as const }
    let text = ''
    for await (const chunk of await client.chat.completions.create(slow)) {
      text += chunk.choices[0]?.delta.content ?? ''
      if (text !== '') break
    }
    await eventually(
      () => bench.upstream(target).requests.at(-1)?.aborted === true,
      'the provider has stopped',
    )
    expect(text).not.toBe('')
  })
})
