// What is looked after beside the work of a Redis store: whether it can be trusted with money, and whether another
// process writes under this instance's name. Both are said loudly; the second keeps rows here.

import { readFileSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Log, Metrics } from '#core/telemetry.ts'
import type { RedisConnection } from '#store/redis/connection.ts'
import { isLasting } from '#store/redis/faults.ts'
import { createInstanceClaim, type InstanceClaim } from '#store/redis/instance-claim.ts'
import { lookAtRedis, REDIS_RISKS, type RedisLook, type RedisRisk } from '#store/redis/probe.ts'
import { clock, digest } from './system.ts'

/** Somebody may change its configuration while it runs. */
const LOOK_MS = 60_000
const SAID_AGAIN_MS = 60_000
const CLOCKS_DIFFER_MS = 30_000

export interface RedisCare {
  /** The first look. @throws Error when Redis has said that it will not do until somebody changes something */
  readonly ready: Promise<void>
  close(): void
}

export function careForRedis(connection: RedisConnection, metrics: Metrics, log: Log): RedisCare {
  let isRunning = false
  let said = ''
  let isRefused = false

  async function look(isStart: boolean): Promise<void> {
    if (isRunning) return
    isRunning = true
    try {
      tell(await lookAtRedis(connection))
      isRefused = false
    } catch (error) {
      // One that is away is told of where rows wait.
      if (!isLasting(error)) return
      if (!isRefused) log.error('store.refused', { message: String(error) })
      isRefused = true
      if (isStart) throw error
    } finally {
      isRunning = false
    }
  }

  function tell({ risks, unseen, redisAtMs }: RedisLook): void {
    for (const risk of REDIS_RISKS) metrics.storeRisk(risk, risks.has(risk))
    const differsMs = redisAtMs - clock.nowMs()
    const differs = Math.abs(differsMs) > CLOCKS_DIFFER_MS
    const now = JSON.stringify([...risks, unseen, differs])
    if (now === said) return
    said = now
    for (const [risk, found] of risks) log.warn('store.at_risk', { risk, found, message: RISKS[risk] })
    if (unseen !== null) log.info('store.unseen', { message: unseen })
    if (differs) log.warn('store.clock_differs', { differs_ms: differsMs })
  }

  const ready = look(true)
  // Whoever starts the gateway waits for it; until then it is nobody's.
  ready.catch(() => {})
  connection.onReady(() => void look(false))
  const timer = setInterval(() => void look(false), LOOK_MS)
  timer.unref()
  return { ready, close: () => clearInterval(timer) }
}

const RISKS: Readonly<Record<RedisRisk, string>> = {
  evicts:
    'this Redis may drop budgets and rows when its memory is full: set maxmemory-policy noeviction, and give it memory enough',
  forgets:
    'this Redis writes nothing to its disk, so a restart empties it: set appendonly yes, or at least save',
}

export interface NamedFile {
  readonly path: string
  readonly instance: string
  readonly epoch: number
}

export function claimInstance(
  connection: RedisConnection,
  { path, instance, epoch }: NamedFile,
  metrics: Metrics,
  log: Log,
): InstanceClaim {
  let saidAtMs: number | null = null
  metrics.instanceTaken(false)
  return createInstanceClaim({
    connection,
    instance,
    epoch,
    ...placeOf(path),
    clock,
    onAnswer(other) {
      metrics.instanceTaken(other !== null)
      const nowMs = clock.monotonicMs()
      if (other === null) {
        if (saidAtMs !== null) log.info('instance.held', { instance })
        saidAtMs = null
      } else if (saidAtMs === null || nowMs - saidAtMs > SAID_AGAIN_MS) {
        saidAtMs = nowMs
        log.error('instance.taken', { instance, holder: other.label, message: TAKEN })
      }
    },
  })
}

const TAKEN =
  'another process ships rows under the name of this instance, so rows wait here until it ends: was the journal copied? Give each process a folder of its own (SLUICE_JOURNAL)'

/**
 * One file on one running system: the same for whoever has it next, since a lock lets in one at a time, and another one
 * for every copy.
 */
function placeOf(path: string): { readonly owner: string; readonly label: string } {
  const label = `${hostname()}, process ${process.pid}`
  const { dev, ino } = statSync(path, { bigint: true })
  return { owner: digest(`${bootId() ?? crypto.randomUUID()} ${dev} ${ino}`), label }
}

/** null where the system has none: then a successor waits until the name runs out. */
function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return null
  }
}
