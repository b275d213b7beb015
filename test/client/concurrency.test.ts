// Many applications at once over all dialects: every answer belongs to its question, and every request is in the
// books once.

import type OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/gateway.ts'
import { openAi } from './clients.ts'
import { type Bench, idOf, startBench, TARGETS } from './targets.ts'

const ROUNDS = 10

let bench: Bench
let client: OpenAI

beforeAll(async () => {
  bench = await startBench()
  client = openAi(bench.url)
})

afterAll(async () => bench?.close())

interface Asked {
  readonly question: string
  readonly answer: string
  readonly promptTokens: number
  readonly completionTokens: number
}

async function ask(model: string, question: string, stream: boolean): Promise<Asked> {
  const request = { model, messages: [{ role: 'user' as const, content: question }] }
  if (!stream) {
    const { choices, usage } = await client.chat.completions.create(request)
    return {
      question,
      answer: choices[0]?.message.content ?? '',
      promptTokens: usage?.prompt_tokens ?? 0,
      completionTokens: usage?.completion_tokens ?? 0,
    }
  }
  let answer = ''
  let usage: OpenAI.CompletionUsage | null | undefined
  const chunks = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  })
  for await (const chunk of chunks) {
    answer += chunk.choices[0]?.delta.content ?? ''
    usage = chunk.usage ?? usage
  }
  return {
    question,
    answer,
    promptTokens: usage?.prompt_tokens ?? 0,
    completionTokens: usage?.completion_tokens ?? 0,
  }
}

test('answers are not mixed, and usage adds up at clients, gateway and providers', async () => {
  const work = TARGETS.flatMap((target, position) =>
    Array.from({ length: ROUNDS }, (_, round) =>
      ask(idOf(target), `Question ${position}-${round}?`, (position + round) % 2 === 0),
    ),
  )
  const asked = await Promise.all(work)
  expect(asked.filter(({ question, answer }) => !answer.includes(question))).toEqual([])

  const total = { requests: 0, input_tokens: 0, output_tokens: 0 }
  await eventually(async () => {
    const report = (await bench.gateway.admin('/usage?group_by=target')) as { total: typeof total }
    Object.assign(total, report.total)
    return total.requests === asked.length
  }, 'every request is in the books')
  const seen = TARGETS.map((target) => bench.upstream(target).stats)
  const sum = (counts: readonly number[]): number => counts.reduce((left, right) => left + right, 0)
  expect(total.input_tokens).toBe(sum(asked.map(({ promptTokens }) => promptTokens)))
  expect(total.output_tokens).toBe(sum(asked.map(({ completionTokens }) => completionTokens)))
  expect(total.input_tokens).toBe(sum(seen.map(({ inputTokens }) => inputTokens)))
  expect(total.output_tokens).toBe(sum(seen.map(({ outputTokens }) => outputTokens)))
})
