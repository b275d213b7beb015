// The thread of checkpointer.ts.

import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { CheckpointAnswer } from './checkpointer.ts'

/** The event loop's own commits hold the file for milliseconds. */
const BUSY_TIMEOUT_MS = 5_000

const { path } = workerData as { readonly path: string }
const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })

parentPort?.on('message', (segment: number) => {
  let error: string | null = null
  let isWhole = false
  try {
    const row = database.prepare('PRAGMA wal_checkpoint(PASSIVE)').get()
    isWhole = row !== undefined && row['log'] === row['checkpointed']
  } catch (cause) {
    error = cause instanceof Error ? cause.message : String(cause)
  }
  parentPort?.postMessage({ segment, isWhole, error } satisfies CheckpointAnswer)
})
