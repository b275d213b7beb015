// An upstream on loopback whose every byte is scripted: status, headers, chunks with gaps, and how it ends. It
// speaks HTTP by hand, so that it can also speak it wrongly.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** The body as it came. */
  readonly body: string
  readonly json: Record<string, unknown>
  readonly atMs: number
  /** The gateway closed the connection before the answer was over. */
  readonly aborted: boolean
  /** Settles when it did. */
  readonly whenAborted: Promise<void>
}

/** A text to write, a pause in ms, or something to wait for. */
export type Step = string | Uint8Array | number | (() => Promise<unknown>)

export interface ScriptedAnswer {
  readonly status?: number
  /** Over the defaults; an empty value leaves the default out. */
  readonly headers?: Readonly<Record<string, string>>
  readonly steps?: readonly Step[]
  /** `chunked`: each text is a chunk. `length`: content-length is that of all texts. `close`: neither. */
  readonly framing?: 'chunked' | 'length' | 'close'
  /** `end`: as the framing has it. `fin` and `reset`: the connection goes without that. `hang`: nothing more comes. */
  readonly ending?: 'end' | 'fin' | 'reset' | 'hang'
  /** Written instead of a status line and headers. */
  readonly head?: string
}

export type Script = (request: SeenRequest, count: number) => ScriptedAnswer | Promise<ScriptedAnswer>

export interface RawUpstream {
  readonly port: number
  /** With `/v1`, as in a provider's `base_url`. */
  readonly baseUrl: string
  readonly requests: readonly SeenRequest[]
  /** Connections that are open now. */
  readonly connections: () => number
  /** Bytes that the kernel and Node have taken so far. */
  readonly bytesWritten: () => number
  /** Answers from now on. */
  script(script: Script | ScriptedAnswer): void
  close(): Promise<void>
}

const CRLF = '\r\n'
const HEAD_END = '\r\n\r\n'

export async function startRawUpstream(first: Script | ScriptedAnswer = {}): Promise<RawUpstream> {
  let script = toScript(first)
  const requests: SeenRequest[] = []
  const sockets = new Set<Socket>()
  let written = 0
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    // Without it each answer in two writes would wait for the other side's delayed acknowledgement.
    socket.setNoDelay(true)
    serve(
      socket,
      (request) => {
        requests.push(request)
        return script(request, requests.length)
      },
      (bytes) => {
        written += bytes
      },
    )
  })
  const port = await listen(server)
  return {
    port,
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    connections: () => sockets.size,
    bytesWritten: () => written,
    script(next) {
      script = toScript(next)
    },
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

/** A port where connections are neither taken nor refused: its process is stopped and its queue is full. */
export async function startBlackHole(): Promise<{ readonly port: number; close(): void }> {
  const program =
    "require('net').createServer().listen({port:0,host:'127.0.0.1',backlog:1},function(){console.log(this.address().port)})"
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const killWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', killWithUs)
  const port = await new Promise<number>((resolve) =>
    child.stdout.once('data', (data) => resolve(Number(data))),
  )
  child.kill('SIGSTOP')
  const queued = Array.from({ length: 8 }, () =>
    connect({ host: '127.0.0.1', port }).on('error', () => undefined),
  )
  await once(queued[0] as Socket, 'connect')
  return {
    port,
    close() {
      for (const socket of queued) socket.destroy()
      process.removeListener('exit', killWithUs)
      child.kill('SIGKILL')
    },
  }
}

function toScript(script: Script | ScriptedAnswer): Script {
  return typeof script === 'function' ? script : () => script
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

type Answerer = (request: SeenRequest) => ScriptedAnswer | Promise<ScriptedAnswer>

/** Reads requests off one connection, one after the other, and answers them. */
function serve(socket: Socket, answer: Answerer, count: (bytes: number) => void): void {
  let held = Buffer.alloc(0)
  let busy = false
  const look = (): void => {
    if (busy) return
    const taken = takeRequest(held)
    if (taken === null) return
    held = held.subarray(taken.length)
    busy = true
    void respond(socket, taken, answer, count).then((goesOn) => {
      busy = false
      if (goesOn) look()
    })
  }
  socket.on('data', (data) => {
    held = Buffer.concat([held, data])
    look()
  })
}

interface Taken {
  readonly length: number
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
}

function takeRequest(bytes: Buffer): Taken | null {
  const headLength = bytes.indexOf(HEAD_END)
  if (headLength === -1) return null
  const [line = '', ...fields] = bytes.subarray(0, headLength).toString('latin1').split(CRLF)
  const headers: Record<string, string> = {}
  for (const field of fields) {
    const colon = field.indexOf(':')
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim()
  }
  const from = headLength + HEAD_END.length
  const to = from + Number(headers['content-length'] ?? 0)
  if (bytes.length < to) return null
  const [method = '', path = ''] = line.split(' ')
  return { length: to, method, path, headers, body: bytes.subarray(from, to).toString('utf8') }
}

async function respond(
  socket: Socket,
  taken: Taken,
  answer: Answerer,
  count: (bytes: number) => void,
): Promise<boolean> {
  let over = false
  let aborted = false
  const { promise, resolve } = Promise.withResolvers<void>()
  const onClose = (): void => {
    if (over) return
    aborted = true
    resolve()
  }
  socket.once('close', onClose)
  const script = await answer({
    ...taken,
    get json() {
      return JSON.parse(taken.body) as Record<string, unknown>
    },
    get aborted() {
      return aborted
    },
    whenAborted: promise,
    atMs: performance.now(),
  })
  await write(socket, headOf(script), count)
  for (const step of script.steps ?? []) {
    if (socket.destroyed) return false
    if (typeof step === 'number') await wait(step)
    else if (typeof step === 'function') await step()
    else await write(socket, frame(step, script), count)
  }
  if (script.ending === 'hang') return false
  over = true
  socket.off('close', onClose)
  return finish(socket, script, count)
}

async function finish(
  socket: Socket,
  script: ScriptedAnswer,
  count: (bytes: number) => void,
): Promise<boolean> {
  if (script.ending === 'reset') {
    socket.resetAndDestroy()
    return false
  }
  if (script.ending === 'fin' || script.framing === 'close') {
    socket.end()
    return false
  }
  if (isChunked(script)) await write(socket, '0\r\n\r\n', count)
  return true
}

/** A reader that does not read stops the writer, as with any honest server. */
function write(socket: Socket, bytes: string | Uint8Array, count: (bytes: number) => void): Promise<void> {
  if (socket.destroyed || bytes.length === 0) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('close', done)
      resolve()
    }
    socket.once('close', done)
    socket.write(bytes, () => {
      count(bytes.length)
      done()
    })
  })
}

const isChunked = (script: ScriptedAnswer): boolean => (script.framing ?? 'chunked') === 'chunked'

function headOf(script: ScriptedAnswer): string {
  if (script.head !== undefined) return script.head
  const texts = (script.steps ?? []).filter((step) => typeof step === 'string' || step instanceof Uint8Array)
  const length = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const headers: Record<string, string> = {
    'content-type': 'text/event-stream; charset=utf-8',
    ...(isChunked(script) ? { 'transfer-encoding': 'chunked' } : {}),
    ...(script.framing === 'length' ? { 'content-length': String(length) } : {}),
    ...script.headers,
  }
  const lines = Object.entries(headers)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${script.status ?? 200} Scripted\r\n${lines.join('')}\r\n`
}

function frame(step: string | Uint8Array, script: ScriptedAnswer): string | Uint8Array {
  if (!isChunked(script)) return step
  const size = Buffer.byteLength(step).toString(16)
  return Buffer.concat([Buffer.from(`${size}\r\n`), Buffer.from(step as Uint8Array), Buffer.from(CRLF)])
}
