// Keys in a table of the SQLite file. A key that was revoked must stay so after a loss of power: these few writes are
// synced, whatever the ledger's are.

import { endedAtMs, type KeyStore, type KeyWrite, type StoredKey } from '#core/keys.ts'
import type { SqlDriver, SqlRow } from './driver.ts'
import { number, text } from './row-checks.ts'

const REVISION = 'key_revision'

/** Belongs to who opened the driver, and is closed with it. */
export function createSqliteKeyStore(driver: SqlDriver): KeyStore {
  const columns = 'SELECT text FROM api_key WHERE'
  const byId = driver.prepare(`${columns} id = ? AND is_deleted = 0`)
  const byName = driver.prepare(`${columns} name = ? AND is_deleted = 0`)
  const page = driver.prepare(`${columns} id > ? AND is_deleted = 0 ORDER BY id LIMIT ?`)
  const since = driver.prepare(`${columns} revision > ? ORDER BY revision`)
  const versionOf = driver.prepare('SELECT version FROM api_key WHERE id = ?')
  const otherOfName = driver.prepare('SELECT 1 FROM api_key WHERE name = ? AND is_deleted = 0 AND id <> ?')
  const upsert =
    driver.prepare(`INSERT INTO api_key (id, name, version, revision, is_deleted, ended_at_ms, text)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version,
revision = excluded.revision, is_deleted = excluded.is_deleted, ended_at_ms = excluded.ended_at_ms, text = excluded.text`)
  const deleteOld = driver.prepare('DELETE FROM api_key WHERE ended_at_ms < ?')
  const readRevision = driver.prepare('SELECT value FROM meta WHERE name = ?')
  const writeRevision = driver.prepare(
    'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  )
  const readSync = driver.prepare('PRAGMA synchronous')

  const revision = (): number => {
    const row = readRevision.get(REVISION)
    return row === undefined ? 0 : Number(text(row, 'value'))
  }

  function durably(run: () => void): void {
    const row = readSync.get()
    const before = row === undefined ? 1 : number(row, 'synchronous')
    driver.exec('PRAGMA synchronous = FULL')
    try {
      driver.transaction(run)
    } finally {
      driver.exec(`PRAGMA synchronous = ${before}`)
    }
  }

  function write(key: StoredKey): KeyWrite {
    let outcome: KeyWrite = 'written'
    durably(() => {
      const row = versionOf.get(key.id)
      const isDeleted = key.deletedAtMs !== null
      if ((row === undefined ? 0 : number(row, 'version')) !== key.version - 1) outcome = 'stale'
      else if (!isDeleted && otherOfName.get(key.name, key.id) !== undefined) outcome = 'name_taken'
      else {
        const next = revision() + 1
        writeRevision.run(REVISION, String(next))
        const { id, name, version } = key
        upsert.run(id, name, version, next, isDeleted ? 1 : 0, endedAtMs(key), JSON.stringify(key))
      }
    })
    return outcome
  }

  return {
    create: async (key) => write(key),
    replace: async (key) => write(key),
    get: async (id) => keyOrNull(byId.get(id)),
    named: async (name) => keyOrNull(byName.get(name)),
    list: async ({ limit, after }) => page.all(after ?? '', limit).map(keyOf),
    async changes(mark) {
      const now = revision()
      const from = mark === null ? 0 : Number(mark)
      const isWhole = mark === null || from > now
      return { mark: String(now), isWhole, keys: since.all(isWhole ? 0 : from).map(keyOf) }
    },
    purge: async (beforeMs) => Number(deleteOld.run(beforeMs).changes),
    close: async () => undefined,
  }
}

function keyOrNull(row: SqlRow | undefined): StoredKey | null {
  return row === undefined ? null : keyOf(row)
}

function keyOf(row: SqlRow): StoredKey {
  return JSON.parse(text(row, 'text')) as StoredKey
}
