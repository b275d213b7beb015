// The driver's client for each way in which Redis is run. It never sends a command again by itself, since a command
// whose reply was lost may have been applied, and it keeps none for later: who sent it decides.

import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RedisAddress } from '#core/store-url.ts'

type NodeOptions = Omit<RedisOptions, 'replyMapping'>

/** What both have: commands, pipelines, `call`. */
export type RedisClient = Cluster | Redis

const CONNECT_TIMEOUT_MS = 1_000
const RECONNECT_MS_FIRST = 50
/** A promoted replica is found within this and one try to connect. */
const RECONNECT_MS_MAX = 500
/** A server that loads is asked again so soon. */
const LOADING_MS = 200
/** How long a closed connection may linger; a frozen server says no goodbye. */
const DISCONNECT_MS = 100
const SENTINEL_TIMEOUT_MS = 500
const SLOTS_TIMEOUT_MS = 500
const SLOTS_REFRESH_MS = 10_000
const REDIRECTIONS_MAX = 16
/** While a slot is on its way, and some keys of a script have arrived. */
const TRY_AGAIN_MS = 100

/** Connects when it is told to. */
export function createClient(address: RedisAddress, commandTimeoutMs: number): RedisClient {
  const options = nodeOptions(address, commandTimeoutMs)
  const [first] = address.hosts
  switch (address.topology) {
    case 'standalone':
      return new Redis({ ...options, ...first, db: address.database, enableOfflineQueue: false })
    case 'sentinel':
      return new Redis({
        ...options,
        ...sentinelOptions(address),
        db: address.database,
        enableOfflineQueue: false,
      })
    case 'cluster':
      return new Cluster([...address.hosts], {
        lazyConnect: true,
        redisOptions: options,
        enableOfflineQueue: false,
        // The state of the cluster is told by the answers to commands.
        enableReadyCheck: false,
        clusterRetryStrategy: reconnectMs,
        // These two would send a command again whose reply was lost.
        retryDelayOnFailover: 0,
        retryDelayOnClusterDown: 0,
        retryDelayOnTryAgain: TRY_AGAIN_MS,
        maxRedirections: REDIRECTIONS_MAX,
        slotsRefreshTimeout: SLOTS_TIMEOUT_MS,
        slotsRefreshInterval: SLOTS_REFRESH_MS,
        // Certificates are for names.
        ...(address.tls ? { dnsLookup: (name, done) => done(null, name) } : {}),
      })
  }
}

function nodeOptions(address: RedisAddress, commandTimeoutMs: number): NodeOptions {
  return {
    ...(address.username === null ? {} : { username: address.username }),
    ...(address.password === null ? {} : { password: address.password }),
    ...(address.tls ? { tls: {} } : {}),
    lazyConnect: true,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_MS,
    // A frozen server keeps its connections open; a new one is the only way to find out that it is back elsewhere.
    socketTimeout: 2 * commandTimeoutMs,
    keepAlive: 5_000,
    // A server that loads says so to each command, which tells more than a connection that does not come.
    enableReadyCheck: false,
    retryStrategy: reconnectMs,
    // After a failover the old master only reads.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  }
}

function sentinelOptions(address: RedisAddress): NodeOptions {
  return {
    sentinels: [...address.hosts],
    name: address.masterName ?? '',
    ...(address.sentinelUsername === null ? {} : { sentinelUsername: address.sentinelUsername }),
    ...(address.sentinelPassword === null ? {} : { sentinelPassword: address.sentinelPassword }),
    ...(address.tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    sentinelRetryStrategy: reconnectMs,
    // Here the check is for the role: sentinels may still name a master that has become a replica.
    enableReadyCheck: true,
    maxLoadingRetryTime: LOADING_MS,
  }
}

function reconnectMs(times: number): number {
  return Math.min(RECONNECT_MS_MAX, RECONNECT_MS_FIRST * 2 ** Math.min(times - 1, 10))
}
