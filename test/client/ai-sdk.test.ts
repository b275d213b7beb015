// The Vercel AI SDK over every dialect, by both of its providers that speak chat completions: text, streams, usage,
// reasoning, tools, structured output, pictures, leaving, errors.

import {
  APICallError,
  generateText,
  isStepCount,
  type LanguageModelUsage,
  Output,
  streamText,
  tool,
} from 'ai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { contentEvent, ROLE_EVENT } from '../support/chat-bytes.ts'
import { eventually, type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { AI_SDK_PROVIDERS } from './clients.ts'
import { type Bench, can, idOf, startBench, TARGETS } from './targets.ts'

const PROMPT = 'Why is the sky blue?'
const REPORT = z.object({ title: z.string(), degrees: z.number() })
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

const tools = {
  get_weather: tool({
    description: 'Current weather of a city',
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => `21 degrees in ${city}`,
  }),
}

let bench: Bench

beforeAll(async () => {
  bench = await startBench()
})

afterAll(async () => bench?.close())

const countsOf = ({ inputTokens, outputTokens, totalTokens }: LanguageModelUsage): object => ({
  inputTokens,
  outputTokens,
  totalTokens,
})

const CASES = AI_SDK_PROVIDERS.flatMap((provider) => TARGETS.map((target) => ({ provider, target })))

describe.each(CASES)('$provider.name, $target.name', ({ provider, target }) => {
  const modelOf = (name: string) => provider.model(bench.url, `${target.name}/${name}`)

  test('generates text, with usage and a reason to end', async () => {
    const result = await generateText({ model: modelOf(target.model), prompt: PROMPT })
    expect(result.text).toContain('sky')
    expect(result.finishReason).toBe('stop')
    expect(result.usage.inputTokens).toBeGreaterThan(5)
    expect(result.usage.outputTokens).toBeGreaterThan(20)
    expect(result.response.headers?.['x-sluice-target']).toBe(idOf(target))
  })

  test('streams the same text with the same usage', async () => {
    const whole = await generateText({ model: modelOf(target.model), prompt: PROMPT })
    const result = streamText({ model: modelOf(target.model), prompt: PROMPT })
    let text = ''
    let pieces = 0
    for await (const piece of result.textStream) {
      text += piece
      pieces += 1
    }
    expect(text).toBe(whole.text)
    expect(pieces).toBeGreaterThan(3)
    expect(await result.finishReason).toBe('stop')
    expect(countsOf(await result.usage)).toEqual(countsOf(whole.usage))
  })

  test('shows reasoning as parts, where provider and model have it', async () => {
    const shown = provider.showsReasoning && target.thinking !== 'never'
    const options = { openai: { reasoningEffort: 'high' }, sluice: { reasoningEffort: 'high' } }
    const { enable_thinking: isThinking } = target.thinkingFields
    const sluice =
      typeof isThinking === 'boolean' ? { ...options.sluice, enable_thinking: isThinking } : options.sluice
    const request = { model: modelOf(target.model), prompt: PROMPT, providerOptions: { ...options, sluice } }
    const whole = await generateText(request)
    const streamed = streamText(request)
    await streamed.consumeStream()
    expect((whole.reasoningText ?? '') !== '').toBe(shown)
    expect((await streamed.reasoningText) ?? '').toBe(whole.reasoningText ?? '')
    expect(await streamed.text).toBe(whole.text)
    expect(whole.text).not.toBe('')
  })

  test('calls a tool and answers with its result, whole and streamed', async () => {
    const request = {
      model: modelOf(target.model),
      prompt: 'What is the weather in Paris?',
      tools,
      stopWhen: isStepCount(3),
    }
    const whole = await generateText(request)
    const streamed = streamText(request)
    await streamed.consumeStream()
    for (const steps of [whole.steps, await streamed.steps]) {
      expect(steps).toHaveLength(2)
      expect(steps[0]?.finishReason).toBe('tool-calls')
      expect(steps[0]?.toolCalls).toMatchObject([{ toolName: 'get_weather', input: { city: 'Paris' } }])
    }
    expect(whole.text).toContain('21 degrees in Paris')
    expect(await streamed.text).toBe(whole.text)
  })

  test('gives structured output, or says that it cannot', async () => {
    const request = {
      model: modelOf(target.model),
      prompt: 'Report on Paris as JSON.',
      output: Output.object({ schema: REPORT }),
      providerOptions: { openai: { reasoningEffort: 'none' }, sluice: { reasoningEffort: 'none' } },
      maxRetries: 0,
    }
    if (!can(target, 'json_schema')) {
      await expect(generateText(request)).rejects.toMatchObject({ statusCode: 400 })
      return
    }
    const whole = await generateText(request)
    expect(REPORT.safeParse(whole.output).success).toBe(true)
    const streamed = streamText(request)
    const partial: unknown[] = []
    for await (const value of streamed.partialOutputStream) partial.push(value)
    expect(partial.at(-1)).toEqual(whole.output)
    expect(await streamed.output).toEqual(whole.output)
  })

  test('sees a picture, or says that the dialect has none', async () => {
    const content = [
      { type: 'text' as const, text: 'What is in it?' },
      { type: 'file' as const, mediaType: 'image/png', data: PIXEL },
    ]
    const model = modelOf(target.visionModel ?? target.model)
    const work = generateText({ model, messages: [{ role: 'user', content }], maxRetries: 0 })
    if (target.visionModel === null) await expect(work).rejects.toMatchObject({ statusCode: 400 })
    else expect((await work).text).toContain('1 image')
  })

  test('is left in the middle of a stream, and the provider stops', async () => {
    const controller = new AbortController()
    const result = streamText({
      model: modelOf(target.slowModel),
      prompt: PROMPT,
      abortSignal: controller.signal,
    })
    const types: string[] = []
    for await (const part of result.stream) {
      types.push(part.type)
      if (part.type === 'text-delta') controller.abort()
    }
    expect(types.at(-1)).toBe('abort')
    await eventually(
      () => bench.upstream(target).requests.at(-1)?.aborted === true,
      'the provider has stopped',
    )
  })
})

describe.each(AI_SDK_PROVIDERS)('$name, when something goes wrong', (provider) => {
  let upstream: RawUpstream
  let gateway: LocalGateway

  beforeAll(async () => {
    upstream = await startRawUpstream()
    gateway = await startLocalGateway({
      config: configOf({ providers: { one: upstream.baseUrl }, policy: { retry: { attempts: 1 } } }),
    })
  })

  afterAll(async () => {
    await gateway?.close()
    await upstream?.close()
  })

  test("throws an APICallError with the gateway's status and words", async () => {
    const work = generateText({ model: provider.model(gateway.url, 'n'), prompt: PROMPT, maxRetries: 0 })
    const error: unknown = await work.catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(APICallError)
    expect(error).toMatchObject({
      statusCode: 404,
      isRetryable: false,
      message: expect.stringContaining('there is no model "n"'),
      data: { error: { code: 'model_not_found', param: 'model' } },
    })
  })

  test('tells a stream that breaks by an error part, after what had come', async () => {
    upstream.script({ steps: [ROLE_EVENT, contentEvent('Hel'), contentEvent('lo'), 50], ending: 'fin' })
    const errors: unknown[] = []
    const result = streamText({
      model: provider.model(gateway.url, 'm'),
      prompt: PROMPT,
      maxRetries: 0,
      onError: ({ error }) => {
        errors.push(error)
      },
    })
    let text = ''
    const types: string[] = []
    for await (const part of result.stream) {
      types.push(part.type)
      if (part.type === 'text-delta') text += part.text
    }
    expect(text).toBe('Hello')
    expect(types).toContain('error')
    expect(errors).toHaveLength(1)
    expect(JSON.stringify(errors)).not.toContain(String(upstream.port))
    await expect(Promise.resolve(result.finishReason)).resolves.toBe('error')
  })
})
