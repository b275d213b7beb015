// The OpenAI shape of an error: body and headers.

import { ERRORS, type GatewayError } from '#core/errors.ts'

export function errorBody(error: GatewayError): string {
  const { type } = ERRORS[error.code]
  const { message, param, code, problems } = error
  const said = problems.length === 0 ? {} : { problems }
  return JSON.stringify({ error: { message, type, param, code, ...said } })
}

export function errorHeaders(error: GatewayError): Record<string, string> {
  return {
    'content-type': 'application/json',
    'x-should-retry': String(error.shouldRetry),
    ...(error.retryAfterMs === null
      ? {}
      : { 'retry-after': String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))) }),
  }
}
