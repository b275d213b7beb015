// What figures of rates share: who waits at a limit, what was billed when, and how much any 60 seconds hold of it.

import { setTimeout as wait } from 'node:timers/promises'
import type { TestGateway } from '../support/gateway.ts'
import type { SeenRequest } from '../support/raw-upstream.ts'

const WINDOW_MS = 60_000
const SHARE_MIN = 0.85

/** What the upstream billed. */
export interface Billed {
  readonly atMs: number
  readonly tokens: number
}

export interface Figure {
  readonly name: string
  readonly value: number
  readonly wanted: string
  readonly pass: boolean
}

export async function callUntil(gateway: TestGateway, endMs: number, caller: number): Promise<void> {
  for (let turn = 0; Date.now() < endMs; turn += 1) {
    const words = 'word '.repeat(1 + ((caller * 7 + turn * 13) % 120))
    const got = await gateway.chat({
      messages: [{ role: 'user', content: words }],
      max_tokens: 50 + ((turn * 37) % 200),
    })
    if (got.status === 429) await wait(Math.min(1_000, Number(got.headers['retry-after'] ?? 1) * 1000))
  }
}

/** Each attempt of the ledger at the instant that it was let in. */
export async function billedBy(gateway: TestGateway): Promise<readonly Billed[]> {
  const billed: Billed[] = []
  let cursor: string | null = null
  do {
    const page = (await gateway.admin(
      `/requests?limit=500${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )) as { data: { id: string; outcome: string }[]; next_cursor: string | null }
    const served = page.data.filter((row) => row.outcome === 'success')
    for (let at = 0; at < served.length; at += 50) {
      const details = await Promise.all(served.slice(at, at + 50).map(({ id }) => gateway.detail(id)))
      for (const { attempts } of details) {
        for (const { started_at: startedAt, usage } of attempts) {
          const tokens = Number(usage['input_tokens']) + Number(usage['output_tokens'])
          billed.push({ atMs: Date.parse(String(startedAt)), tokens })
        }
      }
    }
    cursor = page.next_cursor
  } while (cursor !== null)
  return billed.sort((a, b) => a.atMs - b.atMs)
}

/** The most that any window holds. */
export function most(billed: readonly Billed[], weigh: (billed: Billed) => number): number {
  let sum = 0
  let first = 0
  let highest = 0
  for (const last of billed) {
    sum += weigh(last)
    for (
      let head = billed[first];
      head !== undefined && head.atMs <= last.atMs - WINDOW_MS;
      head = billed[first]
    ) {
      sum -= weigh(head)
      first += 1
    }
    highest = Math.max(highest, sum)
  }
  return highest
}

/** Of what the limit would let in over the whole of the run, whose first window is full at once. */
export function shareOf(billed: readonly Billed[], weigh: (billed: Billed) => number, limit: number): number {
  const [first, last] = [billed[0]?.atMs ?? 0, billed.at(-1)?.atMs ?? 0]
  // Whole windows only: the last one may have just begun.
  const windows = Math.max(1, Math.floor((last - first) / WINDOW_MS))
  const counted = billed.filter(({ atMs }) => atMs < first + windows * WINDOW_MS)
  return counted.reduce((sum, one) => sum + weigh(one), 0) / (windows * limit)
}

export const atMost = (name: string, value: number, limit: number): Figure => ({
  name,
  value,
  wanted: `at most ${limit}`,
  pass: value <= limit,
})

export const atLeast = (name: string, value: number): Figure => ({
  name,
  value: Number(value.toFixed(3)),
  wanted: `at least ${SHARE_MIN}`,
  pass: value >= SHARE_MIN,
})

export function boundOf(request: SeenRequest): number {
  const bound = request.json['max_tokens'] ?? request.json['max_completion_tokens']
  return typeof bound === 'number' ? bound : 100
}

/** One token for four bytes of input. */
export function answerOf(request: SeenRequest, output: number) {
  const input = Math.ceil(request.body.length / 4)
  const body = {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'x',
    choices: [
      { index: 0, message: { role: 'assistant', content: 'as long as may be' }, finish_reason: 'length' },
    ],
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
  }
  return {
    headers: { 'content-type': 'application/json' },
    framing: 'length' as const,
    steps: [JSON.stringify(body)],
  }
}
