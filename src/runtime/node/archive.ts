// The archive of a fleet on this instance: whether it is it, what it may let go, and how it is asked from anywhere.

import { GatewayError } from '#core/errors.ts'
import type { RequestDetail } from '#core/ledger.ts'
import type { SpentAsked, SpentSnapshot } from '#core/spent.ts'
import { ArchiveKeeper } from '#store/archive-keeper.ts'
import { type ArchiveQuestion, answerText, readAnswer, readWords, writeWords } from '#store/archive-words.ts'
import { StoreUnavailableError } from '#store/errors.ts'
import { checkRowsFrom, withinBound } from '#store/fleet-store.ts'
import type { ArchiveFeed } from '#store/redis/archive-feed.ts'
import type { RedisConnection } from '#store/redis/connection.ts'
import type { LedgerFounder } from '#store/redis/founder.ts'
import { Mailbox } from '#store/redis/mailbox.ts'
import { RunningBoard } from '#store/redis/running.ts'
import type { RedisLedgerStore } from '#store/redis/store.ts'
import type { SqliteLedger } from '#store/sqlite/store.ts'
import { holdsMonth } from './fleet-months.ts'
import type { LedgerOptions } from './node-ledger.ts'
import { clock } from './system.ts'

/** Shipped rows stay so long, for a look at the instance itself and for a Redis that comes back with less. */
const KEPT_MS = 3_600_000
/** They wait for the archive no longer than this. */
const KEPT_MS_MAX = 24 * 3_600_000
const LOOK_MS = 15_000
const RUNNING_MS = 1_000
const SPENT_MS = 5_000

export interface ArchiveOptions extends Pick<LedgerOptions, 'settings' | 'metrics' | 'log'> {
  readonly ledger: SqliteLedger
  readonly connection: RedisConnection
  readonly feed: ArchiveFeed
  readonly store: RedisLedgerStore
  readonly founder: LedgerFounder
}

export interface NodeArchive {
  /** This instance is the ledger of record, and knows all that was shipped until lately. */
  readonly isCurrent: () => boolean
  /** Reads what others have shipped by now. */
  readonly catchUp: () => Promise<void>
  /** What of the journal's shipped rows may go. */
  readonly keep: () => { readonly beforeMs: number; readonly archivedSequence: number }
  /** @throws StoreUnavailableError when nobody answers in time */
  readonly ask: (question: ArchiveQuestion, waitMs: number) => Promise<unknown>
  /** null: no archive says it, and what Redis counts is all there is. @throws StoreUnavailableError */
  readonly spent: (asked: readonly SpentAsked[]) => Promise<SpentSnapshot | null>
  /** Requests that run, here and elsewhere. */
  readonly running: () => Promise<readonly RequestDetail[]>
  close(): Promise<void>
}

export function openArchive(options: ArchiveOptions): NodeArchive {
  const { ledger, connection, feed, store, founder, settings, log } = options
  const { record, journal, outbox } = ledger
  const mailbox = new Mailbox(connection, clock)
  const board = new RunningBoard(connection, ledger.instance)
  const keeper = settings.archive === 'off' ? null : openKeeper(options, settings.archive, mailbox)
  let archived: number | null = null
  let looks = 0
  const look = (): void => {
    feed.archivedSequence(outbox.sessions()).then(
      (sequence) => {
        archived = sequence
      },
      // It is away; what was known of it holds.
      () => undefined,
    )
  }
  const say = (): void => {
    board.say(journal.running(), clock.nowMs()).catch(() => undefined)
  }
  const timers = [setInterval(look, LOOK_MS), setInterval(say, RUNNING_MS)]
  for (const timer of timers) timer.unref()
  look()
  keeper?.start()
  const ask = async (question: ArchiveQuestion, waitMs: number): Promise<unknown> =>
    readAnswer(await mailbox.ask(writeWords(question), waitMs))
  return {
    isCurrent: () => keeper?.isCurrent === true,
    catchUp: async () => {
      await keeper?.catchUp()
    },
    keep() {
      const nowMs = clock.nowMs()
      const all = Number.MAX_SAFE_INTEGER
      if (record.position !== null) return { beforeMs: nowMs - settings.retentionMs, archivedSequence: all }
      looks += 1
      if (archived === null) return { beforeMs: nowMs - KEPT_MS, archivedSequence: all }
      if (looks % 10 === 0) return { beforeMs: nowMs - KEPT_MS_MAX, archivedSequence: all }
      return { beforeMs: nowMs - KEPT_MS, archivedSequence: archived }
    },
    ask,
    async spent(asked) {
      if (keeper?.isCurrent === true) return record.spent(asked)
      // A store that was emptied counts nothing: that is not nothing spent.
      if ((await store.standing(ledger.instance)).life === null) {
        founder.found().catch(() => undefined)
        throw new StoreUnavailableError('the ledger in Redis is written anew')
      }
      if ((await feed.presence()) !== 'there') return null
      try {
        return (await ask({ kind: 'spent', asked }, SPENT_MS)) as SpentSnapshot
      } catch (error) {
        log.debug('archive.unasked', { message: String(error) })
        return null
      }
    },
    running: async () => [...journal.running(), ...(await board.others())],
    async close() {
      for (const timer of timers) clearInterval(timer)
      await keeper?.stop()
      await board.say([], clock.nowMs()).catch((error: unknown) => {
        log.debug('store.unsaid', { message: String(error) })
      })
    },
  }
}

function openKeeper(options: ArchiveOptions, mode: 'auto' | 'on', mailbox: Mailbox): ArchiveKeeper {
  const { ledger, feed, store, founder, metrics, log } = options
  let failure = ''
  const keeper: ArchiveKeeper = new ArchiveKeeper({
    mode,
    record: ledger.record,
    feed,
    mailbox,
    clock,
    rowsWaiting: () => ledger.outbox.rowsWaiting,
    attemptsShared: async () =>
      (await store.usage({ groupBy: [], bucket: null, fromMs: null, toMs: null })).total.attempts,
    answer: ({ text }) => answerText(() => answered(options, keeper, readWords(text) as ArchiveQuestion)),
    found: () => founder.found(),
    onHolder: (isHolder) =>
      log.info(isHolder ? 'archive.begun' : 'archive.ended', { rows_from_ms: ledger.record.requestsFromMs }),
    onState(isHolder, lagMs) {
      metrics.archive(isHolder, lagMs)
      if (keeper.isCurrent) failure = ''
    },
    onAdopted: (why, requestsFromMs) =>
      log.warn('archive.adopted', { why, requests_from_ms: requestsFromMs }),
    onDisowned: (attempts) => log.error('store.disowned', { attempts }),
    onError(error) {
      const message = String(error)
      if (message === failure) return
      failure = message
      log.warn('archive.behind', { message })
    },
  })
  return keeper
}

async function answered(
  { ledger, store: shared }: ArchiveOptions,
  keeper: ArchiveKeeper,
  question: ArchiveQuestion,
): Promise<unknown> {
  if (!keeper.isCurrent) throw new StoreUnavailableError('the archive is catching up')
  await keeper.catchUp()
  const { store, record } = ledger
  switch (question.kind) {
    case 'usage':
      checkRowsFrom(question.query, record.rowsFromMs)
      return store.usage(question.query)
    case 'requests':
      return withinBound(
        await store.requests(question.query),
        question.query,
        record.requestsFromMs,
        'archive',
      )
    case 'request': {
      const found = await store.request(question.id)
      if (found === null && record.requestsFromMs > 0)
        throw new GatewayError('gone', 'the archive has no such request, and not all of the older ones')
      return found
    }
    case 'adjustments':
      return store.adjustments(question.query)
    case 'spent':
      return record.spent(question.asked)
    case 'month':
      return holdsMonth(ledger, shared.months, question.month, question.hasReport)
  }
}
