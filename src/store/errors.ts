// Ways in which a store can fail its callers. Errors of requests stand in core/errors.ts.

/**
 * The store did not answer in time or cannot be reached. What had been sent may or may not have been applied,
 * so the same batch with the same sequence numbers is sent again.
 */
export class StoreUnavailableError extends Error {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'StoreUnavailableError'
  }
}

/** The file cannot be used as it is: held by another process, or written by a newer version. */
export class StoreFileError extends Error {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'StoreFileError'
  }
}
