// The OpenAI shape of an error: body and headers.

import { ERRORS, type GatewayError } from '#core/errors.ts'

export function errorBody(error: GatewayError): string {
  const { type } = ERRORS[error.code]
  return JSON.stringify({ error: { message: error.message, type, param: error.param, code: error.code } })
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
