// Hears from sentinels that another master was promoted. A frozen master keeps its connections open, so nothing else
// would say so. The driver has such a thing too; its connections report to the console whenever a sentinel is down.

import { Redis } from 'ioredis'
import type { RedisAddress } from '#core/store-url.ts'

const CHANNEL = '+switch-master'
const CONNECT_TIMEOUT_MS = 1_000
const RECONNECT_MS = 2_000

/** `client` is the connection to the master. Returns what ends it. */
export function watchSentinels(address: RedisAddress, client: Redis): () => void {
  const watchers = address.hosts.map(({ host, port }) => {
    const watcher = new Redis({
      host,
      port,
      ...(address.sentinelUsername === null ? {} : { username: address.sentinelUsername }),
      ...(address.sentinelPassword === null ? {} : { password: address.sentinelPassword }),
      ...(address.tls ? { tls: {} } : {}),
      connectTimeout: CONNECT_TIMEOUT_MS,
      enableReadyCheck: false,
      // It waits for a sentinel that is down, however long.
      maxRetriesPerRequest: null,
      retryStrategy: () => RECONNECT_MS,
      keepAlive: RECONNECT_MS,
    })
    // The others tell the same, and whether the master answers is heard elsewhere.
    watcher.on('error', () => {})
    watcher.on('message', (_channel: string, text: string) => {
      const [name, , , newHost, newPort] = text.split(' ')
      // One that is being looked for must not be cut: the driver would take that for an end.
      const stands = client.status === 'ready' || client.status === 'connect'
      if (name === address.masterName && stands && !isConnectedTo(client, newHost, newPort))
        client.disconnect(true)
    })
    watcher.subscribe(CHANNEL).catch(() => {})
    return watcher
  })
  return () => {
    for (const watcher of watchers) watcher.disconnect()
  }
}

/** All sentinels tell of a promotion; the first that does is enough. */
function isConnectedTo(client: Redis, host: string | undefined, port: string | undefined): boolean {
  // Before its first connection it has no socket.
  const socket = client.stream as typeof client.stream | undefined
  if (socket === undefined || !('remoteAddress' in socket)) return false
  return socket.remoteAddress === host && String(socket.remotePort) === port
}
