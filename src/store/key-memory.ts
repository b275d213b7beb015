// Keys in memory: the reference that the other stores are compared with.

import { endedAtMs, type KeyStore, type KeyWrite, type StoredKey } from '#core/keys.ts'

interface Kept {
  readonly key: StoredKey
  readonly revision: number
}

/** A store that forgets with the process. */
export function createMemoryKeyStore(): KeyStore {
  const kept = new Map<string, Kept>()
  let revision = 0

  const living = (): StoredKey[] =>
    [...kept.values()].map(({ key }) => key).filter((key) => key.deletedAtMs === null)

  function write(key: StoredKey, before: StoredKey | undefined): KeyWrite {
    if ((before?.version ?? 0) !== key.version - 1) return 'stale'
    const isTaken = living().some((other) => other.name === key.name && other.id !== key.id)
    if (isTaken && key.deletedAtMs === null) return 'name_taken'
    revision++
    kept.set(key.id, { key, revision })
    return 'written'
  }

  return {
    create: async (key) => write(key, kept.get(key.id)?.key),
    replace: async (key) => write(key, kept.get(key.id)?.key),
    async get(id) {
      const key = kept.get(id)?.key
      return key === undefined || key.deletedAtMs !== null ? null : key
    },
    named: async (name) => living().find((key) => key.name === name) ?? null,
    async list({ limit, after }) {
      const keys = living().sort((left, right) => (left.id < right.id ? -1 : 1))
      return keys.filter((key) => after === null || key.id > after).slice(0, limit)
    },
    async changes(since) {
      const from = since === null ? 0 : Number(since)
      const isWhole = since === null || from > revision
      const changed = [...kept.values()].filter((one) => isWhole || one.revision > from)
      return { mark: String(revision), isWhole, keys: changed.map(({ key }) => key) }
    },
    async purge(beforeMs) {
      const old = [...kept.values()].filter(({ key }) => (endedAtMs(key) ?? beforeMs) < beforeMs)
      for (const { key } of old) kept.delete(key.id)
      return old.length
    },
    close: async () => undefined,
  }
}
