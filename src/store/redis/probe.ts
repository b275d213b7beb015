// A look at a Redis that is to keep money: whether it can run the scripts at all, and whether it keeps what it takes.

import type { RedisConnection } from './connection.ts'
import { isLasting, unavailable } from './faults.ts'
import { PROBE_KEYS, PROBED_TAGS } from './keys.ts'

/** `evicts`: it may drop keys when memory is short. `forgets`: it writes nothing to its disk. */
export type RedisRisk = 'evicts' | 'forgets'

export const REDIS_RISKS: readonly RedisRisk[] = ['evicts', 'forgets']

export interface RedisLook {
  /** By risk, what was found on which server: `maxmemory-policy allkeys-lru on 10.0.0.1:6379`. */
  readonly risks: ReadonlyMap<RedisRisk, string>
  /** What could not be looked at, and why; null: everything could. */
  readonly unseen: string | null
  /** Redis' clock when it was asked (epoch ms). */
  readonly redisAtMs: number
}

/** One of `masters()`: each has its own configuration. */
type Node = ReturnType<RedisConnection['masters']>[number]

const SETTINGS = ['maxmemory-policy', 'appendonly', 'save']

/** @throws StoreUnavailableError; where isLasting says so, it is not worth waiting */
export async function lookAtRedis(connection: RedisConnection): Promise<RedisLook> {
  const redisAtMs = await tried(connection)
  const risks = new Map<RedisRisk, string>()
  let unseen: string | null = null
  for (const node of connection.masters()) {
    const seen = await settingsOf(node)
    const where = placeOf(node)
    if (typeof seen === 'string') unseen ??= `${seen} on ${where}`
    else for (const [risk, found] of risksOf(seen)) risks.set(risk, `${found} on ${where}`)
  }
  return { risks, unseen, redisAtMs }
}

/** A shard that is down keeps nobody from the others; what is forbidden anywhere will not do. */
async function tried(connection: RedisConnection): Promise<number> {
  const answers = await Promise.allSettled(
    PROBED_TAGS.map((tag) => connection.script('probe-3', PROBE_KEYS(tag), [])),
  )
  const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
  const worst = failures.find(isLasting) ?? (failures.length === answers.length ? failures[0] : undefined)
  if (worst !== undefined) throw worst
  const [first] = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  return Number(first)
}

/** The reason why not, when the server does not say. One of several that is down keeps nobody from the others. */
async function settingsOf(node: Node): Promise<ReadonlyMap<string, string> | string> {
  try {
    return pairs(await node.call('config', 'get', ...SETTINGS))
  } catch (error) {
    return unavailable(error).message
  }
}

/** Whom it is connected to now, for a URL may name sentinels. */
function placeOf({ stream, options }: Node): string {
  const socket = stream as { readonly remoteAddress?: string; readonly remotePort?: number } | undefined
  return `${socket?.remoteAddress ?? options.host}:${socket?.remotePort ?? options.port}`
}

function risksOf(settings: ReadonlyMap<string, string>): ReadonlyMap<RedisRisk, string> {
  const risks = new Map<RedisRisk, string>()
  const policy = settings.get('maxmemory-policy') ?? 'noeviction'
  if (policy !== 'noeviction') risks.set('evicts', `maxmemory-policy ${policy}`)
  if (settings.get('appendonly') === 'no' && settings.get('save') === '')
    risks.set('forgets', 'appendonly no and no save')
  return risks
}

/** A map comes as a list of names and values. */
function pairs(reply: unknown): ReadonlyMap<string, string> {
  const list = Array.isArray(reply) ? reply.map(String) : []
  const found = new Map<string, string>()
  for (let index = 0; index + 1 < list.length; index += 2) found.set(list[index] ?? '', list[index + 1] ?? '')
  return found
}
