// Every Redis key of the ledger and of the keys of clients. One hash tag, so that all of them lie in one slot and a script may touch any of
// them in a cluster too.

import { REDIS_STREAM_ROWS_MAX } from '#core/limits.ts'

const TAG = '{sluice}'

/** Counters and high-water marks stay this long after their last write. */
export const COUNTERS_KEPT_DAYS = 400
/** Entries of the stream; with a row goes what points at it. */
export const ROWS_MAX = REDIS_STREAM_ROWS_MAX
/** They stay this long where nothing else is said. */
export const ROWS_MS = 3_600_000

export const KEYS = {
  /** Hash: epoch → last applied sequence. TTL 400 days. Written by apply. */
  applied: (instance: string) => `${TAG}:applied:${instance}`,
  /** Sorted set, all scores 0: instances that ship. No TTL. */
  instances: `${TAG}:instances`,
  /** Stream of rows {instance, epoch, sequence, kind, id, position, row, after}. No TTL, capped at `ROWS_MAX`. Written by apply, ship, trim. */
  rows: `${TAG}:rows`,
  /** Sorted set, all scores 0: `TIME:ID` of each request row in the stream. No TTL, trimmed with the stream. Written by apply. */
  requests: `${TAG}:requests`,
  /** Hash: request id → its stream entries, separated by spaces. No TTL, trimmed with the stream. Written by apply. */
  entries: `${TAG}:entries`,
  /** Sorted set: start of each hour that has counters, by itself. No TTL, trimmed by age. Written by apply. */
  hours: `${TAG}:hours`,
  /** Hash: measure and series → integer. TTL 400 days. Written by apply. */
  hour: (hourMs: number) => `${TAG}:hour:${hourMs}`,
  /** Hash: measure and series → integer, of one day in Asia/Shanghai. TTL 400 days. Written by apply. */
  day: (dayMs: number) => `${TAG}:day:${dayMs}`,
  /** Hash: hour and balance → thousandths used. No TTL, for a quota is not given twice. Written by apply. */
  balances: `${TAG}:balances`,
  /** Hash: owner, epoch, label of the process that writes under this name. TTL 8 s, renewed. Written by claim, release. */
  instance: (instance: string) => `${TAG}:instance:${instance}`,
  /** Hash: id → adjustment as JSON. No TTL, the newest 100,000. Written by apply. */
  adjustments: `${TAG}:adjustments`,
  /** Sorted set, all scores 0: `t:TIME:ID` of each adjustment, and `r:REQUEST`, tab, `TIME:ID`. Trimmed with them. Written by apply. */
  adjustmentIndex: `${TAG}:adjustments:index`,
  /** Hash: id → alert of a budget as JSON, with the instance that told it. No TTL, the newest 10,000. Set once. */
  alerts: `${TAG}:alerts`,
  /** Sorted set, all scores 0: `TIME:ID` of each alert. Trimmed with them. */
  alertIndex: `${TAG}:alerts:index`,
  /** Hash: id of an alert → when the webhook took it. Trimmed with them. */
  alertsDelivered: `${TAG}:alerts:delivered`,
  /** Hash: life (a name that a flushed server has no more), closes (a name for the months that are closed), calls, archived, archived_at_ms, rows_from_ms, rows_unarchived. No TTL. Written by apply, ship, trim, archive, close-month, refound. */
  meta: `${TAG}:meta`,
  /** Sorted set: hour by the number of the call that last counted in it. No TTL, the newest 10,000. Written by apply, ship. */
  touched: `${TAG}:touched`,
  /** Hash: `m MONTH` → its close as JSON, `t MONTH` → its total as JSON. No TTL, at most 400 months. Written by close-month, keep-month, refound. */
  months: `${TAG}:months`,
  /** Hash: closed month → its table. No TTL, one each. Written by keep-month, refound. */
  monthTables: `${TAG}:months:tables`,
  /** String: rows that an instance has not shipped. TTL 10 s, renewed. */
  waiting: (instance: string) => `${TAG}:waiting:${instance}`,
  /** Sorted set: instance by when it last said what waits. Trimmed by age, without those that left nothing. */
  waiters: `${TAG}:waiters`,
  /** String: who writes a ledger anew. TTL 15 s. */
  founding: `${TAG}:founding`,
  /** Sorted set: instance by how much of the ledger its archive has. TTL 60 s. */
  founders: `${TAG}:founders`,
  /** Hash: instance, mode, rows_from_ms of the archive. TTL 10 s, renewed. Written by archive. */
  archive: `${TAG}:archive`,
  /** String: the instance that archived last. TTL a day. */
  archiveKnown: `${TAG}:archive:known`,
  /** String: an instance that is told to archive and waits for it. TTL 10 s. Written by archive. */
  archiveWanted: `${TAG}:archive:wanted`,
  /** Hash: `INSTANCE:EPOCH` → last row that the archive has. TTL 400 days. */
  archived: `${TAG}:archived`,
  /** List: ids of questions to the archive, at most 256. TTL 60 s. */
  questions: `${TAG}:questions`,
  /** String: a question as JSON. TTL: its deadline. */
  question: (id: string) => `${TAG}:question:${id}`,
  /** List: parts of an answer. TTL 60 s. */
  answer: (id: string) => `${TAG}:answer:${id}`,
  /** String: running requests of an instance as JSON. TTL 10 s, renewed while there are any. */
  running: (instance: string) => `${TAG}:running:${instance}`,
  /** Sorted set: instance by when it last said what it runs. Trimmed by age. */
  runners: `${TAG}:runners`,
  /** Hash: id → key of a client as JSON, with digests and without secrets. No TTL, purged. Written by key-put, key-purge. */
  clientKeys: `${TAG}:keys`,
  /** Hash: name → id, without deleted keys. No TTL. Written by key-put, key-purge. */
  clientKeyNames: `${TAG}:keys:names`,
  /** Sorted set, all scores 0: ids without those of deleted keys. No TTL. Written by key-put, key-purge. */
  clientKeyIds: `${TAG}:keys:ids`,
  /** Sorted set: id by the revision of its last write. No TTL. Written by key-put, key-purge. */
  clientKeyChanges: `${TAG}:keys:changes`,
  /** Sorted set: id by the moment it was revoked or deleted. No TTL. Written by key-put, key-purge. */
  clientKeysEnded: `${TAG}:keys:ended`,
  /** Hash: life (a name that a flushed server has no more), revision. No TTL. Written by key-put. */
  clientKeysMeta: `${TAG}:keys:meta`,
  /** String: which file was moved here. No TTL. Written by a move between stores. */
  moved: `${TAG}:moved`,
  /** String: the pepper of digests where no instance was told one. No TTL. Set once. */
  secret: `${TAG}:secret`,
} as const

/**
 * Keys of the purses of one tag (`org:NAME`, `provider:NAME`, `target:PROVIDER/MODEL`), in a slot of their own. None has a
 * TTL: what they hold goes with its scopes, sessions and windows. Written by lease, charge and found.
 */
export const PURSE_KEYS = (tag: string) =>
  ({
    /** Hash: life, what was spent and is lent of each scope. */
    purse: `{${tag}}:purse`,
    /** Hash: session, kind and scope → lent. */
    lent: `{${tag}}:lent`,
    /** Sorted set, all scores 0: the fields of `lent`. */
    index: `{${tag}}:index`,
    /** Sorted set: session by its last word. */
    seen: `{${tag}}:seen`,
    /** Hash: session → its last sequence and the answer. */
    answers: `{${tag}}:answers`,
    /** Hash: rates and rolling budgets, in rings of buckets. */
    windows: `{${tag}}:windows`,
    /** Hash: session → the last row applied. */
    marks: `{${tag}}:marks`,
  }) as const

/** A hash, a stream and a sorted set that are there for a moment. Written by probe. */
export const PROBE_KEYS = (tag: string) => [
  `{${tag}}:probe:hash`,
  `{${tag}}:probe:stream`,
  `{${tag}}:probe:set`,
]
/** Of the ledger, and one of each kind of purse. */
export const PROBED_TAGS = ['sluice', 'org:', 'provider:', 'target:']
