// The keys of a gateway under test, through its admin API.

import { ADMIN_TOKEN, type TestGateway } from './gateway.ts'
import { ask, type ClientAnswer } from './http-client.ts'

type Json = Record<string, unknown>

export interface Problem {
  readonly field: string
  readonly found: string
  readonly allowed: string
  readonly nearest: string | null
}

/** `path` is behind `/admin/v1/keys`. */
export function askKeys(
  gateway: Pick<TestGateway, 'url'>,
  method: string,
  path = '',
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<ClientAnswer> {
  return ask(`${gateway.url}/admin/v1/keys${path}`, { method, key: ADMIN_TOKEN, body, headers })
}

/** Makes a key and returns its secret. */
export async function makeKey(
  gateway: Pick<TestGateway, 'url'>,
  name: string,
  fields: Json = {},
): Promise<string> {
  const got = await askKeys(gateway, 'POST', '', { name, ...fields })
  if (got.status !== 201) throw new Error(`${got.status} ${got.text}`)
  return String(got.json['key'])
}

export function problemsOf(answer: ClientAnswer): readonly Problem[] {
  return ((answer.json['error'] as Json)['problems'] ?? []) as Problem[]
}
