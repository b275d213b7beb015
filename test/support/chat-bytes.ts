// Answers of an OpenAI-compatible upstream as bytes, in the framing that OpenAI itself uses.

import type { ScriptedAnswer } from './raw-upstream.ts'

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
}

const HEAD = '"id":"chatcmpl-1","object":"chat.completion.chunk","created":1790000000,"model":"x-2026"'

export const DONE = 'data: [DONE]\n\n'

export function contentEvent(content: string): string {
  const delta = JSON.stringify({ content })
  return `data: {${HEAD},"choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":null}]}\n\n`
}

export const ROLE_EVENT = `data: {${HEAD},"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n`
export const FINISH_EVENT = `data: {${HEAD},"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n`

export function usageEvent(usage: Usage): string {
  return `data: {${HEAD},"choices":[],"usage":${JSON.stringify(usageJson(usage))}}\n\n`
}

function usageJson(usage: Usage): Record<string, number> {
  return { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens }
}

/** Events of a whole stream, `[DONE]` included. */
export function streamEvents(words: readonly string[], usage: Usage | null): string[] {
  return [
    ROLE_EVENT,
    ...words.map(contentEvent),
    FINISH_EVENT,
    ...(usage === null ? [] : [usageEvent(usage)]),
    DONE,
  ]
}

/** A body whose spacing and order no serialiser of ours would make. */
export function answerText(content: string, usage: Usage | null): string {
  const counted = usage === null ? '' : `,\n  "usage":${JSON.stringify(usageJson(usage))}`
  return `{ "id":"chatcmpl-1",  "object":"chat.completion","created":1790000000,"model":"x-2026",
  "choices":[ {"index":0,"message":{"role":"assistant","content":${JSON.stringify(content)}},"finish_reason":"stop"} ]${counted},
  "vendor_extra": {"kept": [1, 2.50, "ü"]} }`
}

export const JSON_HEADERS = { 'content-type': 'application/json' } as const

/** Answers as OpenAI would, streamed where the request asks for it. */
export function answer(content: string, usage: Usage | null = { prompt_tokens: 10, completion_tokens: 5 }) {
  return (request: { readonly body: string }): ScriptedAnswer =>
    isStreaming(request.body)
      ? { steps: streamEvents([content], usage) }
      : { headers: JSON_HEADERS, framing: 'length', steps: [answerText(content, usage)] }
}

export function isStreaming(body: string): boolean {
  return (JSON.parse(body) as { stream?: unknown }).stream === true
}

/** A vendor's error as OpenAI shapes it. */
export function errorAnswer(status: number, error: Record<string, unknown>, headers = {}): ScriptedAnswer {
  return {
    status,
    headers: { ...JSON_HEADERS, ...headers },
    framing: 'length',
    steps: [JSON.stringify({ error })],
  }
}
