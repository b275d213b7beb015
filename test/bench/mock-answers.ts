// The mock upstream's answers as bytes, made once. The shapes are Doubao's (Ark) for chat completions.

/** Of an unstreamed answer's body. */
const ANSWER_BYTES = 1200
/** Of one streamed event, `data: ` and the blank line included. */
const EVENT_BYTES = 220
const CONTENT_CHUNKS = 100

/** Events of a stream whose usage was asked for: content, finish, usage, `[DONE]`. */
export const EVENTS_PER_STREAM = CONTENT_CHUNKS + 3

const ID = '0217657130484819c6f2a7'
const CREATED_SECONDS = 1765713048
const MODEL = 'mock-model'
const USAGE = {
  completion_tokens: 100,
  prompt_tokens: 250,
  total_tokens: 350,
  prompt_tokens_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
}

/** A whole response with `content-length`. */
export function unstreamedAnswer(): Buffer {
  const encode = (content: string): string =>
    JSON.stringify({
      choices: [{ finish_reason: 'stop', index: 0, logprobs: null, message: { content, role: 'assistant' } }],
      created: CREATED_SECONDS,
      id: ID,
      model: MODEL,
      service_tier: 'default',
      object: 'chat.completion',
      usage: USAGE,
    })
  const body = encode(words(ANSWER_BYTES - encode('').length))
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\nx-request-id: ${ID}\r\ncontent-length: ${body.length}\r\n\r\n`
  return Buffer.from(head + body, 'latin1')
}

/** The writes of one streamed response: the head, then one HTTP chunk per event. */
export function streamedAnswer(withUsage: boolean): readonly Buffer[] {
  const head = `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: ${ID}\r\ntransfer-encoding: chunked\r\n\r\n`
  const room = EVENT_BYTES - contentEvent('').length
  const contents = Array.from({ length: CONTENT_CHUNKS }, (_, index) =>
    httpChunk(contentEvent(words(room, index))),
  )
  const finish = event([{ delta: { content: '', role: 'assistant' }, finish_reason: 'stop', index: 0 }], null)
  return [
    Buffer.from(head, 'latin1'),
    ...contents,
    httpChunk(finish),
    ...(withUsage ? [httpChunk(event([], USAGE))] : []),
    Buffer.concat([httpChunk('data: [DONE]\n\n'), Buffer.from('0\r\n\r\n', 'latin1')]),
  ]
}

function contentEvent(content: string): string {
  return event([{ delta: { content, role: 'assistant' }, index: 0 }], null)
}

function event(choices: readonly unknown[], usage: typeof USAGE | null): string {
  const chunk = {
    choices,
    created: CREATED_SECONDS,
    id: ID,
    model: MODEL,
    service_tier: 'default',
    object: 'chat.completion.chunk',
    usage,
  }
  return `data: ${JSON.stringify(chunk)}\n\n`
}

function httpChunk(text: string): Buffer {
  return Buffer.from(`${text.length.toString(16)}\r\n${text}\r\n`, 'latin1')
}

/** ASCII text of exactly `length` characters, so that bytes and characters agree. */
function words(length: number, offset = 0): string {
  const source = 'the quick brown fox jumps over the lazy dog and back again '
  return source.repeat(Math.ceil((length + offset) / source.length) + 1).slice(offset, offset + length)
}
