// Bodies of the admin API: read whole within a bound, as UTF-8, and as a JSON object.

import type { Context } from 'hono'
import { GatewayError } from '#core/errors.ts'
import { ADMIN_BODY_BYTES_MAX } from '#core/limits.ts'
import { invalid } from '#settings/stored-keys.ts'

/** Hono's own limit makes a web request anew, which the one of Node's adapter does not survive. @throws GatewayError */
export async function readBytes(context: Context, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = (): GatewayError =>
    new GatewayError('request_too_large', `the body is larger than ${bytesMax} bytes`)
  if (Number(context.req.header('content-length')) > bytesMax) throw tooLarge()
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let bytes = 0
  for await (const chunk of context.req.raw.body ?? []) {
    bytes += chunk.length
    if (bytes > bytesMax) throw tooLarge()
    chunks.push(chunk as Uint8Array<ArrayBuffer>)
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer())
}

/** An empty body says nothing. @throws GatewayError */
export async function readBody(context: Context): Promise<Record<string, unknown>> {
  const bytes = await readBytes(context, ADMIN_BODY_BYTES_MAX)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw invalid('the body', 'bytes that are no UTF-8', 'a JSON object')
  }
  if (text.trim() === '') return {}
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw invalid('the body', 'no JSON', 'a JSON object')
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalid('the body', body, 'a JSON object')
  return body as Record<string, unknown>
}
