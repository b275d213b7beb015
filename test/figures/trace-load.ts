// The clients of trace.ts: requests at the instants of a trace, looped and compressed in time, whether the last ones
// were answered or not. One process; it takes a job per line and prints one line of results.

import { Agent, request } from 'node:http'
import { answerLines } from '../bench/line-protocol.ts'
import { BENCH_KEY, BENCH_MODEL } from '../bench/scenarios.ts'

export interface Arrival {
  readonly atMs: number
  readonly inputTokens: number
  readonly outputTokens: number
}

export interface TraceJob {
  readonly port: number
  readonly seconds: number
  readonly perSecond: number
  readonly arrivals: readonly Arrival[]
}

export interface TraceResult {
  readonly sent: number
  readonly answered: number
  readonly errors: number
  readonly firstError: string | null
  readonly inputTokens: number
  readonly outputTokens: number
  readonly seconds: number
  /** Answers in each ten seconds, per second. */
  readonly rates: readonly number[]
  readonly p50Ms: number
  readonly p99Ms: number
}

const BYTES_PER_TOKEN = 4
const WINDOW_MS = 10_000
const TICK_MS = 5
const SOCKETS_MAX = 512
/** Requests under way; the trace waits beyond it, and falls behind its clock. */
const UNDER_WAY_MAX = 2_000
const TAIL_MS_MAX = 30_000
const TEXT = 'for (const row of rows) if (row.total > limit) report.push(row) // next '

async function run(job: TraceJob): Promise<TraceResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX })
  const longest = Math.max(...job.arrivals.map(({ inputTokens }) => inputTokens)) * BYTES_PER_TOKEN
  const text = TEXT.repeat(Math.ceil(longest / TEXT.length))
  const last = job.arrivals.at(-1)?.atMs ?? 1
  // The mean gap of the trace stands between its last arrival and the next loop's first.
  const loopMs = last * (1 + 1 / job.arrivals.length)
  const scale = (job.arrivals.length * 1000) / job.perSecond / loopMs
  const latencies: number[] = []
  const rates: number[] = []
  const sums = { sent: 0, answered: 0, errors: 0, inputTokens: 0, outputTokens: 0 }
  let firstError: string | null = null
  const began = performance.now()

  function send({ inputTokens, outputTokens }: Arrival): void {
    const sentMs = performance.now()
    sums.sent++
    const content = text.slice(0, inputTokens * BYTES_PER_TOKEN)
    const body = `{"model":"${BENCH_MODEL}","user":"${inputTokens}-${outputTokens}","max_tokens":${Math.max(16, outputTokens)},"messages":[{"role":"user","content":"${content}"}]}`
    const fail = (message: string): void => {
      sums.errors++
      firstError ??= message
    }
    const call = request(
      {
        host: '127.0.0.1',
        port: job.port,
        method: 'POST',
        path: '/v1/chat/completions',
        agent,
        headers: {
          authorization: `Bearer ${BENCH_KEY}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
      },
      (answer) => {
        answer.resume()
        answer.on('end', () => {
          if (answer.statusCode !== 200) return fail(`status ${answer.statusCode}`)
          sums.answered++
          sums.inputTokens += inputTokens
          sums.outputTokens += outputTokens
          const window = Math.floor((performance.now() - began) / WINDOW_MS)
          rates[window] = (rates[window] ?? 0) + 1
          if (sums.answered % 16 === 0) latencies.push(performance.now() - sentMs)
        })
      },
    )
    call.on('error', (error) => fail(error.message))
    call.end(body)
  }

  await new Promise<void>((resolve) => {
    let next = 0
    const timer = setInterval(() => {
      const elapsedMs = performance.now() - began
      if (elapsedMs >= job.seconds * 1000) {
        clearInterval(timer)
        return resolve()
      }
      for (;;) {
        const arrival = job.arrivals[next % job.arrivals.length]
        if (arrival === undefined) return
        const loop = Math.floor(next / job.arrivals.length)
        if ((loop * loopMs + arrival.atMs) * scale > elapsedMs) return
        if (sums.sent - sums.answered - sums.errors >= UNDER_WAY_MAX) return
        send(arrival)
        next++
      }
    }, TICK_MS)
  })
  const seconds = (performance.now() - began) / 1000
  const deadline = performance.now() + TAIL_MS_MAX
  while (sums.answered + sums.errors < sums.sent && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  agent.destroy()
  latencies.sort((left, right) => left - right)
  const at = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? 0
  const whole = rates.slice(0, Math.floor((seconds * 1000) / WINDOW_MS))
  return {
    ...sums,
    firstError,
    seconds,
    rates: whole.map((count) => (count * 1000) / WINDOW_MS),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }
}

answerLines((job) => run(job as TraceJob))
