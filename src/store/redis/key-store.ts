// Keys in Redis, shared by all instances. Each follows the others by a revision that every write moves on.

import { endedAtMs, type KeyChanges, type KeyStore, type KeyWrite, type StoredKey } from '#core/keys.ts'
import { accessRedis, type RedisAccess } from './connection.ts'
import { KEYS } from './keys.ts'

/** Keys read in one go, so that a start does not keep the server, or this process, from others. */
const READ_KEYS = 1_000
const PURGED_KEYS = 500

const PUT_KEYS = [
  KEYS.clientKeys,
  KEYS.clientKeyNames,
  KEYS.clientKeyIds,
  KEYS.clientKeyChanges,
  KEYS.clientKeysEnded,
  KEYS.clientKeysMeta,
]
const PURGE_KEYS = PUT_KEYS.slice(0, 5)

export type RedisKeyStoreOptions = RedisAccess & {
  /** Names a life of the store; made anew each time. */
  readonly makeLife: () => string
}

export interface RedisKeyStore extends KeyStore {
  /** The secret that all instances share which were told none; `proposed` when there is none yet. */
  secret(proposed: string): Promise<string>
}

/** Connects on first use. All methods throw StoreUnavailableError when Redis does not answer in time. */
export function createRedisKeyStore(options: RedisKeyStoreOptions): RedisKeyStore {
  const { connection, close } = accessRedis(options)

  async function write(key: StoredKey): Promise<KeyWrite> {
    const { id, name, version, deletedAtMs } = key
    const values = [id, name, version, JSON.stringify(key), deletedAtMs === null ? '0' : '1']
    const rest = [endedAtMs(key) ?? '', options.makeLife()]
    return (await connection.script('key-put-6', PUT_KEYS, [...values, ...rest])) as KeyWrite
  }

  async function byIds(ids: readonly string[]): Promise<StoredKey[]> {
    if (ids.length === 0) return []
    const texts = await connection.run((redis) => redis.hmget(KEYS.clientKeys, ...ids))
    return texts.flatMap((text) => (text === null ? [] : [JSON.parse(text) as StoredKey]))
  }

  async function get(id: string): Promise<StoredKey | null> {
    const [key] = await byIds([id])
    return key === undefined || key.deletedAtMs !== null ? null : key
  }

  async function changedSince(revision: number): Promise<StoredKey[]> {
    const ids = await connection.run((redis) =>
      redis.zrangebyscore(KEYS.clientKeyChanges, `(${revision}`, '+inf'),
    )
    const keys: StoredKey[] = []
    for (let start = 0; start < ids.length; start += READ_KEYS)
      keys.push(...(await byIds(ids.slice(start, start + READ_KEYS))))
    return keys
  }

  async function changes(since: string | null): Promise<KeyChanges> {
    // Read first: what is written meanwhile is read twice rather than never.
    const [life, revision] = await connection.run((redis) =>
      redis.hmget(KEYS.clientKeysMeta, 'life', 'revision'),
    )
    const mark = `${life ?? ''} ${revision ?? '0'}`
    if (mark === since) return { mark, isWhole: false, keys: [] }
    const [lifeBefore, revisionBefore] = since?.split(' ') ?? []
    const isSameLife = lifeBefore === (life ?? '') && Number(revisionBefore) <= Number(revision ?? '0')
    return { mark, isWhole: !isSameLife, keys: await changedSince(isSameLife ? Number(revisionBefore) : 0) }
  }

  return {
    create: write,
    replace: write,
    get,
    changes,
    async named(name) {
      const id = await connection.run((redis) => redis.hget(KEYS.clientKeyNames, name))
      return id === null ? null : get(id)
    },
    async list({ limit, after }) {
      const from = after === null ? '-' : `(${after}`
      return byIds(
        await connection.run((redis) => redis.zrangebylex(KEYS.clientKeyIds, from, '+', 'LIMIT', 0, limit)),
      )
    },
    async purge(beforeMs) {
      let purged = 0
      for (;;) {
        const count = Number(await connection.script('key-purge-5', PURGE_KEYS, [beforeMs, PURGED_KEYS]))
        purged += count
        if (count < PURGED_KEYS) return purged
      }
    },
    async secret(proposed) {
      return connection.run(async (redis) => {
        await redis.setnx(KEYS.secret, proposed)
        return (await redis.get(KEYS.secret)) ?? proposed
      })
    },
    close: async () => close(),
  }
}
