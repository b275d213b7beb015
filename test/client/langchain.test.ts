// LangChain.js over every dialect: invoke, stream, usage, tools, structured output, errors.

import { AIMessageChunk, HumanMessage, ToolMessage, type UsageMetadata } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { eventually, KEY } from '../support/gateway.ts'
import { langChain } from './clients.ts'
import { type Bench, can, idOf, startBench, TARGETS, type Target } from './targets.ts'

const QUESTION = 'Why is the sky blue?'
const REPORT = z.object({ title: z.string(), degrees: z.number() })

const getWeather = tool(({ city }) => `21 degrees in ${city}`, {
  name: 'get_weather',
  description: 'Current weather of a city',
  schema: z.object({ city: z.string() }),
})

let bench: Bench

beforeAll(async () => {
  bench = await startBench()
})

afterAll(async () => bench?.close())

/** Its declared type does not know usage on a message without a structure of its own. */
const usageOf = (message: object): UsageMetadata | undefined =>
  (message as { readonly usage_metadata?: UsageMetadata }).usage_metadata

async function gather(
  stream: AsyncIterable<AIMessageChunk>,
): Promise<{ whole: AIMessageChunk; pieces: number }> {
  let whole = new AIMessageChunk('')
  let pieces = 0
  for await (const chunk of stream) {
    whole = whole.concat(chunk)
    pieces += 1
  }
  return { whole, pieces }
}

describe.each(TARGETS)('$name', (target: Target) => {
  const model = idOf(target)

  test('answers whole, with usage', async () => {
    const message = await langChain(bench.url, model).invoke(QUESTION)
    expect(message.text).toContain('sky')
    expect(message.response_metadata).toMatchObject({ finish_reason: 'stop' })
    expect(usageOf(message)?.input_tokens).toBeGreaterThan(5)
    expect(usageOf(message)?.output_tokens).toBeGreaterThan(20)
  })

  test('streams the same text with the same usage', async () => {
    const chat = langChain(bench.url, model)
    const message = await chat.invoke(QUESTION)
    const { whole, pieces } = await gather(await chat.stream(QUESTION))
    expect(whole.text).toBe(message.text)
    expect(pieces).toBeGreaterThan(3)
    expect(whole.response_metadata['finish_reason']).toBe('stop')
    expect(usageOf(whole)).toMatchObject({
      input_tokens: usageOf(message)?.input_tokens,
      output_tokens: usageOf(message)?.output_tokens,
    })
  })

  test('calls a tool and answers with its result', async () => {
    const chat = langChain(bench.url, model).bindTools([getWeather])
    const question = new HumanMessage('What is the weather in Paris?')
    const message = await chat.invoke([question])
    const [call] = message.tool_calls ?? []
    expect(message.tool_calls).toHaveLength(1)
    expect(call).toMatchObject({
      name: 'get_weather',
      args: { city: 'Paris' },
      id: expect.stringMatching(/\S/),
    })
    const result = new ToolMessage({ content: '21 degrees in Paris', tool_call_id: call?.id ?? '' })
    const answer = await chat.invoke([question, message, result])
    expect(answer.text).toContain('21 degrees in Paris')
    expect(answer.tool_calls).toEqual([])
  })

  test('puts a streamed call together', async () => {
    const chat = langChain(bench.url, model).bindTools([getWeather])
    const { whole } = await gather(await chat.stream('What is the weather in Paris?'))
    expect(whole.tool_calls).toMatchObject([{ name: 'get_weather', args: { city: 'Paris' } }])
    expect(whole.invalid_tool_calls).toEqual([])
  })

  test('gives structured output by a schema, or says that it cannot', async () => {
    const chat = langChain(bench.url, model, { modelKwargs: { reasoning_effort: 'none' } })
    const structured = chat.withStructuredOutput(REPORT, { name: 'report', method: 'jsonSchema' })
    const work = structured.invoke('Report on Paris as JSON.')
    if (can(target, 'json_schema')) expect(REPORT.safeParse(await work).success).toBe(true)
    else await expect(work).rejects.toMatchObject({ status: 400, code: 'unsupported_parameter' })
  })

  test('gives structured output by a forced call, or says that it cannot', async () => {
    const chat = langChain(bench.url, model, { modelKwargs: { reasoning_effort: 'none' } })
    const structured = chat.withStructuredOutput(REPORT, { name: 'report', method: 'functionCalling' })
    const work = structured.invoke('Report on Paris as JSON.')
    if (can(target, 'tool_choice')) expect(REPORT.safeParse(await work).success).toBe(true)
    else await expect(work).rejects.toMatchObject({ status: 400, code: 'unsupported_parameter' })
  })

  test('is left in the middle of a stream, and the provider stops', async () => {
    const controller = new AbortController()
    const chat = langChain(bench.url, `${target.name}/${target.slowModel}`)
    const read = async (): Promise<void> => {
      for await (const chunk of await chat.stream(QUESTION, { signal: controller.signal })) {
        if (chunk.text !== '') controller.abort()
      }
    }
    await expect(read()).rejects.toThrow(/abort/i)
    await eventually(
      () => bench.upstream(target).requests.at(-1)?.aborted === true,
      'the provider has stopped',
    )
  })
})

describe('errors', () => {
  test("keep the gateway's status and code", async () => {
    const unknown = langChain(bench.url, 'nothing/like-it').invoke(QUESTION)
    await expect(unknown).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
    const stranger = langChain(bench.url, 'm', { apiKey: `${KEY}-wrong` }).invoke(QUESTION)
    await expect(stranger).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' })
  })
})
