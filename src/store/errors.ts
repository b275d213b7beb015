// Ways in which a store can fail its callers. Errors of requests stand in core/errors.ts.

import type { ShipOutcome } from './shipment.ts'

/**
 * Why a store took nothing or did not say so. `unanswered` and `disconnected`: what had been sent may have been applied.
 * `loading`, `cluster_down`, `full`, `refusing_writes` and `busy`: nothing was, and later it may be. `forbidden`,
 * `unsupported` and `misconfigured`: nothing was, and somebody has to change something first. `failed`: all else.
 */
export type StoreTrouble =
  | 'unanswered'
  | 'disconnected'
  | 'loading'
  | 'cluster_down'
  | 'full'
  | 'refusing_writes'
  | 'busy'
  | 'forbidden'
  | 'unsupported'
  | 'misconfigured'
  | 'failed'

/**
 * The store did not answer in time, cannot be reached or does not take it. What had been sent may or may not have been
 * applied, so the same batch with the same sequence numbers is sent again.
 */
export class StoreUnavailableError extends Error {
  readonly trouble: StoreTrouble

  constructor(message: string, options: { readonly cause?: unknown; readonly trouble?: StoreTrouble } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'StoreUnavailableError'
    this.trouble = options.trouble ?? 'failed'
  }
}

/** The file cannot be used as it is: held by another process, or written by a newer version. */
export class StoreFileError extends Error {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'StoreFileError'
  }
}

/** Rows between the store's mark and a batch are missing there: it takes a ledger in order, or not at all. */
export class LedgerGapError extends Error {
  constructor(outcome: ShipOutcome) {
    super(`rows before this batch are missing in the store (${JSON.stringify(outcome)})`)
    this.name = 'LedgerGapError'
  }
}
