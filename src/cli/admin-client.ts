// The admin API of a running gateway, for commands.

export interface AdminAddress {
  /** Without a trailing slash. */
  readonly url: string
  /** null: a gateway on this machine that asks for none. */
  readonly token: string | null
}

type Json = Record<string, unknown>

const URL_DEFAULT = 'http://127.0.0.1:8787'
const ANSWER_MS_MAX = 30_000
const JOB_LOOK_MS = 500

/** `--url` and `--token` go over SLUICE_URL and SLUICE_ADMIN_TOKEN. */
export function adminAddress(values: { readonly url?: string; readonly token?: string }): AdminAddress {
  const url = values.url ?? (process.env['SLUICE_URL'] || URL_DEFAULT)
  const token = values.token ?? process.env['SLUICE_ADMIN_TOKEN'] ?? ''
  return { url: url.replace(/\/+$/, ''), token: token === '' ? null : token }
}

interface AskOptions {
  readonly body?: Json
  /** Instead of a JSON body. */
  readonly bytes?: Uint8Array<ArrayBuffer>
  readonly ifVersion?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** `path` is behind `/admin/v1`. @throws Error with what the gateway says, or that it does not answer */
export async function askAdmin(
  address: AdminAddress,
  method: string,
  path: string,
  options: AskOptions = {},
): Promise<Json> {
  const text = await askText(address, method, path, options)
  return text === '' ? {} : (JSON.parse(text) as Json)
}

/** What a GET answers, byte by byte, and with it the mark at a table's beginning. @throws Error as `askAdmin` */
export async function askAdminText(address: AdminAddress, path: string): Promise<string> {
  return askText(address, 'GET', path, {})
}

async function askText(
  { url, token }: AdminAddress,
  method: string,
  path: string,
  options: AskOptions,
): Promise<string> {
  const { body, bytes, ifVersion } = options
  const response = await fetch(`${url}/admin/v1${path}`, {
    method,
    headers: {
      ...options.headers,
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(ifVersion === undefined ? {} : { 'if-match': `"${ifVersion}"` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(bytes === undefined ? {} : { body: bytes }),
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  }).catch((error: unknown) => {
    throw new Error(
      `no gateway answers at ${url} (${reasonOf(error)}): is it running? --url or SLUICE_URL says where`,
    )
  })
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(await response.arrayBuffer())
  if (response.ok) return text
  throw new Error(messageOf(text) ?? `${url} answered ${response.status}`)
}

/** Asks for work that may take longer than a request, and waits until it is done. @throws Error as `askAdmin` */
export async function askJob(
  address: AdminAddress,
  method: string,
  path: string,
  options: Parameters<typeof askAdmin>[3] = {},
): Promise<Json> {
  let answer = await askAdmin(address, method, path, options)
  while (answer['status'] === 'running') {
    await new Promise((resolve) => setTimeout(resolve, JOB_LOOK_MS))
    answer = await askAdmin(address, 'GET', `/jobs/${encodeURIComponent(String(answer['id']))}`)
  }
  return answer
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : null
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message
  return error instanceof Error ? error.message : String(error)
}

function messageOf(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown; code?: unknown } }
    return typeof error?.message === 'string' ? `${error.message} (${String(error.code)})` : null
  } catch {
    return null
  }
}
