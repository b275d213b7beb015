// A TCP proxy with the faults of networks: replies that get lost with their connection, delays, silence, resets.
// Chance is seeded, so that a run can be run again.

import { connect, createServer, type Socket } from 'node:net'
import { createRandom } from '#simulator/random.ts'

export interface FaultProxy {
  readonly port: number
  /** Replies that were lost so far. */
  readonly lostReplies: number
  /** Connections that were made so far. */
  readonly connections: number
  /** 0 to 1: of what the server sends, so much is lost, and its connection with it. */
  dropReplies(share: number): void
  /** Each piece of a reply comes so much later. */
  delayReplies(delayMs: number): void
  /** Takes connections and bytes, and says nothing. */
  freeze(): void
  resume(): void
  /** Resets all connections that there are. */
  reset(): void
  stop(): Promise<void>
}

export async function startFaultProxy(targetPort: number, seed: number): Promise<FaultProxy> {
  const random = createRandom(seed)
  const sockets = new Set<Socket>()
  let lostReplies = 0
  let connections = 0
  let dropShare = 0
  let delayMs = 0
  let isFrozen = false
  const server = createServer((client) => {
    connections += 1
    const upstream = connect({ host: '127.0.0.1', port: targetPort })
    const cut = (): void => {
      client.resetAndDestroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', cut)
      socket.on('close', () => {
        sockets.delete(socket)
        cut()
      })
      if (isFrozen) socket.pause()
    }
    client.on('data', (data) => upstream.write(data))
    upstream.on('data', (data) => {
      if (random.unit() < dropShare) {
        lostReplies += 1
        cut()
      } else if (delayMs === 0) client.write(data)
      else setTimeout(() => client.writable && client.write(data), delayMs)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get lostReplies() {
      return lostReplies
    },
    get connections() {
      return connections
    },
    dropReplies(share) {
      dropShare = share
    },
    delayReplies(ms) {
      delayMs = ms
    },
    freeze() {
      isFrozen = true
      for (const socket of sockets) socket.pause()
    },
    resume() {
      isFrozen = false
      for (const socket of sockets) socket.resume()
    },
    reset() {
      for (const socket of sockets) socket.resetAndDestroy()
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
