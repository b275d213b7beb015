import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openNodeSqlite } from '#runtime/node/sqlite.ts'
import { createSqliteKeyStore } from '#store/sqlite/key-store.ts'
import { migrate } from '#store/sqlite/migrate.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'
import { storedKey } from '../support/stored-keys.ts'
import { keyStoreContract } from './key-store.contract.ts'

keyStoreContract('SQLite', async () => {
  const driver = openNodeSqlite(':memory:')
  migrate(driver)
  return { store: createSqliteKeyStore(driver), close: async () => driver.close() }
})

test('keys outlive the ledger that was closed, and are in its file as digests', async () => {
  const folder = temporaryFolder()
  const path = join(folder.path, 'ledger.db')
  const first = openLedger(path)
  await first.keys.create(storedKey())
  first.close()
  const second = openLedger(path)
  expect(await second.keys.named('web')).toEqual(storedKey())
  second.close()
  expect(readFileSync(path, 'latin1')).toContain('"digest":"d1"')
  folder.remove()
})

test('a write of a key is synced, and the ledger keeps its own durability', () => {
  const driver = openNodeSqlite(':memory:')
  migrate(driver)
  driver.exec('PRAGMA synchronous = NORMAL')
  const said: string[] = []
  const store = createSqliteKeyStore({
    ...driver,
    exec: (sql) => {
      said.push(sql)
      driver.exec(sql)
    },
  })
  void store.create(storedKey())
  expect(said).toEqual(['PRAGMA synchronous = FULL', 'PRAGMA synchronous = 1'])
  driver.close()
})

test('a hundred thousand keys are read whole, and page by page', async () => {
  const driver = openNodeSqlite(':memory:')
  migrate(driver)
  const store = createSqliteKeyStore(driver)
  const count = 100_000
  for (let index = 0; index < count; index++) {
    const id = `key_${String(index).padStart(6, '0')}`
    await store.create(storedKey({ id, name: id }))
  }
  expect((await store.changes(null)).keys).toHaveLength(count)
  expect((await store.list({ limit: 500, after: 'key_099900' })).length).toBe(99)
  driver.close()
})
