// Moves SQLite's write-ahead log into its file, which syncs, on a thread of its own: the event loop never waits for it.

import { Worker } from 'node:worker_threads'
import type { SqliteLedger } from '#store/sqlite/store.ts'

const PERIOD_MS = 1_000

/** What the thread answers: the segment it was asked with, and why it failed or null. */
export interface CheckpointAnswer {
  readonly segment: number
  readonly error: string | null
}

export interface Checkpointer {
  stop(): Promise<void>
}

/** When a checkpoint has ended, segments of the journal that were complete before it are dropped. */
export function startCheckpointer(
  path: string,
  ledger: Pick<SqliteLedger, 'segment' | 'checkpointed'>,
  onError: (error: Error) => void,
): Checkpointer {
  const worker = new Worker(new URL('./checkpoint-worker.ts', import.meta.url), { workerData: { path } })
  let isBusy = false
  worker.on('message', ({ segment, error }: CheckpointAnswer) => {
    isBusy = false
    if (error !== null) return onError(new Error(error))
    try {
      ledger.checkpointed(segment)
    } catch (cause) {
      onError(cause instanceof Error ? cause : new Error(String(cause)))
    }
  })
  worker.on('error', onError)
  worker.unref()
  const timer = setInterval(() => {
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
