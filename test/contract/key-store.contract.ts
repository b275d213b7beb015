// What every KeyStore must do. Each store's test file runs this in one line.

import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { KeyStore, KeyWrite, StoredKey } from '#core/keys.ts'
import { createMemoryKeyStore } from '#store/key-memory.ts'
import { storedKey } from '../support/stored-keys.ts'

export interface OpenKeyStore {
  readonly store: KeyStore
  close(): Promise<void>
}

const DAY_MS = 86_400_000

export function keyStoreContract(name: string, open: () => Promise<OpenKeyStore>): void {
  describe(`the ${name} store of keys`, () => {
    const opened: OpenKeyStore[] = []

    async function openStore(): Promise<KeyStore> {
      const one = await open()
      opened.push(one)
      return one.store
    }

    afterEach(async () => {
      for (const one of opened.splice(0)) await one.close()
    })

    test('answers nothing when it is empty', async () => {
      const store = await openStore()
      expect(await store.get('key_0001')).toBeNull()
      expect(await store.named('web')).toBeNull()
      expect(await store.list({ limit: 10, after: null })).toEqual([])
      expect(await store.changes(null)).toMatchObject({ isWhole: true, keys: [] })
      expect(await store.purge(Date.now())).toBe(0)
    })

    test('gives back what was written, by id and by name', async () => {
      const store = await openStore()
      const odd = storedKey({
        id: 'key_0002',
        name: '网页 "é" 😀/%',
        fields: {
          team: 'growth',
          models: [],
          data_policy: { region: ['cn'], trains_on_data: false, filing_no: true },
          rpm: 9_007_199_254_740_991,
        },
      })
      expect(await store.create(storedKey())).toBe('written')
      expect(await store.create(odd)).toBe('written')
      expect(await store.get('key_0001')).toEqual(storedKey())
      expect(await store.named(odd.name)).toEqual(odd)
      expect(await store.get(odd.id)).toEqual(odd)
    })

    test('gives a name to one key only', async () => {
      const store = await openStore()
      await store.create(storedKey())
      expect(await store.create(storedKey({ id: 'key_0002' }))).toBe('name_taken')
      expect(await store.get('key_0002')).toBeNull()
      expect(await store.create(storedKey({ id: 'key_0003', name: 'WEB' }))).toBe('written')
    })

    test('takes a write only on top of the version that it knows', async () => {
      const store = await openStore()
      expect(await store.replace(storedKey({ version: 2 }))).toBe('stale')
      await store.create(storedKey())
      expect(await store.create(storedKey())).toBe('stale')
      expect(await store.replace(storedKey({ version: 3 }))).toBe('stale')
      const second = storedKey({ version: 2, fields: { rpm: 1 } })
      expect(await store.replace(second)).toBe('written')
      expect(await store.replace(second)).toBe('stale')
      expect(await store.get('key_0001')).toEqual(second)
    })

    test('of many writers at once one is heard', async () => {
      const store = await openStore()
      await store.create(storedKey())
      const writes = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          store.replace(storedKey({ version: 2, fields: { rpm: index + 1 } })),
        ),
      )
      expect(writes.filter((write) => write === 'written')).toHaveLength(1)
      const creations = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          store.create(storedKey({ id: `key_1${index}`, name: 'new' })),
        ),
      )
      expect(creations.filter((write) => write === 'written')).toHaveLength(1)
    })

    test('lists page by page in the order of ids, without gap or repetition', async () => {
      const store = await openStore()
      const ids = Array.from({ length: 25 }, (_, index) => `key_${String(index).padStart(4, '0')}`)
      for (const id of ids.toReversed()) await store.create(storedKey({ id, name: `name ${id}` }))
      const seen: string[] = []
      for (let after: string | null = null; ; ) {
        const page: readonly StoredKey[] = await store.list({ limit: 4, after })
        if (page.length === 0) break
        seen.push(...page.map((key) => key.id))
        after = page.at(-1)?.id ?? null
      }
      expect(seen).toEqual(ids)
      expect((await store.list({ limit: 3, after: 'key_0010x' })).map((key) => key.id)).toEqual([
        'key_0011',
        'key_0012',
        'key_0013',
      ])
    })

    test('what was deleted is told to those who follow, and to nobody else; its name is free', async () => {
      const store = await openStore()
      await store.create(storedKey())
      const { mark } = await store.changes(null)
      const deleted = storedKey({ version: 2, deletedAtMs: DAY_MS })
      expect(await store.replace(deleted)).toBe('written')
      expect(await store.get('key_0001')).toBeNull()
      expect(await store.named('web')).toBeNull()
      expect(await store.list({ limit: 10, after: null })).toEqual([])
      expect((await store.changes(mark)).keys).toEqual([deleted])
      expect(await store.create(storedKey({ id: 'key_0002' }))).toBe('written')
      expect(await store.named('web')).toMatchObject({ id: 'key_0002' })
      expect((await store.changes(null)).keys).toHaveLength(2)
    })

    test('tells what changed since a mark, each key as it is now', async () => {
      const store = await openStore()
      await store.create(storedKey())
      await store.create(storedKey({ id: 'key_0002', name: 'two' }))
      const first = await store.changes(null)
      expect(first.isWhole).toBe(true)
      expect(await store.changes(first.mark)).toEqual({ mark: first.mark, isWhole: false, keys: [] })
      await store.replace(storedKey({ version: 2 }))
      await store.replace(storedKey({ version: 3 }))
      const second = await store.changes(first.mark)
      expect(second).toMatchObject({ isWhole: false, keys: [{ id: 'key_0001', version: 3 }] })
      expect((await store.changes(second.mark)).keys).toEqual([])
    })

    test('a mark of another life of the store means: all', async () => {
      const other = await openStore()
      for (const index of [1, 2, 3]) await other.create(storedKey({ id: `key_${index}`, name: `n${index}` }))
      const { mark } = await other.changes(null)
      const store = await openStore()
      await store.create(storedKey())
      expect(await store.changes(mark)).toMatchObject({ isWhole: true, keys: [{ id: 'key_0001' }] })
    })

    test('forgets what was revoked or deleted long ago', async () => {
      const store = await openStore()
      for (const [index, ended] of [
        {},
        { revokedAtMs: DAY_MS },
        { deletedAtMs: DAY_MS },
        { revokedAtMs: 3 * DAY_MS },
        { revokedAtMs: DAY_MS, deletedAtMs: 3 * DAY_MS },
      ].entries()) {
        const key = storedKey({ id: `key_${index}`, name: `n${index}` })
        await store.create(key)
        await store.replace({ ...key, version: 2, ...ended })
      }
      expect(await store.purge(2 * DAY_MS)).toBe(3)
      expect((await store.changes(null)).keys.map((key) => key.id).toSorted()).toEqual(['key_0', 'key_3'])
      expect(await store.create(storedKey({ id: 'key_9', name: 'n1' }))).toBe('written')
      expect(await store.purge(2 * DAY_MS)).toBe(0)
    })

    test('does whatever the reference does, whatever comes', async () => {
      // A key never changes its name; two of three want the same.
      const named = fc.constantFrom(
        { id: 'key_a', name: 'x' },
        { id: 'key_b', name: 'x' },
        { id: 'key_c', name: 'y' },
      )
      const key = fc.record({
        named,
        version: fc.integer({ min: 1, max: 4 }),
        revokedAtMs: fc.option(fc.constantFrom(1_000, 3_000), { freq: 3 }),
        deletedAtMs: fc.option(fc.constantFrom(2_000, 4_000), { freq: 3 }),
      })
      const step = fc.oneof(
        { weight: 6, arbitrary: fc.record({ does: fc.constant('write' as const), key }) },
        { weight: 1, arbitrary: fc.record({ does: fc.constant('purge' as const), key }) },
      )
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
          const tested = await open()
          const reference = createMemoryKeyStore()
          try {
            let marks: readonly [string | null, string | null] = [null, null]
            for (const { does, key: given } of steps) {
              const { named: name, ...changes } = given
              const outcomes = await Promise.all(
                [tested.store, reference].map((store) =>
                  run(store, does, storedKey({ ...name, ...changes })),
                ),
              )
              expect(outcomes[0]).toEqual(outcomes[1])
              const [ours, theirs] = await Promise.all([
                tested.store.changes(marks[0]),
                reference.changes(marks[1]),
              ])
              expect(byId(ours.keys)).toEqual(byId(theirs.keys))
              marks = [ours.mark, theirs.mark]
            }
            const page = { limit: 2, after: null }
            expect(await tested.store.list(page)).toEqual(await reference.list(page))
            for (const name of ['x', 'y'])
              expect(await tested.store.named(name)).toEqual(await reference.named(name))
          } finally {
            await tested.close()
          }
        }),
        { seed: 27, numRuns: 150 },
      )
    })
  })
}

function run(store: KeyStore, does: 'write' | 'purge', key: StoredKey): Promise<KeyWrite | number> {
  if (does === 'purge') return store.purge(2_500)
  return key.version === 1 ? store.create(key) : store.replace(key)
}

function byId(keys: readonly StoredKey[]): readonly StoredKey[] {
  return keys.toSorted((left, right) => (left.id < right.id ? -1 : 1))
}
