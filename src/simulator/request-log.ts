// What came in, and what was billed for it: the last requests, bounded by number and bytes.

import type { Usage } from './chat.ts'

export interface LoggedRequest {
  readonly sequence: number
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly receivedAtMs: number
  body: string
  /** As asked for; '' where the request does not say. */
  model: string
  /** Of the answer; null: none was sent. */
  status: number | null
  /** The fault that struck; null: none. */
  fault: string | null
  /** The caller went away before the answer was complete. */
  aborted: boolean
  /** What has been generated, growing while it runs; null: it was refused. */
  billed: Usage | null
  firstTokenAtMs: number | null
  endedAtMs: number | null
}

export interface RequestLog {
  readonly entries: readonly LoggedRequest[]
  add(entry: LoggedRequest): void
  /** Books the bytes of the body, which arrives later. */
  setBody(entry: LoggedRequest, body: string): void
}

export function createRequestLog(entriesMax: number, bytesMax: number): RequestLog {
  const entries: LoggedRequest[] = []
  let bodyChars = 0
  const trim = (): void => {
    while (entries.length > entriesMax || (bodyChars > bytesMax && entries.length > 0)) {
      const oldest = entries.shift()
      bodyChars -= oldest?.body.length ?? 0
    }
  }
  return {
    entries,
    add(entry) {
      entries.push(entry)
      trim()
    },
    setBody(entry, body) {
      entry.body = body
      // It may have been dropped while its body was still arriving.
      if (!entries.includes(entry)) return
      bodyChars += body.length
      trim()
    },
  }
}
