// Errors of DashScope's compatible mode.
// https://help.aliyun.com/zh/model-studio/error-code; bodies and codes as captured by clients.

import type { About, Desk, Refusal, RefusalKind, Reply } from './dialect.ts'
import type { Fields } from './openai-body.ts'

export const STREAM_TYPE = 'text/event-stream;charset=UTF-8'
export const JSON_TYPE = 'application/json'

interface Row {
  readonly status: number
  readonly code: string
  readonly type?: string
  readonly message: string
}

const THROTTLED =
  '<503> InternalError.Algo: An error occurred in model serving, error message is: [Too many requests. Your requests are being throttled due to system capacity limits. Please try again later.]'

const ERRORS: Readonly<Record<RefusalKind, Row>> = {
  auth: {
    status: 401,
    code: 'invalid_api_key',
    type: 'invalid_request_error',
    message: 'Incorrect API key provided. ',
  },
  rate_limit: { status: 429, code: 'limit_requests', message: 'You exceeded your current requests list.' },
  quota: {
    status: 400,
    code: 'Arrearage',
    message: 'Access denied, please make sure your account is in good standing.',
  },
  overloaded: { status: 503, code: 'ServiceUnavailable', message: THROTTLED },
  context_length: {
    status: 400,
    code: 'invalid_parameter_error',
    type: 'invalid_request_error',
    message: '',
  },
  moderation: {
    status: 400,
    code: 'data_inspection_failed',
    message: 'Input text data may contain inappropriate content.',
  },
  moderation_output: {
    status: 400,
    code: 'data_inspection_failed',
    message: 'Output data may contain inappropriate content.',
  },
  model_unavailable: { status: 404, code: 'model_not_found', type: 'invalid_request_error', message: '' },
  server: {
    status: 500,
    code: 'internal_error',
    message: 'An internal error has occured, please try again later.',
  },
  invalid_request: {
    status: 400,
    code: 'invalid_parameter_error',
    type: 'invalid_request_error',
    message: 'The request is not valid.',
  },
}

const LIMITS: Readonly<Record<string, Row>> = {
  requests: ERRORS.rate_limit,
  // Tokens per minute, whatever the word says.
  tokens: {
    status: 429,
    code: 'insufficient_quota',
    message: 'You exceeded your current quota, please check your plan and billing details.',
  },
  concurrency: {
    status: 429,
    code: 'limit_burst_rate',
    message:
      'Request rate increased too quickly. To ensure system stability, please adjust your client logic to scale requests more smoothly over time.',
  },
}

export function errorOf(refusal: Refusal): { readonly status: number; readonly error: object } {
  const row = (refusal.limit === undefined ? undefined : LIMITS[refusal.limit]) ?? ERRORS[refusal.kind]
  const texts: Partial<Record<RefusalKind, string>> = {
    context_length: `<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, ${(refusal.tokens?.max ?? 131_073) - 1}]`,
    model_unavailable: `The model \`${refusal.model ?? ''}\` does not exist or you do not have access to it.`,
  }
  const isInvalid = refusal.kind === 'invalid_request' && refusal.message !== undefined
  const told = isInvalid
    ? `<400> InternalError.Algo.InvalidParameter: ${refusal.message}`
    : texts[refusal.kind]
  return {
    status: row.status,
    error: {
      code: refusal.code ?? row.code,
      param: null,
      message: told ?? row.message,
      type: row.type ?? row.code,
    },
  }
}

/** A 400 to a stream request is framed as an event. */
export function refuse(refusal: Refusal, about: About, desk: Desk): Reply {
  const { status, error } = errorOf(refusal)
  const headers = { 'x-request-id': about.requestId }
  const isStreaming = (about.incoming.body as Fields | null | undefined)?.['stream'] === true
  if (isStreaming && status === 400 && desk.options.sseErrors !== false) {
    return {
      status,
      headers: { 'content-type': STREAM_TYPE, ...headers },
      body: `data: ${JSON.stringify({ error })}\n\n`,
    }
  }
  return {
    status,
    headers: { 'content-type': JSON_TYPE, ...headers },
    body: JSON.stringify({ error, request_id: about.requestId }),
  }
}
