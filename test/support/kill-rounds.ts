// Gateways that are killed under load, one after the other on the same files, and an upstream that keeps a book of its
// own: what it served, what clients were told and what the ledger says must agree.

import { Agent } from 'node:http'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { answerText, JSON_HEADERS } from './chat-bytes.ts'
import { CRASH_POINTS, type CrashPoint } from './crash-points.ts'
import { type ChildGateway, KEY, startChildGateway } from './gateway.ts'
import { configOf } from './gateway-config.ts'
import { ask } from './http-client.ts'
import { readScrape } from './prometheus-text.ts'
import { startRawUpstream } from './raw-upstream.ts'

export interface KillOptions {
  readonly kills: number
  readonly seed: number
  readonly onRound?: (line: string) => void
}

export interface KillResult {
  readonly kills: number
  readonly acknowledged: number
  /** Calls that the upstream answered. */
  readonly served: number
  /** Attempts in the ledger. */
  readonly booked: number
  readonly recovered: number
  /** Answered requests that the ledger does not have, or has otherwise. */
  readonly lost: readonly string[]
  /** Rows that are there twice: of a request, or of a call of the upstream. */
  readonly doubled: readonly string[]
  /** Requests that a recovery left open, and money that it left held. */
  readonly leftOpen: number
  readonly heldAfter: number
  /** Calls of the upstream that have no row. */
  readonly unbooked: number
}

const WORKERS = 8
const MOMENT_MS_MAX = 1_200
const PASSES_MAX = 120
const STRICT_KEY = 'sk-strict-0123456789'
const PRELOAD = join(import.meta.dirname, 'crash-points.ts')

interface Row {
  readonly id: string
  readonly outcome: string
  readonly attempt_count: number
}

export async function killRounds({ kills, seed, onRound }: KillOptions): Promise<KillResult> {
  let served = 0
  const upstream = await startRawUpstream(() => {
    served++
    return {
      headers: { ...JSON_HEADERS, 'x-request-id': `up-${served}` },
      framing: 'length',
      steps: [answerText('hello', { prompt_tokens: 5, completion_tokens: 1 + (served % 7) })],
    }
  })
  const config = configOf({
    providers: { a: upstream.baseUrl },
    over: {
      keys: [
        { name: 'tester', key: KEY },
        { name: 'strict', key: STRICT_KEY, max_budget: '1000', budget_mode: 'strict', rpm: 1_000_000 },
      ],
    },
  })
  const random = randomOf(seed)
  const acknowledged: string[] = []
  const lost: string[] = []
  let folder: string | undefined
  let heldAfter = 0
  let checked = 0
  const start = async (crashAt: string): Promise<ChildGateway> => {
    const gateway = await startChildGateway({
      config,
      env: { NODE_OPTIONS: `--import ${PRELOAD}`, SLUICE_CRASH_AT: crashAt },
      ...(folder === undefined ? {} : { folder }),
    })
    folder = gateway.folder
    return gateway
  }
  /** A point may be passed in a recovery, before there is anything to be asked. */
  const startOrDie = (crashAt: string): Promise<ChildGateway | null> =>
    start(crashAt).catch((error: unknown) => {
      if (crashAt === '') throw error
      return null
    })
  try {
    folder = (
      await start('').then(async (first) => {
        await first.close({ keepFolder: true })
        return first
      })
    ).folder
    for (let round = 0; round < kills; round++) {
      // Every second kill is at a named point, in turn; the others come at any moment.
      const point: CrashPoint | null =
        round % 2 === 0 ? null : (CRASH_POINTS[(round >> 1) % CRASH_POINTS.length] ?? null)
      const passes =
        1 + Math.floor(random() * (point === 'before_book' || point === 'before_roll_up' ? 4 : PASSES_MAX))
      const gateway = await startOrDie(point === null ? '' : `${point}:${passes}`)
      if (gateway === null) {
        onRound?.(`kill ${round + 1} ${point}: while it recovered`)
        continue
      }
      heldAfter = Math.max(heldAfter, await heldIn(gateway))
      // What the last one had answered is there, whole.
      for (const id of acknowledged.slice(checked)) if (!(await hasSuccess(gateway, id))) lost.push(id)
      checked = acknowledged.length
      const answered = await loadUntilDead(gateway, point === null ? random() * MOMENT_MS_MAX : null)
      acknowledged.push(...answered)
      onRound?.(`kill ${round + 1} ${point ?? 'at any moment'}: ${answered.length} answered`)
    }
    const last = await start('')
    try {
      heldAfter = Math.max(heldAfter, await heldIn(last))
      const rows = await allRequests(last)
      const byId = new Map(rows.map((row) => [row.id, row]))
      for (const id of acknowledged) if (byId.get(id)?.outcome !== 'success') lost.push(id)
      const doubled = rows.length === byId.size ? [] : rows.map(({ id }) => id)
      const calls = new Set<string>()
      for (const { id } of rows) {
        for (const attempt of (await last.detail(id)).attempts) {
          const call = attempt.upstream_request_id
          if (call === null) continue
          if (calls.has(call)) doubled.push(call)
          calls.add(call)
        }
      }
      const { total } = (await last.admin('/usage')) as {
        total: { attempts: number; estimated_attempts: number }
      }
      return {
        kills,
        acknowledged: acknowledged.length,
        served,
        booked: total.attempts,
        recovered: total.estimated_attempts,
        lost: [...new Set(lost)],
        doubled,
        leftOpen: rows.filter(({ outcome }) => outcome === 'open').length,
        heldAfter,
        unbooked: Math.max(0, served - total.attempts),
      }
    } finally {
      await last.close()
    }
  } finally {
    await upstream.close()
  }
}

/** Returns the requests that were answered to their end. */
async function loadUntilDead(gateway: ChildGateway, momentMs: number | null): Promise<string[]> {
  const answered: string[] = []
  const agent = new Agent({ keepAlive: true })
  let isDead = false
  void gateway.exited.then(() => {
    isDead = true
  })
  const work = async (worker: number): Promise<void> => {
    while (!isDead) {
      const got = await ask(`${gateway.url}/v1/chat/completions`, {
        key: worker % 2 === 0 ? KEY : STRICT_KEY,
        agent,
        body: { model: 'm', max_tokens: 20, messages: [{ role: 'user', content: 'x' }] },
      }).catch(() => null)
      if (got?.status === 200) answered.push(got.headers['x-request-id'] ?? '')
    }
  }
  const workers = Array.from({ length: WORKERS }, (_, worker) => work(worker))
  if (momentMs !== null) {
    await wait(momentMs)
    await gateway.kill('SIGKILL')
  } else {
    // A point that is not passed often enough is no reason to wait for ever.
    await Promise.race([gateway.exited, wait(10_000)])
    if (!isDead) await gateway.kill('SIGKILL')
  }
  await gateway.exited
  isDead = true
  await Promise.all(workers)
  agent.destroy()
  return answered
}

async function heldIn(gateway: ChildGateway): Promise<number> {
  return readScrape(await gateway.metrics()).sum('sluice_holds_cny')
}

async function hasSuccess(gateway: ChildGateway, id: string): Promise<boolean> {
  const { outcome, attempts } = await gateway.detail(id)
  return outcome === 'success' && attempts.filter((attempt) => attempt.outcome === 'success').length === 1
}

async function allRequests(gateway: ChildGateway): Promise<readonly Row[]> {
  const rows: Row[] = []
  let cursor: unknown = null
  do {
    const after: string = cursor === null ? '' : `&cursor=${encodeURIComponent(String(cursor))}`
    const page = await gateway.admin(`/requests?limit=500${after}`)
    rows.push(...(page['data'] as Row[]))
    cursor = page['next_cursor']
  } while (cursor !== null)
  return rows
}

/** A small generator of our own: the seed tells all moments. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
