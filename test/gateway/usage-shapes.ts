// Shapes in which upstreams say their usage, and what each bills.

import { contentEvent, DONE, FINISH_EVENT, ROLE_EVENT } from '../support/chat-bytes.ts'
import type { ScriptedAnswer, Step } from '../support/raw-upstream.ts'

/** 40 bytes of text, 10 tokens where nobody counts. */
export const TEXT = contentEvent('0123456789'.repeat(4))
const LONG = contentEvent('0123456789'.repeat(80))

export function usageOnly(usage: unknown): string {
  return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"x","choices":[],"usage":${JSON.stringify(usage)}}\n\n`
}

/** A content chunk with figures of its own. */
function counting(event: string, usage: unknown): string {
  return event.replace('"choices"', `"usage":${JSON.stringify(usage)},"choices"`)
}

export const figures = (prompt: unknown, completion: unknown, more: object = {}): object => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  ...more,
})

interface Shape {
  readonly name: string
  readonly steps: readonly Step[]
  readonly ending?: ScriptedAnswer['ending']
  readonly want: {
    readonly input?: number
    readonly output: number
    readonly cached?: number
    readonly source: 'provider' | 'estimated'
    readonly contradiction?: string
    readonly outcome?: string
  }
}

export const SHAPES: readonly Shape[] = [
  {
    name: 'PEERS 1: usage only in the last chunk with empty choices',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 12)), DONE],
    want: { input: 100, output: 12, source: 'provider' },
  },
  {
    name: 'PEERS 4: usage before [DONE] and behind finish_reason',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, ': ping\n\n', usageOnly(figures(100, 13)), DONE],
    want: { input: 100, output: 13, source: 'provider' },
  },
  {
    name: 'PEERS 4: usage that grows in every chunk: the last one wins, and nothing is summed',
    steps: [
      ROLE_EVENT,
      ...[4, 8, 12].map((tokens) => counting(TEXT, figures(100, tokens))),
      counting(FINISH_EVENT, figures(100, 12)),
      DONE,
    ],
    want: { input: 100, output: 12, source: 'provider' },
  },
  {
    name: 'usage on the chunk of the finish reason',
    steps: [ROLE_EVENT, TEXT, counting(FINISH_EVENT, figures(100, 14)), DONE],
    want: { input: 100, output: 14, source: 'provider' },
  },
  {
    name: 'usage behind [DONE]',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, DONE, 30, usageOnly(figures(100, 15))],
    want: { input: 100, output: 15, source: 'provider' },
  },
  {
    name: 'usage behind [DONE] that was said before it is not heard again',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 15)), DONE, usageOnly(figures(900, 900))],
    want: { input: 100, output: 15, source: 'provider' },
  },
  {
    name: 'an end mark without usage and without an end',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, DONE],
    ending: 'hang',
    want: { output: 10, source: 'estimated' },
  },
  {
    name: 'usage of null in every chunk, and none',
    steps: [ROLE_EVENT, counting(TEXT, null), counting(FINISH_EVENT, null), usageOnly(null), DONE],
    want: { output: 10, source: 'estimated' },
  },
  {
    name: 'usage in the first chunk only, and much text behind it',
    steps: [counting(ROLE_EVENT, figures(100, 1)), LONG, FINISH_EVENT, DONE],
    want: { input: 100, output: 201, source: 'estimated', contradiction: 'behind' },
  },
  {
    name: 'usage in the first chunk only, without output',
    steps: [counting(ROLE_EVENT, figures(100, 0)), TEXT, FINISH_EVENT, DONE],
    want: { input: 100, output: 10, source: 'estimated', contradiction: 'zero' },
  },
  {
    name: 'usage in the first chunk, and a larger one at the end',
    steps: [counting(ROLE_EVENT, figures(100, 0)), TEXT, FINISH_EVENT, usageOnly(figures(110, 16)), DONE],
    want: { input: 110, output: 16, source: 'provider' },
  },
  {
    name: 'usage of each chunk by itself',
    steps: [ROLE_EVENT, ...[1, 1, 1].map(() => counting(LONG, figures(100, 2))), FINISH_EVENT, DONE],
    want: { input: 100, output: 600, source: 'estimated', contradiction: 'behind' },
  },
  {
    name: 'no output for text that was there',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 0)), DONE],
    want: { input: 100, output: 0, source: 'provider', contradiction: 'zero' },
  },
  {
    name: 'PEERS 7: nothing at all for text that was there',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(0, 0, { total_tokens: 0 })), DONE],
    want: { input: 0, output: 0, source: 'provider', contradiction: 'zero' },
  },
  {
    name: 'PEERS 7: zero output for an answer of nothing is zero',
    steps: [ROLE_EVENT, FINISH_EVENT, usageOnly(figures(100, 0)), DONE],
    want: { input: 100, output: 0, source: 'provider' },
  },
  {
    name: 'a total that is more than its parts',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 12, { total_tokens: 150 })), DONE],
    want: { input: 100, output: 50, source: 'provider', contradiction: 'total' },
  },
  {
    name: 'a total that is less than its parts',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 12, { total_tokens: 20 })), DONE],
    want: { input: 100, output: 12, source: 'provider', contradiction: 'total' },
  },
  {
    name: 'PEERS 5: more cached tokens than input',
    steps: [
      ROLE_EVENT,
      TEXT,
      FINISH_EVENT,
      usageOnly(figures(100, 12, { prompt_tokens_details: { cached_tokens: 400 } })),
      DONE,
    ],
    want: { input: 100, output: 12, cached: 100, source: 'provider', contradiction: 'parts' },
  },
  {
    name: 'PEERS 5: cached tokens beside the input, as the total has it',
    steps: [
      ROLE_EVENT,
      TEXT,
      FINISH_EVENT,
      usageOnly(figures(100, 12, { total_tokens: 512, prompt_tokens_details: { cached_tokens: 400 } })),
      DONE,
    ],
    want: { input: 500, output: 12, cached: 400, source: 'provider' },
  },
  {
    name: 'a negative count, with the total beside it',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, -1, { total_tokens: 117 })), DONE],
    want: { input: 100, output: 17, source: 'provider', contradiction: 'malformed' },
  },
  {
    name: 'a fraction',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(100, 1.5)), DONE],
    want: { input: 100, output: 10, source: 'estimated', contradiction: 'malformed' },
  },
  {
    name: 'counts in quotes',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures('100', '18')), DONE],
    want: { output: 10, source: 'estimated', contradiction: 'malformed' },
  },
  {
    name: 'nothing that is a count',
    steps: [ROLE_EVENT, TEXT, FINISH_EVENT, usageOnly(figures(-5, 1e300)), DONE],
    want: { output: 10, source: 'estimated', contradiction: 'malformed' },
  },
  {
    name: 'PEERS 13: no usage, and a stream that is cut',
    steps: [ROLE_EVENT, TEXT],
    ending: 'fin',
    want: { output: 10, source: 'estimated', outcome: 'truncated' },
  },
  {
    name: 'PEERS 14: no usage, and a stream that stalls',
    steps: [ROLE_EVENT, TEXT],
    ending: 'hang',
    want: { output: 10, source: 'estimated', outcome: 'timeout' },
  },
  {
    name: 'usage, and a stream that is cut behind it',
    steps: [ROLE_EVENT, counting(TEXT, figures(100, 9))],
    ending: 'fin',
    want: { input: 100, output: 9, source: 'provider', outcome: 'truncated' },
  },
]
