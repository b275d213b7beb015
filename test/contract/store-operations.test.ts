// Random lives of a journal, crashes among them, against a model that is a map: what the model has, SQLite has, and it
// counts what a store in memory counts of the same rows.

import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AttemptRow, RequestRow, UsageQuery } from '#core/ledger.ts'
import { NANO_ZERO, type Nano } from '#core/money.ts'
import { openNodeAppendLog } from '#runtime/node/append-log.ts'
import { openNodeSqlite, openNodeSqliteReader } from '#runtime/node/sqlite.ts'
import { createMemoryStore } from '#store/memory.ts'
import { checkCounters } from '#store/sqlite/counter-check.ts'
import { openSqliteLedger, type SqliteLedger } from '#store/sqlite/store.ts'
import {
  attemptRow,
  batchOf,
  HOUR_MS,
  openAttempt,
  openRequest,
  requestRow,
  START_MS,
} from '../support/ledger-rows.ts'
import { temporaryFolder } from '../support/sqlite-ledger.ts'
import { FakeClock } from '../unit/pipeline/support.ts'

const SEED = 8_311
const RUNS = 150

type Operation =
  | { readonly kind: 'begin' | 'end' | 'retry' | 'finish'; readonly index: number }
  | { readonly kind: 'turn' | 'time' | 'flush' | 'rotate' | 'checkpoint' | 'ask' | 'crash' | 'close' }

const operations: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constantFrom('begin' as const, 'end' as const, 'retry' as const, 'finish' as const),
        index: fc.nat(5),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constantFrom('turn' as const, 'time' as const, 'flush' as const, 'rotate' as const),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('checkpoint' as const, 'ask' as const, 'crash' as const, 'close' as const),
      }),
    },
  ),
  { maxLength: 60 },
)

interface Life {
  readonly request: RequestRow
  readonly attempts: readonly AttemptRow[]
}

/** What is true, and what of it is on the disk. */
class Model {
  lives = new Map<string, Life>()
  #durable = new Map<string, Life>()

  set(life: Life): void {
    this.lives.set(life.request.id, life)
  }

  settle(): void {
    this.#durable = new Map(this.lives)
  }

  crash(): void {
    this.lives = new Map(
      [...this.#durable].map(([id, life]) => [id, isOver(life) ? life : interrupted(life)]),
    )
    this.settle()
  }

  ended(): Life[] {
    return [...this.lives.values()].filter(isOver)
  }
}

const isOver = ({ request }: Life): boolean => request.outcome !== 'open'

function interrupted({ request, attempts }: Life): Life {
  const ended = attempts.map((row) => (row.outcome === 'open' ? { ...row, ...CUT } : row))
  const costs = ended.flatMap(({ cost }) => (cost === null ? [] : [cost.amountNano]))
  const costNano = costs.length === 0 ? null : costs.reduce((sum, cost) => (sum + cost) as Nano, NANO_ZERO)
  return {
    request: { ...request, outcome: 'interrupted', attempts: ended.length, costNano },
    attempts: ended,
  }
}

const CUT = { outcome: 'interrupted', usageSource: 'recovered' } as const

class Subject {
  readonly #path: string
  readonly #clock = new FakeClock()
  #scheduled: (() => void)[] = []
  #driver = openNodeSqlite(':memory:')
  ledger: SqliteLedger

  constructor(path: string) {
    this.#path = path
    this.#driver.close()
    this.ledger = this.#open()
  }

  #open(): SqliteLedger {
    this.#driver = openNodeSqlite(this.#path)
    const ledger = openSqliteLedger(this.#driver, {
      clock: this.#clock,
      log: openNodeAppendLog(this.#path),
      schedule: (run) => void this.#scheduled.push(run),
      makeInstance: () => 'one',
      shipping: false,
    })
    ledger.recover((row) => row)
    this.turn()
    return ledger
  }

  turn(): void {
    for (const run of this.#scheduled.splice(0)) run()
  }

  time(): void {
    this.turn()
    this.#clock.advance(1_500)
  }

  crash(): void {
    this.ledger.journal.stop()
    this.#scheduled = []
    this.#driver.close()
    this.ledger = this.#open()
  }

  reopen(): void {
    this.ledger.close()
    this.ledger = this.#open()
  }
}

function apply(operation: Operation, model: Model, subject: Subject, serial: () => number): void {
  const { journal } = subject.ledger
  const nobody = (): void => undefined
  if ('index' in operation) {
    const running = [...model.lives.values()].filter((life) => !isOver(life))
    const life = running[operation.index % Math.max(1, running.length)]
    const number = serial()
    if (operation.kind === 'begin') {
      const id = `r${number}`
      const timeMs = START_MS + number * HOUR_MS
      const row = openAttempt({ requestId: id, startedAtMs: timeMs })
      const request = openRequest({ id, timeMs })
      journal.open(request, row, nobody)
      model.set({ request, attempts: [row] })
      return
    }
    if (life === undefined) return
    const { request, attempts } = life
    const last = attempts.at(-1)
    if (last === undefined) return
    if (operation.kind === 'end' && last.outcome === 'open') {
      const { requestId, attempt, startedAtMs } = last
      const outcome = number % 3 === 0 ? 'timeout' : 'success'
      const row = attemptRow({
        requestId,
        attempt,
        startedAtMs,
        outcome,
        ...(number % 5 === 0 && { cost: null }),
      })
      journal.attempt(row)
      model.set({ request, attempts: [...attempts.slice(0, -1), row] })
    } else if (operation.kind === 'retry' && last.outcome !== 'open') {
      const row = openAttempt({
        requestId: request.id,
        attempt: last.attempt + 1,
        startedAtMs: last.startedAtMs + 1,
        target: 'qwen/flash',
      })
      journal.open(request, row, nobody)
      model.set({ request, attempts: [...attempts, row] })
    } else if (operation.kind === 'finish' && last.outcome !== 'open') {
      const { id, timeMs } = request
      const row = requestRow({ id, timeMs, attempts: attempts.length })
      journal.request(row, nobody)
      model.set({ request: row, attempts })
    }
    return
  }
  switch (operation.kind) {
    case 'turn':
      subject.turn()
      break
    case 'time':
      subject.time()
      break
    case 'flush':
      journal.flush()
      break
    case 'rotate':
      journal.rotate()
      break
    case 'checkpoint': {
      const { segment } = subject.ledger
      subject.ledger.checkpoint()
      subject.ledger.checkpointed(segment)
      return
    }
    case 'ask':
      void subject.ledger.store.usage(QUERIES[0] as UsageQuery)
      break
    case 'crash':
      model.crash()
      subject.crash()
      return
    case 'close':
      // A stop waits for requests; one that runs all the same is as if it had been cut.
      model.settle()
      model.crash()
      subject.reopen()
      return
  }
  model.settle()
}

const QUERIES: readonly UsageQuery[] = [
  { groupBy: [], bucket: null, fromMs: null, toMs: null },
  { groupBy: ['model', 'target'], bucket: 'hour', fromMs: null, toMs: null },
  { groupBy: ['key'], bucket: 'day', fromMs: null, toMs: null },
  { groupBy: ['user', 'target'], bucket: null, fromMs: null, toMs: null },
]

test(`whatever a journal lives through, its ledger says what happened (seed ${SEED})`, async () => {
  const folder = temporaryFolder()
  let files = 0
  try {
    await fc.assert(
      fc.asyncProperty(operations, async (list) => {
        const path = join(folder.path, `${files++}.db`)
        const model = new Model()
        const subject = new Subject(path)
        let number = 0
        for (const operation of list) apply(operation, model, subject, () => number++)
        model.crash()
        subject.crash()
        const ended = model.ended()
        const memory = createMemoryStore()
        await memory.apply(
          batchOf(
            ended.flatMap(({ request, attempts }) => [
              ...attempts.map((row) => ({ kind: 'attempt' as const, row })),
              { kind: 'request' as const, row: request },
            ]),
          ),
        )
        const { store } = subject.ledger
        for (const life of ended) expect(await store.request(life.request.id)).toEqual(life)
        const page = { limit: 500, cursor: null }
        expect(await store.requests(page)).toEqual(await memory.requests(page))
        for (const query of QUERIES) expect(await store.usage(query)).toEqual(await memory.usage(query))
        const reader = openNodeSqliteReader(path)
        expect(checkCounters(reader, { fromMs: 0 }, () => undefined)).toEqual({ hoursMs: [], daysMs: [] })
        reader.close()
        subject.ledger.close()
      }),
      { seed: SEED, numRuns: RUNS },
    )
  } finally {
    folder.remove()
  }
})
