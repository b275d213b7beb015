// A ledger of many rows over a month, written as the gateway writes them, only faster: the disk is not waited for.

import type { Nano } from '#core/money.ts'
import { openNodeSqlite } from '#runtime/node/sqlite.ts'
import type { AttemptCount } from '#store/shipment.ts'
import { LedgerBook } from '#store/sqlite/book.ts'
import { detailText } from '#store/sqlite/entry-text.ts'
import { migrate } from '#store/sqlite/migrate.ts'
import { NO_TOTALS, seriesText } from '#store/usage-report.ts'
import { attemptRow, requestRow } from '../support/ledger-rows.ts'

export interface SeedOptions {
  readonly path: string
  readonly rows: number
  readonly keys: number
  readonly startMs: number
  readonly lengthMs: number
  readonly onProgress: (rows: number) => void
}

const TARGETS = [
  'doubao/seed-1-6',
  'doubao/seed-1-6-flash',
  'qwen/plus',
  'qwen/flash',
  'ernie/4.5',
  'deepseek/v3',
]
const MODELS = ['assistant', 'coder', 'translator', 'search', 'batch']
/** As many as the journal books in one transaction at full load. */
const REQUESTS_AT_ONCE = 500
const ROLL_UP_EVERY = 20

/** What is counted of one key, model and target. */
interface SeededSeries {
  readonly series: string
  readonly before: string
}

export function seedLedger({ path, rows, keys, startMs, lengthMs, onProgress }: SeedOptions): void {
  const driver = openNodeSqlite(path)
  driver.exec('PRAGMA synchronous = OFF')
  driver.exec('PRAGMA cache_size = -262144')
  migrate(driver)
  const book = new LedgerBook(driver, 1, false)
  const all = Array.from({ length: keys }, (_, key) => seriesOfKey(key))
  let random = 12_345
  const next = (below: number): number => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((random / 2 ** 32) * below)
  }
  for (let written = 0; written < rows; written += REQUESTS_AT_ONCE) {
    book.transaction(() => {
      for (let index = 0; index < REQUESTS_AT_ONCE; index++) {
        const number = written + index
        const timeMs = startMs + Math.floor((number / rows) * lengthMs)
        // A few keys do most of the work.
        const key = Math.min(next(keys), next(keys))
        const ofKey = all[key] ?? []
        const { series, before } = ofKey[next(ofKey.length)] as SeededSeries
        const outputTokens = next(2_000)
        const attempt: AttemptCount = {
          startedAtMs: timeMs,
          series,
          user: number % 10 === 0 ? `user-${next(5_000)}` : null,
          totals: {
            ...NO_TOTALS,
            requests: 1,
            attempts: 1,
            inputTokens: 500 + next(4_000),
            cachedInputTokens: next(400),
            outputTokens,
            costNano: BigInt(outputTokens * 2_000) as Nano,
          },
          balances: [],
        }
        book.add({ id: `req_${number.toString(36)}`, timeMs, text: before, attempts: [attempt] }, timeMs)
      }
    })
    if (written % (REQUESTS_AT_ONCE * ROLL_UP_EVERY) === 0) {
      book.rollUp()
      onProgress(written)
    }
  }
  book.rollUp()
  driver.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  driver.close()
}

function seriesOfKey(number: number): readonly SeededSeries[] {
  const key = `key-${number}`
  const tags = { team: `team-${number % 40}`, organisation: `org-${number % 5}` }
  // Two models of each key, and two targets of each model.
  return [0, 1, 2, 3].map((index) => {
    const model = MODELS[(number + (index >> 1)) % MODELS.length] ?? ''
    const target = TARGETS[(number + index) % TARGETS.length] ?? ''
    const request = requestRow({ key, tags, model, user: null })
    const attempts = [attemptRow({ key, tags, model, target, user: null })]
    return { series: seriesText({ key, model, target, tags }), before: detailText({ request, attempts }) }
  })
}
