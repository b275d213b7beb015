// Ways in which an upstream fails before any content, and what becomes of each: status and code for the client,
// outcome and HTTP status for the ledger.

import { gzipSync } from 'node:zlib'
import { answerText, errorAnswer, JSON_HEADERS, ROLE_EVENT } from '../support/chat-bytes.ts'
import { UPSTREAM_KEY } from '../support/gateway-config.ts'
import type { ScriptedAnswer } from '../support/raw-upstream.ts'

const MB = 1024 * 1024
/** What an upstream may say of itself and a client must never read. */
const STACK =
  'Error: boom\n    at handler (/srv/inference/app.js:10:5)\n    at node:internal/process/task_queues:95:5'

export interface Fault {
  readonly name: string
  readonly answer: ScriptedAnswer | 'refused'
  readonly status: number
  readonly code: string
  /** Of the attempt's row. */
  readonly outcome: string
  readonly httpStatus: number
  readonly retryAfter?: string
  readonly shouldRetry?: string
  /** The next target is not asked. */
  readonly stops?: true
}

const html = (status: number): ScriptedAnswer => ({
  status,
  headers: { 'content-type': 'text/html', server: 'nginx-canary' },
  framing: 'length',
  steps: [`<html><head><title>${status}</title></head><body>proxy at ${STACK}</body></html>`],
})

const whole = (text: string, headers = {}): ScriptedAnswer => ({
  headers: { ...JSON_HEADERS, ...headers },
  framing: 'length',
  steps: [text],
})

export const FAULTS: readonly Fault[] = [
  {
    name: 'refuses the connection',
    answer: 'refused',
    status: 502,
    code: 'upstream_error',
    outcome: 'connection',
    httpStatus: 0,
  },
  {
    name: 'never answers',
    answer: { head: '', ending: 'hang' },
    status: 504,
    code: 'upstream_timeout',
    outcome: 'timeout',
    httpStatus: 0,
  },
  {
    name: 'sends a head and nothing more',
    answer: { ending: 'hang' },
    status: 504,
    code: 'upstream_timeout',
    outcome: 'timeout',
    httpStatus: 200,
  },
  {
    name: 'closes before its head',
    answer: { head: '', ending: 'fin' },
    status: 502,
    code: 'upstream_error',
    outcome: 'connection',
    httpStatus: 0,
  },
  {
    name: 'resets before its head',
    answer: { head: '', ending: 'reset' },
    status: 502,
    code: 'upstream_error',
    outcome: 'connection',
    httpStatus: 0,
  },
  {
    name: 'closes behind its head',
    answer: { ending: 'fin' },
    status: 502,
    code: 'upstream_truncated',
    outcome: 'truncated',
    httpStatus: 200,
  },
  {
    name: 'says half of its head',
    answer: { head: 'HTTP/1.1 200 OK\r\ncontent-ty', ending: 'fin' },
    status: 502,
    code: 'upstream_error',
    outcome: 'connection',
    httpStatus: 0,
  },
  {
    name: 'speaks no HTTP',
    answer: { head: 'SSH-2.0-OpenSSH_9.2\r\n', ending: 'hang' },
    status: 502,
    code: 'upstream_protocol',
    outcome: 'protocol',
    httpStatus: 0,
  },
  {
    name: 'sends JSON that breaks off',
    answer: whole(answerText('x', null).slice(0, 60)),
    status: 502,
    code: 'upstream_protocol',
    outcome: 'protocol',
    httpStatus: 200,
  },
  {
    name: 'sends an empty answer',
    answer: whole(''),
    status: 502,
    code: 'upstream_protocol',
    outcome: 'protocol',
    httpStatus: 200,
  },
  {
    name: 'sends JSON of another kind',
    answer: whole('{"object":"list","data":[]}'),
    status: 502,
    code: 'upstream_protocol',
    outcome: 'protocol',
    httpStatus: 200,
  },
  {
    name: 'sends a web page as its answer',
    answer: html(200),
    status: 502,
    code: 'upstream_protocol',
    outcome: 'protocol',
    httpStatus: 200,
  },
  {
    name: 'sends a web page as its error',
    answer: html(502),
    status: 502,
    code: 'upstream_error',
    outcome: 'server',
    httpStatus: 502,
  },
  {
    name: 'sends less than its content-length',
    answer: { headers: { ...JSON_HEADERS, 'content-length': '5000' }, framing: 'close', steps: ['{"id":'] },
    status: 502,
    code: 'upstream_truncated',
    outcome: 'truncated',
    httpStatus: 200,
  },
  {
    name: 'has a content-length that is no number',
    answer: { headers: { ...JSON_HEADERS, 'content-length': 'many' }, framing: 'close', steps: ['{}'] },
    status: 502,
    code: 'upstream_protocol',
    outcome: 'protocol',
    httpStatus: 0,
  },
  {
    name: 'compresses unasked',
    answer: {
      headers: { ...JSON_HEADERS, 'content-encoding': 'gzip' },
      steps: [gzipSync(answerText('x', null))],
    },
    status: 502,
    code: 'upstream_protocol',
    outcome: 'protocol',
    httpStatus: 200,
  },
  {
    name: 'says an error under 200',
    answer: whole(JSON.stringify({ error: { message: STACK, type: 'server_error', code: 'internal' } })),
    status: 502,
    code: 'upstream_error',
    outcome: 'server',
    httpStatus: 200,
  },
  {
    name: 'says a rate limit under 200',
    answer: whole(
      JSON.stringify({ error: { message: 'slow down', type: 'x', code: 'rate_limit_exceeded' } }),
    ),
    status: 429,
    code: 'upstream_rate_limited',
    outcome: 'rate_limit',
    httpStatus: 200,
  },
  {
    name: 'sends an error body without end',
    answer: {
      status: 500,
      headers: { 'content-type': 'text/plain' },
      steps: ['e'.repeat(MB), 'e'.repeat(MB)],
      ending: 'hang',
    },
    status: 502,
    code: 'upstream_error',
    outcome: 'server',
    httpStatus: 500,
  },
  {
    name: 'sends us elsewhere',
    answer: { status: 302, headers: { location: 'http://127.0.0.1:9/elsewhere' }, framing: 'length' },
    status: 502,
    code: 'upstream_protocol',
    outcome: 'protocol',
    httpStatus: 302,
  },
  {
    name: 'refuses our key',
    answer: errorAnswer(401, {
      message: `Incorrect API key provided: ${UPSTREAM_KEY}`,
      code: 'invalid_api_key',
    }),
    status: 502,
    code: 'upstream_auth',
    outcome: 'auth',
    httpStatus: 401,
    shouldRetry: 'false',
  },
  {
    name: 'has no quota left for us',
    answer: errorAnswer(429, {
      message: 'You exceeded your current quota',
      type: 'insufficient_quota',
      code: 'insufficient_quota',
    }),
    status: 502,
    code: 'upstream_error',
    outcome: 'quota',
    httpStatus: 429,
    shouldRetry: 'false',
  },
  {
    name: 'does not know the model',
    answer: errorAnswer(404, { message: 'The model does not exist', code: 'model_not_found' }),
    status: 502,
    code: 'upstream_error',
    outcome: 'model_unavailable',
    httpStatus: 404,
    shouldRetry: 'false',
  },
  {
    name: 'limits our rate',
    answer: errorAnswer(
      429,
      { message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' },
      { 'retry-after': '7' },
    ),
    status: 429,
    code: 'upstream_rate_limited',
    outcome: 'rate_limit',
    httpStatus: 429,
    retryAfter: '7',
    shouldRetry: 'true',
  },
  {
    name: 'is overloaded',
    answer: errorAnswer(503, { message: 'overloaded', type: 'server_error' }, { 'retry-after': '2' }),
    status: 503,
    code: 'overloaded',
    outcome: 'overloaded',
    httpStatus: 503,
    retryAfter: '2',
    shouldRetry: 'true',
  },
  {
    name: 'refuses the request itself',
    answer: errorAnswer(400, {
      message: `temperature must be below 2 (${STACK})`,
      type: 'invalid_request_error',
      code: 'bad_value',
    }),
    status: 400,
    code: 'invalid_request',
    outcome: 'invalid_request',
    httpStatus: 400,
    shouldRetry: 'false',
    stops: true,
  },
  {
    name: 'filters the content',
    answer: errorAnswer(400, { message: 'flagged by our policy', code: 'content_filter' }),
    status: 400,
    code: 'content_filter',
    outcome: 'moderation',
    httpStatus: 400,
    shouldRetry: 'false',
    stops: true,
  },
  {
    name: 'finds the request too long',
    answer: errorAnswer(400, {
      message: "This model's maximum context length is 10 tokens",
      code: 'context_length_exceeded',
    }),
    status: 400,
    code: 'context_length_exceeded',
    outcome: 'context_length',
    httpStatus: 400,
    shouldRetry: 'false',
  },
]

/** Faults that only a stream can have. */
export const STREAM_FAULTS: readonly Fault[] = [
  {
    name: 'says its role and stalls',
    answer: { steps: [ROLE_EVENT], ending: 'hang' },
    status: 504,
    code: 'upstream_timeout',
    outcome: 'timeout',
    httpStatus: 200,
  },
  {
    name: 'says its role and closes',
    answer: { steps: [ROLE_EVENT], framing: 'close' },
    status: 502,
    code: 'upstream_truncated',
    outcome: 'truncated',
    httpStatus: 200,
  },
  {
    name: 'begins with an error event',
    answer: {
      steps: [`data: {"error":{"message":"${UPSTREAM_KEY}","type":"server_error"}}\n\n`],
      ending: 'hang',
    },
    status: 502,
    code: 'upstream_error',
    outcome: 'server',
    httpStatus: 200,
  },
  {
    name: 'begins with an event named error',
    answer: { steps: ['event: error\ndata: {"message":"engine died"}\n\n'], ending: 'hang' },
    status: 502,
    code: 'upstream_error',
    outcome: 'server',
    httpStatus: 200,
  },
  {
    name: 'sends nothing but garbage',
    answer: { steps: ['data: not json\n\n', 'data: [1,2]\n\n', 'rubbish\n\n'] },
    status: 502,
    code: 'upstream_truncated',
    outcome: 'truncated',
    httpStatus: 200,
  },
  {
    name: 'sends nothing but [DONE]',
    answer: { steps: ['data: [DONE]\n\n'] },
    status: 502,
    code: 'upstream_truncated',
    outcome: 'truncated',
    httpStatus: 200,
  },
  {
    name: 'sends an event without end',
    answer: { steps: Array.from({ length: 6 }, () => `data: {"x":"${'y'.repeat(MB)}`), ending: 'hang' },
    status: 502,
    code: 'upstream_protocol',
    outcome: 'protocol',
    httpStatus: 200,
  },
  {
    name: 'sends comments for ever',
    answer: { steps: Array.from({ length: 80 }, () => [': ping\n\n', 50]).flat(), ending: 'hang' },
    status: 504,
    code: 'upstream_timeout',
    outcome: 'timeout',
    httpStatus: 200,
  },
]
