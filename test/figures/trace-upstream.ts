// The upstream of trace.ts: it answers each request with the number of tokens that the request's `user` names as
// IN-OUT, and keeps a sum of what it has answered. One process; it prints `{"port":N}` and tells the sums to each line.

import { createServer } from 'node:http'
import { answerLines, writeLine } from '../bench/line-protocol.ts'

const USER = /"user":"(\d+)-(\d+)"/
/** `user` stands before the messages. */
const EDGE_BYTES = 256

const sums = { answers: 0, inputTokens: 0, outputTokens: 0 }

const server = createServer((request, response) => {
  let edge = ''
  request.on('data', (chunk: Buffer) => {
    if (edge.length < EDGE_BYTES) edge += chunk.toString('latin1', 0, EDGE_BYTES)
  })
  request.on('end', () => {
    const [, input = '0', output = '0'] = USER.exec(edge) ?? []
    sums.answers++
    sums.inputTokens += Number(input)
    sums.outputTokens += Number(output)
    const usage = `{"prompt_tokens":${input},"completion_tokens":${output},"total_tokens":${Number(input) + Number(output)}}`
    const body = `{"id":"t-${sums.answers}","object":"chat.completion","created":1790000000,"model":"mock-model","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":${usage}}`
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'x-request-id': `t-${sums.answers}`,
    })
    response.end(body)
  })
})
server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  writeLine({ port: typeof address === 'object' ? address?.port : null })
  answerLines(() => sums)
})
