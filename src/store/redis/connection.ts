// The connection to Redis: fails fast, never repeats a command by itself, comes back by itself. What is said over it
// is the business of store.ts and its neighbours; how Redis is run, that of client.ts.

import { Cluster, Redis } from 'ioredis'
import { assert } from '#core/assert.ts'
import { parseRedisUrl, type RedisAddress } from '#core/store-url.ts'
import { StoreUnavailableError } from '../errors.ts'
import { createClient, type RedisClient } from './client.ts'
import { isLasting, unavailable, withRefusedCommand } from './faults.ts'
import { KEYS } from './keys.ts'
import { SCRIPT_SHAS, SCRIPTS } from './scripts.gen.ts'
import { watchSentinels } from './sentinel-watch.ts'
import { slotOf, tagOf } from './slots.ts'

const COMMAND_TIMEOUT_MS = 2_000
/** One that was lost is back at once or not soon. */
const LOST_WAIT_MS = 500
const END_MS = 500

export type ScriptName = keyof typeof SCRIPTS

export interface RedisConnectionOptions {
  /** A store URL of Redis, in any of its forms. @see parseRedisUrl */
  readonly url: string
  /** Each command; a command that takes longer may still be applied. */
  readonly commandTimeoutMs?: number
}

/** How the parts of a process get theirs: over one that they share, or one of their own. */
export type RedisAccess = RedisConnectionOptions | { readonly connection: RedisConnection }

/** `close` closes it only where nobody else has it. */
export function accessRedis(access: RedisAccess): {
  readonly connection: RedisConnection
  readonly close: () => void
} {
  if ('connection' in access) return { connection: access.connection, close: () => {} }
  const connection = new RedisConnection(access)
  return { connection, close: () => connection.close() }
}

/** One for a whole process; it connects on first use. */
export class RedisConnection {
  readonly #address: RedisAddress
  readonly #client: RedisClient
  readonly #commandTimeoutMs: number
  readonly #readyListeners: (() => void)[] = []
  #stopWatching: (() => void) | null = null
  /** Shared by all that wait. */
  #opening: Promise<void> | null = null
  /** What the driver said last while it could not connect. */
  #lastError: unknown = null
  /** Why nobody waits for a connection any more: one has, in vain, and the driver goes on trying. */
  #away: StoreUnavailableError | null = null
  #hadConnection = false
  #isClosed = false
  /** Ends the wait for a connection that will not come. */
  #onLasting: ((error: Error) => void) | null = null

  constructor(options: RedisConnectionOptions) {
    this.#commandTimeoutMs = options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS
    this.#address = parseRedisUrl(options.url)
    this.#client = createClient(this.#address, this.#commandTimeoutMs)
    const onOneOfSeveral = (error: Error): void => {
      this.#lastError = error
    }
    this.#client.on('error', (error: Error) => this.#noteError(error))
    // The others may do.
    this.#client.on('node error', onOneOfSeveral)
    this.#client.on('sentinelError', onOneOfSeveral)
    this.#client.on('end', () => this.#begin(END_MS))
    this.#client.on('ready', () => {
      this.#lastError = null
      this.#away = null
      this.#hadConnection = true
      for (const listener of this.#readyListeners) listener()
    })
  }

  /** Called each time that a connection stands: what was known of the server may hold no more. */
  onReady(listener: () => void): void {
    this.#readyListeners.push(listener)
  }

  /** One connection per master that serves slots; of a cluster those that are known now. */
  masters(): readonly Redis[] {
    return this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client]
  }

  /**
   * Runs commands on a ready connection; all of them, and the wait for the connection, within the deadline. `key`: one of
   * those that they are about, by which a cluster knows its node; by default one of the ledger.
   * @throws StoreUnavailableError for whatever goes wrong with it; what was sent may have been applied all the same
   */
  async run<Result>(
    commands: (redis: RedisClient) => Promise<Result>,
    deadlineMs: number = 2 * this.#commandTimeoutMs,
    key: string = KEYS.rows,
  ): Promise<Result> {
    try {
      return await inTime(deadlineMs, async (isOver) => {
        await this.#ready()
        if (this.#client instanceof Cluster) await untilServed(this.#client, key)
        // Nobody waits for it any more, and nobody would expect it to be applied.
        if (isOver()) throw late(deadlineMs)
        return commands(this.#client)
      })
    } catch (cause) {
      const error = unavailable(cause)
      this.#lookAround(error)
      throw error
    }
  }

  /**
   * Runs one script of lua/, whose keys lie under one tag. Its reply is as Redis gives it: numbers, texts, lists, null.
   * A server that has forgotten the script, or never had it, is given it.
   * @throws StoreUnavailableError as `run` does
   */
  script(
    name: ScriptName,
    keys: readonly string[],
    values: readonly (string | number)[],
    deadlineMs?: number,
  ): Promise<unknown> {
    assert(keys.length === keysOf(name), `${name} takes as many keys as its name says`)
    assert(haveOneTag(keys), `the keys of ${name} lie in one slot`)
    return this.run(
      async (redis) => {
        try {
          return await redis.evalsha(SCRIPT_SHAS[name], keys.length, ...keys, ...values)
        } catch (error) {
          // It was refused before it ran, so nothing was applied.
          if (!isNoScript(error)) throw withRefusedCommand(error, SCRIPTS[name])
        }
        return redis.eval(SCRIPTS[name], keys.length, ...keys, ...values).catch((error: unknown) => {
          throw withRefusedCommand(error, SCRIPTS[name])
        })
      },
      deadlineMs,
      keys[0],
    )
  }

  close(): void {
    this.#isClosed = true
    this.#stopWatching?.()
    this.#client.disconnect()
  }

  #noteError(error: Error & { readonly lastNodeError?: unknown }): void {
    // Of a cluster whose nodes all refuse.
    const cause = error.lastNodeError ?? error
    this.#lastError = cause
    const fault = unavailable(cause)
    if (isLasting(fault)) this.#onLasting?.(fault)
  }

  /** A node that does not answer may have been replaced; the driver learns that from its peers only when it asks. */
  #lookAround({ trouble }: StoreUnavailableError): void {
    if (!(this.#client instanceof Cluster) || this.#client.status !== 'ready') return
    if (trouble === 'unanswered' || trouble === 'disconnected' || trouble === 'refusing_writes') {
      this.#client.refreshSlotsCache()
    }
  }

  #ready(): Promise<void> | null {
    if (this.#client.status === 'ready') return null
    if (this.#away !== null) throw this.#away
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  /** Waits for the first connection as long as for a command. */
  async #open(): Promise<void> {
    const client = this.#client
    if (this.#isClosed) throw closed()
    if (client.status === 'wait') {
      this.#begin(0)
      if (client instanceof Redis && this.#address.topology === 'sentinel')
        this.#stopWatching = watchSentinels(this.#address, client)
    }
    await new Promise<void>((resolve, reject) => {
      const finish = (error: Error | null): void => {
        clearTimeout(timer)
        client.off('ready', onReady)
        client.off('end', onEnd)
        this.#onLasting = null
        if (error === null) return resolve()
        this.#away = unavailable(error)
        reject(this.#away)
      }
      const onReady = (): void => finish(null)
      const onEnd = (): void => finish(closed())
      const waitMs = this.#hadConnection
        ? Math.min(LOST_WAIT_MS, this.#commandTimeoutMs)
        : this.#commandTimeoutMs
      const timer = setTimeout(() => finish(this.#noConnection()), waitMs)
      this.#onLasting = finish
      client.once('ready', onReady)
      client.once('end', onEnd)
    })
  }

  /** The driver never gives up where it is told to go on; where it does all the same, it begins again. */
  #begin(delayMs: number): void {
    setTimeout(() => {
      // Its failure is heard as an event.
      if (!this.#isClosed) this.#client.connect().catch(() => {})
    }, delayMs).unref()
  }

  #noConnection(): StoreUnavailableError {
    const last = this.#lastError
    const reason = last instanceof Error ? ` (${last.message})` : ''
    return new StoreUnavailableError(`Redis is unavailable: no connection in time${reason}`, {
      trouble: 'disconnected',
      cause: last,
    })
  }
}

/** A node that is being connected refuses commands, and they would have to be sent again. */
async function untilServed(cluster: Cluster, key: string): Promise<void> {
  const name = cluster.slots[slotOf(key)]?.[0]
  const node = cluster.nodes('master').find(({ options }) => `${options.host}:${options.port}` === name)
  if (node === undefined || node.status === 'ready' || node.status === 'end') return
  // How that ends is heard below.
  if (node.status === 'wait') node.connect().catch(() => {})
  await new Promise<void>((resolve) => {
    const finish = (): void => {
      node.off('ready', finish)
      node.off('end', finish)
      resolve()
    }
    node.once('ready', finish)
    node.once('end', finish)
  })
}

/** The number of keys that ends its name. */
function keysOf(name: ScriptName): number {
  return Number(name.slice(name.lastIndexOf('-') + 1))
}

/** What a cluster demands, on every kind of Redis: what works on one works on the others. */
function haveOneTag(keys: readonly string[]): boolean {
  const tag = tagOf(keys[0] ?? '')
  return tag !== '' && keys.every((key) => tagOf(key) === tag)
}

function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

function closed(): StoreUnavailableError {
  return new StoreUnavailableError('Redis is unavailable: the connection is closed', {
    trouble: 'disconnected',
  })
}

function late(deadlineMs: number): StoreUnavailableError {
  return new StoreUnavailableError(`Redis is unavailable: no answer within ${deadlineMs} ms`, {
    trouble: 'unanswered',
  })
}

async function inTime<Result>(
  deadlineMs: number,
  run: (isOver: () => boolean) => Promise<Result>,
): Promise<Result> {
  let isOver = false
  let timer: NodeJS.Timeout | undefined
  const timeUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isOver = true
      reject(late(deadlineMs))
    }, deadlineMs)
  })
  try {
    return await Promise.race([run(() => isOver), timeUp])
  } finally {
    clearTimeout(timer)
  }
}
