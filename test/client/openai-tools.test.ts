// The official `openai` SDK over every dialect: tools, the loop of calls and results, and structured answers.

import type OpenAI from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openAi } from './clients.ts'
import { refusalOf } from './outcomes.ts'
import { type Bench, can, idOf, startBench, TARGETS, type Target } from './targets.ts'

type Call = OpenAI.ChatCompletionMessageFunctionToolCall

const ARGUMENTS = z.object({ city: z.string(), unit: z.enum(['celsius', 'fahrenheit']) })
const REPORT = z.object({ title: z.string(), degrees: z.number(), tags: z.array(z.string()) })

const TOOLS: OpenAI.ChatCompletionFunctionTool[] = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'Current weather of a city',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
        required: ['city', 'unit'],
        additionalProperties: false,
      },
    },
  },
]

let bench: Bench
let client: OpenAI

beforeAll(async () => {
  bench = await startBench()
  client = openAi(bench.url)
})

afterAll(async () => bench?.close())

const ask = (content: string): OpenAI.ChatCompletionMessageParam[] => [{ role: 'user', content }]

function callsOf(message: OpenAI.ChatCompletionMessage | undefined): readonly Call[] {
  return (message?.tool_calls ?? []).filter((call) => call.type === 'function')
}

const citiesOf = (calls: readonly Call[]): readonly string[] =>
  calls.map((call) => ARGUMENTS.parse(JSON.parse(call.function.arguments)).city)

interface StreamedCall {
  id: string
  name: string
  arguments: string
  /** How often an id was told. */
  openings: number
}

/** Tool calls put together by hand, as applications do that read the stream themselves. */
async function gatherCalls(stream: AsyncIterable<OpenAI.ChatCompletionChunk>) {
  const calls: StreamedCall[] = []
  let finish: string | null = null
  for await (const chunk of stream) {
    const choice = chunk.choices[0]
    finish = choice?.finish_reason ?? finish
    for (const delta of choice?.delta.tool_calls ?? []) {
      const call = calls[delta.index] ?? { id: '', name: '', arguments: '', openings: 0 }
      calls[delta.index] = call
      if (delta.id !== undefined) {
        call.id = delta.id
        call.openings += 1
      }
      call.name += delta.function?.name ?? ''
      call.arguments += delta.function?.arguments ?? ''
    }
  }
  return { calls, finish }
}

describe.each(TARGETS)('$name', (target: Target) => {
  const model = idOf(target)
  const one = { model, messages: ask('What is the weather in Paris?'), tools: TOOLS }
  const two = {
    model,
    messages: ask('What is the weather in Paris and in London?'),
    tools: TOOLS,
    parallel_tool_calls: true,
  }

  test('calls a tool', async () => {
    const completion = await client.chat.completions.create(one)
    const calls = callsOf(completion.choices[0]?.message)
    expect(completion.choices[0]?.finish_reason).toBe('tool_calls')
    expect(calls).toHaveLength(1)
    expect(calls[0]).toMatchObject({ id: expect.stringMatching(/\S/), type: 'function' })
    expect(calls[0]?.function.name).toBe('get_weather')
    expect(citiesOf(calls)).toEqual(['Paris'])
  })

  test('streams a call in pieces that put together make the same', async () => {
    const whole = await client.chat.completions.create(one)
    const { calls, finish } = await gatherCalls(
      await client.chat.completions.create({ ...one, stream: true }),
    )
    expect(finish).toBe('tool_calls')
    expect(calls).toHaveLength(1)
    expect(calls[0]).toMatchObject({ id: expect.stringMatching(/\S/), name: 'get_weather', openings: 1 })
    expect(calls[0]?.arguments).toBe(callsOf(whole.choices[0]?.message)[0]?.function.arguments)
  })

  test('gives the stream helper the same call', async () => {
    const stream = client.chat.completions.stream({
      ...one,
      tools: [zodFunction({ name: 'get_weather', parameters: ARGUMENTS })],
    })
    const completion = await stream.finalChatCompletion()
    const call = completion.choices[0]?.message.tool_calls?.[0]
    expect(completion.choices[0]?.finish_reason).toBe('tool_calls')
    expect(call).toMatchObject({ type: 'function', function: { parsed_arguments: { city: 'Paris' } } })
  })

  test('calls in parallel, each with an id and an index of its own, where the dialect can', async () => {
    const whole = await client.chat.completions.create(
      can(target, 'parallel_calls') ? two : { ...two, parallel_tool_calls: false },
    )
    const streamed = await gatherCalls(
      await client.chat.completions.create({
        ...two,
        parallel_tool_calls: can(target, 'parallel_calls'),
        stream: true,
      }),
    )
    const cities = can(target, 'parallel_calls') ? ['Paris', 'London'] : ['Paris']
    expect(citiesOf(callsOf(whole.choices[0]?.message))).toEqual(cities)
    expect(streamed.calls.map((call) => ARGUMENTS.parse(JSON.parse(call.arguments)).city)).toEqual(cities)
    expect(new Set(streamed.calls.map((call) => call.id)).size).toBe(cities.length)
    expect(streamed.calls.map((call) => call.openings)).toEqual(cities.map(() => 1))
  })

  test.each(['whole', 'streamed'])('runs the loop of calls and results to its end, %s', async (way) => {
    const asked: string[] = []
    const tool = zodFunction({
      name: 'get_weather',
      description: 'Current weather of a city',
      parameters: ARGUMENTS,
      function: ({ city }) => {
        asked.push(city)
        return `21 degrees in ${city}`
      },
    })
    const request = { ...(can(target, 'parallel_calls') ? two : one), tools: [tool] }
    const runner =
      way === 'whole'
        ? client.chat.completions.runTools(request)
        : client.chat.completions.runTools({ ...request, stream: true })
    expect(await runner.finalContent()).toContain('21 degrees in')
    expect(asked).toEqual(can(target, 'parallel_calls') ? ['Paris', 'London'] : ['Paris'])
  })

  test('is made to call a tool, or not to, where the dialect knows that', async () => {
    const named = { type: 'function' as const, function: { name: 'get_weather' } }
    const idle = { ...one, messages: ask('Hello, how are you?') }
    for (const choice of ['required' as const, named]) {
      if (can(target, 'tool_choice')) {
        const quiet = target.thinking === 'never' ? {} : { reasoning_effort: 'none' as const }
        const completion = await client.chat.completions.create({ ...idle, ...quiet, tool_choice: choice })
        expect(callsOf(completion.choices[0]?.message)).toHaveLength(1)
      } else {
        const error = await refusalOf(client.chat.completions.create({ ...idle, tool_choice: choice }))
        expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'tool_choice' })
      }
    }
    const none = await client.chat.completions.create({ ...one, tool_choice: 'none' })
    if (can(target, 'no_tool_choice')) expect(callsOf(none.choices[0]?.message)).toEqual([])
  })

  test('fills a JSON schema, or says that it cannot', async () => {
    const format = zodResponseFormat(REPORT, 'report')
    const request = {
      model,
      messages: ask('Report on Paris as JSON.'),
      response_format: format,
      reasoning_effort: 'none' as const,
    }
    if (!can(target, 'json_schema')) {
      const error = await refusalOf(client.chat.completions.parse(request))
      expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'response_format' })
      return
    }
    const whole = await client.chat.completions.parse(request)
    expect(REPORT.safeParse(whole.choices[0]?.message.parsed).success).toBe(true)
    const streamed = await client.chat.completions.stream(request).finalChatCompletion()
    expect(streamed.choices[0]?.message.parsed).toEqual(whole.choices[0]?.message.parsed)
  })

  test('answers in JSON, or says that it cannot', async () => {
    const request = {
      model,
      messages: ask('Report on Paris as JSON.'),
      response_format: { type: 'json_object' as const },
      reasoning_effort: 'none' as const,
    }
    if (!can(target, 'json_object')) {
      const error = await refusalOf(client.chat.completions.create(request))
      expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'response_format' })
      return
    }
    const completion = await client.chat.completions.create(request)
    expect(JSON.parse(completion.choices[0]?.message.content ?? '')).toBeTypeOf('object')
  })
})
