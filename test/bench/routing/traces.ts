// The arrivals: two published traces, and one load drawn after the description of a third that is not at hand.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DRAW, draw, normalQuantile } from './random.ts'

/** Of a prefix block in the Mooncake trace. */
export const BLOCK_TOKENS = 512
/** The Mooncake trace tells instants to 3 s only; its bursts of ten in one millisecond are an artefact. */
const MOONCAKE_TICK_MS = 3000

export interface Trace {
  readonly name: string
  readonly count: number
  /** Since the start of the trace, ascending. */
  readonly arrivalMs: Float64Array
  readonly inputTokens: Int32Array
  readonly outputTokens: Int32Array
  /** Ids of the prefix blocks of each request; an id names its whole prefix. null where the trace has none. */
  readonly prefixes: readonly Int32Array[] | null
  readonly blockCount: number
}

export type TraceName = 'azure-code' | 'azure-conv-like' | 'mooncake' | 'mooncake-raw'

const loaded = new Map<TraceName, Trace>()

export function loadTrace(name: TraceName): Trace {
  const known = loaded.get(name)
  if (known !== undefined) return known
  const trace = readTrace(name)
  loaded.set(name, trace)
  return trace
}

function readTrace(name: TraceName): Trace {
  if (name === 'azure-conv-like') return drawConversations(name)
  if (name === 'azure-code') return parseTrace(name, readRows('azure-code-2023.csv'))
  const trace = parseTrace(name, readRows('mooncake-conversation.csv'))
  return name === 'mooncake' ? spread(trace, MOONCAKE_TICK_MS) : trace
}

function readRows(file: string): readonly string[][] {
  const text = readFileSync(join(import.meta.dirname, 'traces', file), 'utf8')
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','))
}

function parseTrace(name: string, rows: readonly string[][]): Trace {
  const prefixes = rows.map((row) => (row[3] === undefined ? null : readRanges(row[3])))
  const known = prefixes.filter((prefix) => prefix !== null)
  const blockCount = known.reduce((most, prefix) => Math.max(most, (prefix.at(-1) ?? 0) + 1), 0)
  return {
    name,
    count: rows.length,
    arrivalMs: Float64Array.from(rows, (row) => Number(row[0])),
    inputTokens: Int32Array.from(rows, (row) => Math.max(1, Number(row[1]))),
    outputTokens: Int32Array.from(rows, (row) => Math.max(1, Number(row[2]))),
    prefixes: known.length === rows.length ? known : null,
    blockCount,
  }
}

function readRanges(text: string): Int32Array {
  const ids: number[] = []
  for (const range of text.split(' ')) {
    const [first = 0, last = first] = range.split('-').map(Number)
    for (let id = first; id <= last; id += 1) ids.push(id)
  }
  return Int32Array.from(ids)
}

/** Requests of one tick are spread over it evenly, in their order; nothing else changes. */
function spread(trace: Trace, tickMs: number): Trace {
  const arrivalMs = trace.arrivalMs.slice()
  for (let first = 0; first < trace.count; ) {
    let next = first
    while (next < trace.count && trace.arrivalMs[next] === trace.arrivalMs[first]) next += 1
    for (let index = first; index < next; index += 1)
      arrivalMs[index] = Math.round(
        (trace.arrivalMs[first] ?? 0) + ((index - first) / (next - first)) * tickMs,
      )
    first = next
  }
  return { ...trace, arrivalMs: arrivalMs.sort() }
}

/**
 * A load with the published marginals of the Azure conversation trace of 2023 (19,366 requests in 58 minutes, input
 * p50 and p95 of 1,020 and 4,083 tokens, output 129 and 451), arriving by a Poisson process. It is not that trace.
 */
function drawConversations(name: string): Trace {
  const count = 19_366
  const meanGapMs = (58 * 60_000) / count
  const arrivalMs = new Float64Array(count)
  const inputTokens = new Int32Array(count)
  const outputTokens = new Int32Array(count)
  let at = 0
  const tokens = (index: number, kind: number, median: number, deviation: number): number =>
    Math.max(
      1,
      Math.round(median * Math.exp(deviation * normalQuantile(draw(2023, index, kind, 0, DRAW.trace)))),
    )
  for (let index = 0; index < count; index += 1) {
    at -= meanGapMs * Math.log(draw(2023, index, 0, 0, DRAW.trace))
    arrivalMs[index] = Math.round(at)
    inputTokens[index] = Math.min(16_000, tokens(index, 1, 1020, 0.843))
    outputTokens[index] = Math.min(2000, tokens(index, 2, 129, 0.761))
  }
  return { name, count, arrivalMs, inputTokens, outputTokens, prefixes: null, blockCount: 0 }
}
