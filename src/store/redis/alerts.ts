// Alerts of a fleet in Redis: whoever writes one first tells it, and any instance lists them all.

import type { FleetAlerts } from '#core/alerts.ts'
import { PAGE_ROWS_MAX } from '#core/limits.ts'
import { alertText, parseAlert } from '../alert-text.ts'
import { decodeCursor, encodeCursor, positionId, positionOf } from '../cursor.ts'
import type { RedisConnection } from './connection.ts'
import { KEYS } from './keys.ts'

const KEPT_MAX = 10_000
/** Between the instance that told an alert and its text. */
const SEPARATOR = ' '

/** All methods throw StoreUnavailableError when Redis does not answer in time. */
export function createRedisAlerts(connection: RedisConnection, instance: string): FleetAlerts {
  return {
    claim: (alert) =>
      connection.run(async (redis) => {
        const own = instance + SEPARATOR + alertText(alert)
        if ((await redis.hsetnx(KEYS.alerts, alert.id, own)) === 0) {
          const first = await redis.hget(KEYS.alerts, alert.id)
          // This instance was the first, and ended before it told anybody.
          return first?.startsWith(instance + SEPARATOR) ?? false
        }
        await redis.zadd(KEYS.alertIndex, 0, positionOf(alert.atMs, alert.id))
        const excess = (await redis.zcard(KEYS.alertIndex)) - KEPT_MAX
        if (excess <= 0) return true
        const popped = await redis.zpopmin(KEYS.alertIndex, excess)
        const ids = popped.filter((_, index) => index % 2 === 0).map(positionId)
        await redis.hdel(KEYS.alerts, ...ids)
        await redis.hdel(KEYS.alertsDelivered, ...ids)
        return true
      }),
    delivered: (id, atMs) =>
      connection.run(async (redis) => void (await redis.hset(KEYS.alertsDelivered, id, atMs))),
    async list(limit, cursor) {
      const rowsMax = Math.min(limit, PAGE_ROWS_MAX)
      const end = cursor === null ? '+' : `(${decodeCursor(cursor)}`
      return connection.run(async (redis) => {
        const found = await redis.zrevrangebylex(KEYS.alertIndex, end, '-', 'LIMIT', 0, rowsMax + 1)
        const positions = found.slice(0, rowsMax)
        if (positions.length === 0) return { rows: [], nextCursor: null }
        const ids = positions.map(positionId)
        const texts = await redis.hmget(KEYS.alerts, ...ids)
        const delivered = await redis.hmget(KEYS.alertsDelivered, ...ids)
        const rows = texts.flatMap((text, index) => {
          if (text === null) return []
          const atMs = delivered[index] ?? null
          const alert = parseAlert(text.slice(text.indexOf(SEPARATOR) + 1))
          return [{ ...alert, deliveredAtMs: atMs === null ? null : Number(atMs) }]
        })
        const last = found.length > rowsMax ? positions.at(-1) : undefined
        return { rows, nextCursor: last === undefined ? null : encodeCursor(last) }
      })
    },
  }
}
