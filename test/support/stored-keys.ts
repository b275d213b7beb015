// Keys of the store for tests.

import type { StoredKey } from '#core/keys.ts'

export const CREATED_MS = Date.parse('2026-06-01T00:00:00Z')

export function storedKey(changes: Partial<StoredKey> = {}): StoredKey {
  return {
    id: 'key_0001',
    name: 'web',
    version: 1,
    fields: { models: ['assistant'], tags: { app: 'web' } },
    secrets: [
      { digest: 'd1', pepper: 'p', hint: 'sk-sluice-Abcd…', createdAtMs: CREATED_MS, endsAtMs: null },
    ],
    createdAtMs: CREATED_MS,
    updatedAtMs: CREATED_MS,
    revokedAtMs: null,
    deletedAtMs: null,
    ...changes,
  }
}
