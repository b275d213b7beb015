// `client.completions`, the legacy API, over every dialect: at the vendor's own endpoint where there is one, else
// said as a chat.

import { generateText } from 'ai'
import type OpenAI from 'openai'
import { BadRequestError } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aiSdkCompletions, langChainCompletions, openAi } from './clients.ts'
import { type Bench, can, idOf, startBench, TARGETS, type Target } from './targets.ts'

const PROMPT = 'Once upon a time'

let bench: Bench
let client: OpenAI

beforeAll(async () => {
  bench = await startBench()
  client = openAi(bench.url)
})

afterAll(async () => bench?.close())

async function gather(stream: AsyncIterable<OpenAI.Completion>) {
  const chunks: OpenAI.Completion[] = []
  for await (const chunk of stream) chunks.push(chunk)
  const choices = chunks.flatMap((chunk) => chunk.choices)
  return {
    chunks,
    text: choices.map((choice) => choice.text).join(''),
    finishes: choices.map((choice) => choice.finish_reason).filter((reason) => typeof reason === 'string'),
    usages: chunks.map((chunk) => chunk.usage).filter((usage) => usage !== undefined && usage !== null),
  }
}

describe.each(TARGETS.filter(({ hasCompletions }) => hasCompletions))('$name', (target: Target) => {
  // Without a bound the legacy API ends after 16 tokens.
  const request = { model: idOf(target), prompt: PROMPT, max_tokens: 200 }

  test('completes a prompt', async () => {
    const completion = await client.completions.create(request)
    expect(completion).toMatchObject({
      object: 'text_completion',
      choices: [{ index: 0, finish_reason: 'stop' }],
    })
    expect(completion.choices[0]?.text).toContain('Once upon a time')
    expect(completion.model).toContain(target.model)
    expect(completion.usage?.completion_tokens).toBeGreaterThan(10)
  })

  test('streams the same text', async () => {
    const completion = await client.completions.create(request)
    const { chunks, text, finishes, usages } = await gather(
      await client.completions.create({ ...request, stream: true }),
    )
    expect(text).toBe(completion.choices[0]?.text)
    expect(finishes).toEqual(['stop'])
    expect(usages).toEqual([])
    expect(new Set(chunks.map((chunk) => chunk.object))).toEqual(new Set(['text_completion']))
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1)
  })

  test('streams usage where it is asked for', async () => {
    const completion = await client.completions.create(request)
    const { usages } = await gather(
      await client.completions.create({ ...request, stream: true, stream_options: { include_usage: true } }),
    )
    expect(usages).toHaveLength(1)
    expect(usages[0]).toMatchObject({
      prompt_tokens: completion.usage?.prompt_tokens,
      completion_tokens: completion.usage?.completion_tokens,
    })
  })

  test('ends at max_tokens, and at a stop word where the dialect knows them', async () => {
    const quiet = target.thinking === 'never' ? {} : { reasoning_effort: 'none' }
    const bounded = await client.completions.create({ ...request, ...quiet, max_tokens: 5 })
    expect(bounded.choices[0]?.finish_reason).toBe('length')
    expect(bounded.usage?.completion_tokens).toBe(5)
    const stopped = client.completions.create({ ...request, stop: 'time' })
    if (can(target, 'stop')) expect((await stopped).choices[0]?.text).toMatch(/upon a ?$/)
    else await expect(stopped).rejects.toBeInstanceOf(BadRequestError)
  })

  test("serves LangChain's class for it, whole and streamed", async () => {
    const completion = await client.completions.create(request)
    const legacy = langChainCompletions(bench.url, request.model, request.max_tokens)
    expect(await legacy.invoke(PROMPT)).toBe(completion.choices[0]?.text)
    const pieces: string[] = []
    for await (const piece of await legacy.stream(PROMPT)) pieces.push(piece)
    expect(pieces.join('')).toBe(completion.choices[0]?.text)
  })

  test("serves the AI SDK's model for it, which always sends stop words", async () => {
    const work = generateText({
      model: aiSdkCompletions(bench.url, request.model),
      prompt: PROMPT,
      maxRetries: 0,
    })
    if (can(target, 'stop')) expect((await work).text).toContain('Once upon a time')
    else await expect(work).rejects.toMatchObject({ statusCode: 400 })
  })

  test('takes a prompt in a list of one', async () => {
    const completion = await client.completions.create({ ...request, prompt: [PROMPT] })
    expect(completion.choices[0]?.text).toContain('Once upon a time')
  })
})
