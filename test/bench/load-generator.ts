// The load generator: keep-alive connections in a closed loop on raw sockets, one process. It takes a job per
// line of standard input and prints one JSON line of results for each:
//   echo '{"port":8787,"scenario":"1KB","connections":32,"seconds":2,"rampMs":300}' | node load-generator.ts

import { connect, type Socket } from 'node:net'
import { answerLines } from './line-protocol.ts'
import { EVENTS_PER_STREAM } from './mock-answers.ts'
import { ResponseReader, type ResponseSummary } from './response-reader.ts'
import { findScenario, requestBytes } from './scenarios.ts'

export interface LoadJob {
  readonly port: number
  readonly scenario: string
  readonly connections: number
  /** Of the counted window, after the ramp. */
  readonly seconds: number
  readonly rampMs: number
}

export interface LoadResult {
  readonly requestsPerSecond: number
  /** Streamed events of any kind; 0 for unstreamed answers. */
  readonly chunksPerSecond: number
  readonly errors: number
  readonly firstError: string | null
  readonly p50Ms: number
  readonly p99Ms: number
  /** Ramp and tail included, as the processes' CPU time includes them. */
  readonly requestsTotal: number
  readonly chunksTotal: number
  readonly wallMs: number
}

const READ_BYTES = 64 * 1024
const LATENCIES_MAX = 1_000_000
/** Responses in flight at the end of the window may take this long. */
const TAIL_MS_MAX = 10_000
/** Before a failed connection is opened again, so that a dead port does not spin. */
const REOPEN_MS = 50

const latenciesMs = new Float64Array(LATENCIES_MAX)

class Run {
  readonly request: Buffer
  readonly isStreaming: boolean
  readonly #job: LoadJob
  readonly #connections: readonly Connection[]
  readonly #startedAtMs = performance.now()
  readonly #done: (result: LoadResult) => void
  #phase: 'ramp' | 'counting' | 'tail' | 'over' = 'ramp'
  #windowAtMs = 0
  #windowMs = 0
  #responses = 0
  #chunks = 0
  #responsesTotal = 0
  #chunksTotal = 0
  #errors = 0
  #firstError: string | null = null
  #openConnections = 0

  constructor(job: LoadJob, done: (result: LoadResult) => void) {
    const scenario = findScenario(job.scenario)
    if (scenario === undefined) throw new Error(`no scenario ${job.scenario}`)
    this.#job = job
    this.#done = done
    this.request = requestBytes(scenario, job.port)
    this.isStreaming = scenario.isStreaming
    this.#connections = Array.from({ length: job.connections }, () => new Connection(this, job.port))
    this.#openConnections = job.connections
    setTimeout(() => this.#startWindow(), job.rampMs)
  }

  get isTaking(): boolean {
    return this.#phase === 'ramp' || this.#phase === 'counting'
  }

  chunks(count: number): void {
    this.#chunksTotal += count
    if (this.#phase === 'counting') this.#chunks += count
  }

  response(sentAtMs: number): void {
    this.#responsesTotal += 1
    if (this.#phase !== 'counting') return
    if (this.#responses < LATENCIES_MAX) latenciesMs[this.#responses] = performance.now() - sentAtMs
    this.#responses += 1
  }

  error(message: string): void {
    this.#errors += 1
    this.#firstError ??= message
  }

  connectionEnded(): void {
    this.#openConnections -= 1
    if (this.#openConnections === 0) this.#finish()
  }

  #startWindow(): void {
    this.#phase = 'counting'
    this.#windowAtMs = performance.now()
    setTimeout(() => this.#endWindow(), this.#job.seconds * 1000)
  }

  #endWindow(): void {
    this.#windowMs = performance.now() - this.#windowAtMs
    this.#phase = 'tail'
    const tail = setTimeout(() => this.#finish(), TAIL_MS_MAX)
    tail.unref()
    for (const connection of this.#connections) connection.endWhenIdle()
  }

  #finish(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    if (this.#openConnections > 0) this.error(`${this.#openConnections} responses never ended`)
    for (const connection of this.#connections) connection.destroy()
    const sorted = latenciesMs.subarray(0, Math.min(this.#responses, LATENCIES_MAX)).sort()
    const quantile = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0
    this.#done({
      requestsPerSecond: (this.#responses / this.#windowMs) * 1000,
      chunksPerSecond: (this.#chunks / this.#windowMs) * 1000,
      errors: this.#errors,
      firstError: this.#firstError,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
      requestsTotal: this.#responsesTotal,
      chunksTotal: this.#chunksTotal,
      wallMs: performance.now() - this.#startedAtMs,
    })
  }
}

/** One keep-alive connection with at most one request under way. */
class Connection {
  readonly #run: Run
  readonly #port: number
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  #reader: ResponseReader
  #socket: Socket
  #sentAtMs = 0
  #isWaiting = false
  #hasEnded = false

  constructor(run: Run, port: number) {
    this.#run = run
    this.#port = port
    this.#reader = this.#newReader()
    this.#socket = this.#open()
  }

  endWhenIdle(): void {
    if (!this.#isWaiting) this.#end()
  }

  destroy(): void {
    this.#hasEnded = true
    this.#socket.destroy()
  }

  #open(): Socket {
    const onread = {
      buffer: this.#buffer,
      callback: (length: number) => {
        this.#reader.push(this.#buffer, length)
        return true
      },
    }
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true, onread }, () => this.#send())
    let fault = 'closed by the server'
    socket.on('error', (error) => {
      fault = error.message
    })
    socket.on('close', () => this.#onClose(socket, fault))
    return socket
  }

  #newReader(): ResponseReader {
    return new ResponseReader({
      onEvents: (count) => this.#run.chunks(count),
      onResponse: (summary) => this.#onResponse(summary),
      onProtocolError: (message) => {
        this.#run.error(message)
        this.#isWaiting = false
        this.#socket.destroy()
      },
    })
  }

  #send(): void {
    this.#isWaiting = true
    this.#sentAtMs = performance.now()
    this.#socket.write(this.#run.request)
  }

  #onResponse(summary: ResponseSummary): void {
    this.#isWaiting = false
    const { status, events, hasEndMark } = summary
    if (status !== 200) this.#run.error(`status ${status}: ${this.#reader.sample}`)
    else if (this.#run.isStreaming && !(events === EVENTS_PER_STREAM && hasEndMark))
      this.#run.error(`a stream of ${events} events ${hasEndMark ? 'with' : 'without'} [DONE]`)
    else this.#run.response(this.#sentAtMs)
    if (this.#run.isTaking) this.#send()
    else this.#end()
  }

  #onClose(socket: Socket, fault: string): void {
    if (this.#hasEnded || socket !== this.#socket) return
    if (this.#isWaiting || socket.connecting || fault !== 'closed by the server') this.#run.error(fault)
    this.#isWaiting = false
    if (this.#run.isTaking) setTimeout(() => this.#reopen(), REOPEN_MS)
    else this.#end()
  }

  #reopen(): void {
    if (this.#run.isTaking) {
      this.#reader = this.#newReader()
      this.#socket = this.#open()
    } else this.#end()
  }

  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#socket.end()
    this.#run.connectionEnded()
  }
}

answerLines((job) => new Promise<LoadResult>((resolve) => new Run(job as LoadJob, resolve)))
