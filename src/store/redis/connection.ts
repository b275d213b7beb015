// The connection to Redis: fails fast, never repeats a command by itself, comes back by itself. What is said over it
// is the business of store.ts.

import { Redis } from 'ioredis'
import { StoreUnavailableError } from '../errors.ts'

const COMMAND_TIMEOUT_MS = 2_000
const CONNECT_TIMEOUT_MS = 1_000
const RECONNECT_MS_FIRST = 50
const RECONNECT_MS_MAX = 2_000

export interface RedisConnectionOptions {
  /** `redis://` or `rediss://`. */
  readonly url: string
  /** Each command; a command that takes longer may still be applied. */
  readonly commandTimeoutMs?: number
  /** Faults of the connection, for the log; the store goes on trying. */
  readonly onError?: (error: Error) => void
}

/** One connection, made on first use. */
export class RedisConnection {
  readonly redis: Redis
  readonly #commandTimeoutMs: number
  /** Shared by all that wait. */
  #opening: Promise<void> | null = null

  constructor(options: RedisConnectionOptions) {
    this.#commandTimeoutMs = options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS
    this.redis = new Redis(options.url, {
      lazyConnect: true,
      // A command whose reply was lost may have been applied: who sent it decides, not the driver.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      commandTimeout: this.#commandTimeoutMs,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // A frozen server keeps its connections open; a new one is the only way to find out that it is back elsewhere.
      socketTimeout: 2 * this.#commandTimeoutMs,
      keepAlive: 5_000,
      retryStrategy: (times) => Math.min(RECONNECT_MS_MAX, RECONNECT_MS_FIRST * 2 ** Math.min(times, 10)),
      // After a failover the old master only reads.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    })
    this.redis.on('error', (error: Error) => options.onError?.(error))
  }

  /** Runs commands on a ready connection. @throws StoreUnavailableError for whatever goes wrong with it */
  async run<Result>(commands: (redis: Redis) => Promise<Result>): Promise<Result> {
    try {
      await this.#ready()
      return await commands(this.redis)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new StoreUnavailableError(`Redis is unavailable: ${reason}`, { cause })
    }
  }

  close(): void {
    this.redis.disconnect()
  }

  #ready(): Promise<void> | null {
    if (this.redis.status === 'ready') return null
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  /** Waits for the connection as long as for a command. */
  async #open(): Promise<void> {
    const { redis } = this
    if (redis.status === 'end') throw new Error('the connection is closed')
    if (redis.status === 'wait') {
      // Its failure is heard as an event below and by the listener of errors.
      redis.connect().catch(() => {})
    }
    await new Promise<void>((resolve, reject) => {
      const finish = (error: Error | null): void => {
        clearTimeout(timer)
        redis.off('ready', onReady)
        redis.off('end', onEnd)
        if (error === null) resolve()
        else reject(error)
      }
      const onReady = (): void => finish(null)
      const onEnd = (): void => finish(new Error('the connection is closed'))
      const timer = setTimeout(() => finish(new Error('no connection in time')), this.#commandTimeoutMs)
      redis.once('ready', onReady)
      redis.once('end', onEnd)
    })
  }
}
