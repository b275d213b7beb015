// How requests say who asks, for which model and whether for a stream; the same at nearly all vendors.

import type { Incoming } from './dialect.ts'
import { isFields } from './openai-body.ts'

/** The token behind `Bearer`; null: there is none. */
export function bearerKey(incoming: Incoming): string | null {
  const match = /^bearer +(\S+)$/i.exec(incoming.headers['authorization'] ?? '')
  return match?.[1] ?? null
}

export function modelField(incoming: Incoming): string {
  const model = isFields(incoming.body) ? incoming.body['model'] : undefined
  return typeof model === 'string' ? model : ''
}

export function streamField(incoming: Incoming): boolean {
  return isFields(incoming.body) && incoming.body['stream'] === true
}
