// JSON objects among outside values.

import { decodeUtf8 } from './bytes.ts'

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** null: the bytes are no JSON, or no object. */
export function parseObject(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value = JSON.parse(decodeUtf8(bytes)) as unknown
    return isObject(value) ? value : null
  } catch {
    return null
  }
}
