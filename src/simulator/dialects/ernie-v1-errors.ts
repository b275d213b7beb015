// Errors of Baidu's old API: HTTP 200 and a flat body; and the headers of all its answers.
// https://ai.baidu.com/ai-doc/WENXINWORKSHOP/tlmyncueh; headers as captured in lobehub#4522.

import type { About, Refusal, RefusalKind, Reply } from './dialect.ts'

export const JSON_TYPE = 'application/json; charset=utf-8'

const ERRORS: Readonly<Record<RefusalKind, readonly [number, string]>> = {
  auth: [110, 'Access token invalid or no longer valid'],
  rate_limit: [336_501, 'Rate limit reached for RPM'],
  quota: [17, 'Open api daily request limit reached'],
  overloaded: [336_100, 'try again later'],
  context_length: [336_103, 'Prompt tokens too long'],
  moderation: [336_104, 'the content of system field is invalid'],
  moderation_output: [336_104, 'the content of the answer is invalid'],
  model_unavailable: [3, 'Unsupported openapi method'],
  server: [336_000, 'Internal error'],
  invalid_request: [336_003, 'the parameter is invalid'],
}

const LIMITS = {
  requests: ERRORS.rate_limit,
  tokens: [336_502, 'Rate limit reached for TPM'],
  concurrency: [18, 'Open api qps request limit reached'],
} as const

export function bodyOf(refusal: Refusal, about: About): object {
  const [code, message] = refusal.limit === undefined ? ERRORS[refusal.kind] : LIMITS[refusal.limit]
  const error_code = refusal.code === undefined ? code : Number(refusal.code)
  const isAtDoor = error_code < 300
  return { error_code, error_msg: refusal.message ?? message, ...(isAtDoor ? {} : { id: about.requestId }) }
}

/** Errors are HTTP 200, and JSON on stream requests too. */
export function refuse(refusal: Refusal, about: About): Reply {
  const told = `eb_total_tokens:0,prompt_tokens:0,id:${about.requestId}`
  const reply = flat(bodyOf(refusal, about))
  return { ...reply, headers: { ...reply.headers, ...headersOf(about), 'x-aipe-self-def': told } }
}

export function headersOf(about: About): Readonly<Record<string, string>> {
  return {
    server: 'Apache',
    appid: '115401378',
    p3p: 'CP=" OTI DSP COR IVA OUR IND COM "',
    'set-cookie': `BAIDUID=${about.requestId.slice(3).toUpperCase()}:FG=1; path=/; domain=.baidubce.com`,
    'x-baidu-request-id': about.requestId,
    'x-openapi-server-timestamp': String(about.createdSeconds),
  }
}

export function flat(body: object): Reply {
  return json(200, body)
}

export function json(status: number, body: object): Reply {
  return { status, headers: { 'content-type': JSON_TYPE }, body: JSON.stringify(body) }
}
