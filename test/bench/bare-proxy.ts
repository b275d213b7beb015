// The base line: what a proxy on Node costs that does nothing but carry. A node:http server and undici's
// dispatch into the native response; it honours backpressure and the client's going away, and parses nothing.
// usage: node bare-proxy.ts UPSTREAM_PORT

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Pool } from 'undici'
import { answerLines, writeLine } from './line-protocol.ts'

/** Headers of one connection only, or set anew by the other side. */
const HOP_HEADERS = new Set(['host', 'connection', 'keep-alive', 'transfer-encoding', 'content-length'])

const pool = new Pool(`http://127.0.0.1:${Number(process.argv[2])}`, {
  headersTimeout: 0,
  bodyTimeout: 0,
  keepAliveTimeout: 60_000,
  pipelining: 1,
})

function forward(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const headers: string[] = []
  const raw = request.rawHeaders
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    if (!HOP_HEADERS.has(name.toLowerCase())) headers.push(name, raw[index + 1] ?? '')
  }
  pool.dispatch(
    { path: request.url ?? '/', method: request.method ?? 'GET', headers, body },
    {
      onRequestStart(controller) {
        response.on('drain', () => controller.resume())
        response.on('close', () => {
          if (!response.writableFinished) controller.abort(new Error('the client has gone'))
        })
      },
      onResponseStart(_controller, status, answered) {
        delete answered['connection']
        delete answered['keep-alive']
        delete answered['transfer-encoding']
        response.writeHead(status, answered)
      },
      onResponseData(controller, chunk) {
        if (!response.write(chunk)) controller.pause()
      },
      onResponseEnd() {
        response.end()
      },
      onResponseError(_controller, error) {
        if (response.headersSent) response.destroy(error)
        else response.writeHead(502).end(error.message)
      },
    },
  )
}

const server = createServer((request, response) => {
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => {
    const [first] = pieces
    forward(request, response, pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces))
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  writeLine({ port: typeof address === 'object' ? address?.port : null })
  answerLines(() => ({}))
})
