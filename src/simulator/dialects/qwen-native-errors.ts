// Errors of DashScope's native API: flat bodies, and events named error within a 200.
// https://help.aliyun.com/zh/model-studio/error-code; the event is the one quoted in higress's qwen.go.

import type { About, Desk, Frame, Refusal, RefusalKind, Reply } from './dialect.ts'

interface Row {
  readonly status: number
  readonly code: string
  readonly message: string
}

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: { status: 401, code: 'InvalidApiKey', message: 'Invalid API-key provided.' },
  rate_limit: {
    status: 429,
    code: 'Throttling.RateQuota',
    message: 'Requests rate limit exceeded, please try again later.',
  },
  quota: {
    status: 400,
    code: 'Arrearage',
    message: 'Access denied, please make sure your account is in good standing.',
  },
  overloaded: {
    status: 503,
    code: 'ModelServingError',
    message:
      'Too many requests. Your requests are being throttled due to system capacity limits. Please try again later.',
  },
  context_length: { status: 400, code: 'InvalidParameter', message: '' },
  moderation: {
    status: 400,
    code: 'DataInspectionFailed',
    message: 'Input data may contain inappropriate content.',
  },
  moderation_output: {
    status: 400,
    code: 'DataInspectionFailed',
    message: 'Output data may contain inappropriate content.',
  },
  model_unavailable: { status: 404, code: 'ModelNotFound', message: 'Model not exist.' },
  server: {
    status: 500,
    code: 'InternalError',
    message: 'An internal error has occured, please try again later or contact service support.',
  },
  invalid_request: { status: 400, code: 'InvalidParameter', message: 'The request is not valid.' },
}

function errorOf(refusal: Refusal, about: About): { readonly status: number; readonly body: object } {
  const row = ERRORS[refusal.kind]
  const tooLong = `Range of input length should be [1, ${(refusal.tokens?.max ?? 131_073) - 1}]`
  const isTokens = refusal.limit === 'tokens'
  const code = isTokens ? 'Throttling.AllocationQuota' : row.code
  const quota = 'Allocated quota exceeded, please increase your quota limit.'
  const message =
    refusal.message ?? (refusal.kind === 'context_length' ? tooLong : isTokens ? quota : row.message)
  return { status: row.status, body: { code: refusal.code ?? code, message, request_id: about.requestId } }
}

export function errorEvent(refusal: Refusal, about: About): Frame {
  const { status, body } = errorOf(refusal, about)
  const data = JSON.stringify(body)
  return { text: `event:error\n:HTTP_STATUS/${status}\ndata:${data}\n\n`, part: 'content' }
}

/** A 400 to a stream request is an event within a 200. */
export function refuseNative(refusal: Refusal, about: About, desk: Desk): Reply {
  const { status, body } = errorOf(refusal, about)
  const headers = { 'x-request-id': about.requestId }
  const isStreaming = about.incoming.headers['x-dashscope-sse'] === 'enable'
  if (isStreaming && status === 400 && desk.options.sseErrors !== false) {
    return {
      status: 200,
      headers: { 'content-type': 'text/event-stream;charset=UTF-8', ...headers },
      body: errorEvent(refusal, about).text,
    }
  }
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }
}
