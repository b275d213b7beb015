// What the tests of the OpenAI-chat format share: plain quirks, a stream run through the identity path, and
// readers of what came out.

import type { AnswerState } from '#core/answer.ts'
import type { ChatEvent } from '#core/chat.ts'
import type { Quirks } from '#core/provider.ts'
import { openChatDecoder } from '#wire/openai-chat/decode.ts'
import { type PassOptions, passStream } from '#wire/openai-chat/pass.ts'

export type Json = Record<string, unknown>

/** An upstream that departs from OpenAI in nothing. */
export const PLAIN: Quirks = { streamUsage: 'option', thinking: { style: 'none' } }

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
export const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

export const event = (body: object): string => `data: ${JSON.stringify(body)}\n\n`

/** A chunk as OpenAI sends it. */
export function chunk(delta: object, finish: string | null = null, rest: object = {}): Json {
  const choice = { index: 0, delta, finish_reason: finish }
  return {
    id: 'c1',
    object: 'chat.completion.chunk',
    created: 1_757_141_666,
    model: 'm',
    choices: [choice],
    ...rest,
  }
}

export const USAGE = { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 }

export interface Passed {
  readonly text: string
  readonly writes: readonly Uint8Array[]
  readonly state: AnswerState
}

/** Runs chunks through the identity path; stops as the pump does, at a failure. */
export function pass(chunks: readonly Uint8Array[], options: Partial<PassOptions> = {}): Passed {
  const parts: Uint8Array[] = []
  const transform = passStream({
    quirks: PLAIN,
    rules: [],
    wantsUsage: false,
    choices: 1,
    costOf: () => null,
    ...options,
    out: (bytes) => parts.push(bytes),
  })
  for (const bytes of chunks) {
    transform.push(bytes)
    if (transform.state.failure !== null) break
  }
  if (transform.state.failure === null) transform.end()
  return { text: parts.map(decode).join(''), writes: parts, state: transform.state }
}

export const passText = (text: string, options: Partial<PassOptions> = {}): Passed =>
  pass([encode(text)], options)

/** Canonical events of a stream. */
export function decodeText(text: string, quirks: Quirks = PLAIN): readonly ChatEvent[] {
  const decoder = openChatDecoder(quirks, [])
  return [...decoder.push(encode(text)), ...decoder.end()]
}

/** The JSON objects of a stream's events, read as an SDK does; `[DONE]` and comments are left out. */
export function bodiesOf(stream: string): Json[] {
  return stream
    .split(/\r\n\r\n|\n\n|\r\r/)
    .map((block) =>
      block
        .split(/\r\n|\n|\r/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''))
        .join('\n'),
    )
    .filter((data) => data !== '' && data !== '[DONE]')
    .map((data) => JSON.parse(data) as Json)
}
