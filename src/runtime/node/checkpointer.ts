// Moves SQLite's write-ahead log into its file, which syncs, on a thread of its own: the event loop never waits for it.

import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { SqliteLedger } from '#store/sqlite/store.ts'

const PERIOD_MS = 1_000

/** What the thread answers: the segment it was asked with, and why it failed or null. */
export interface CheckpointAnswer {
  readonly segment: number
  /** Nothing was left in the log: a long reader keeps some of it there. */
  readonly isWhole: boolean
  readonly error: string | null
}

export interface CheckpointerOptions {
  readonly path: string
  readonly ledger: Pick<SqliteLedger, 'segment' | 'checkpointed'>
  readonly onError: (error: Error) => void
  /** Once a second: the size of the write-ahead log, and since when no checkpoint was whole. */
  readonly onState: (bytes: number, ageMs: number) => void
}

export interface Checkpointer {
  stop(): Promise<void>
}

/** When a checkpoint has ended, segments of the journal that were complete before it are dropped. */
export function startCheckpointer({ path, ledger, onError, onState }: CheckpointerOptions): Checkpointer {
  const worker = new Worker(new URL('./checkpoint-worker.ts', import.meta.url), { workerData: { path } })
  let isBusy = false
  let wholeAtMs = performance.now()
  worker.on('message', ({ segment, isWhole, error }: CheckpointAnswer) => {
    isBusy = false
    if (error !== null) return onError(new Error(error))
    if (isWhole) wholeAtMs = performance.now()
    try {
      // A checkpoint that a reader held up has made nothing safe that came after the reader.
      if (isWhole) ledger.checkpointed(segment)
    } catch (cause) {
      onError(cause instanceof Error ? cause : new Error(String(cause)))
    }
  })
  worker.on('error', onError)
  worker.unref()
  const timer = setInterval(() => {
    onState(sizeOf(`${path}-wal`), performance.now() - wholeAtMs)
    if (isBusy) return
    isBusy = true
    worker.postMessage(ledger.segment)
  }, PERIOD_MS)
  timer.unref()
  return {
    async stop() {
      clearInterval(timer)
      worker.removeAllListeners('message')
      await worker.terminate()
    },
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
