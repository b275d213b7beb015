// The closed list of errors a client can see, and of ways an upstream can fail. Whether to try again is
// decided in routing/retry.ts, never here.

interface ErrorRow {
  readonly status: number
  /** OpenAI's `error.type`. */
  readonly type: string
  /** Answer of `x-should-retry`; the official SDKs obey it. */
  readonly retry: boolean
}

export const ERRORS = {
  invalid_request: { status: 400, type: 'invalid_request_error', retry: false },
  unsupported_parameter: { status: 400, type: 'invalid_request_error', retry: false },
  context_length_exceeded: { status: 400, type: 'invalid_request_error', retry: false },
  content_filter: { status: 400, type: 'invalid_request_error', retry: false },
  invalid_api_key: { status: 401, type: 'authentication_error', retry: false },
  insufficient_quota: { status: 402, type: 'insufficient_quota', retry: false },
  model_not_allowed: { status: 403, type: 'permission_error', retry: false },
  forbidden: { status: 403, type: 'permission_error', retry: false },
  model_not_found: { status: 404, type: 'invalid_request_error', retry: false },
  not_found: { status: 404, type: 'invalid_request_error', retry: false },
  method_not_allowed: { status: 405, type: 'invalid_request_error', retry: false },
  conflict: { status: 409, type: 'invalid_request_error', retry: false },
  /** Rows that nobody keeps any more. */
  gone: { status: 410, type: 'invalid_request_error', retry: false },
  request_timeout: { status: 408, type: 'invalid_request_error', retry: false },
  request_too_large: { status: 413, type: 'invalid_request_error', retry: false },
  unsupported_media_type: { status: 415, type: 'invalid_request_error', retry: false },
  rate_limit_exceeded: { status: 429, type: 'rate_limit_error', retry: true },
  upstream_rate_limited: { status: 429, type: 'rate_limit_error', retry: true },
  internal_error: { status: 500, type: 'server_error', retry: false },
  upstream_error: { status: 502, type: 'server_error', retry: true },
  upstream_auth: { status: 502, type: 'server_error', retry: false },
  upstream_protocol: { status: 502, type: 'server_error', retry: true },
  upstream_truncated: { status: 502, type: 'server_error', retry: true },
  no_target: { status: 503, type: 'server_error', retry: true },
  overloaded: { status: 503, type: 'server_error', retry: true },
  store_unavailable: { status: 503, type: 'server_error', retry: true },
  upstream_timeout: { status: 504, type: 'server_error', retry: true },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

/** What went wrong at an upstream, whatever its dialect. */
export const FAILURE_KINDS = {
  /** The content filter of the provider refused input or output. */
  moderation: 'content_filter',
  /** The vendor's account has no money or quota left; waiting does not help. */
  quota: 'upstream_error',
  rate_limit: 'upstream_rate_limited',
  overloaded: 'overloaded',
  context_length: 'context_length_exceeded',
  auth: 'upstream_auth',
  /** The upstream does not know the model or this account may not use it. */
  model_unavailable: 'upstream_error',
  invalid_request: 'invalid_request',
  server: 'upstream_error',
  /** Refused, reset, unresolvable, not allowed by address policy. */
  connection: 'upstream_error',
  timeout: 'upstream_timeout',
  /** Bytes that are no answer of the dialect. */
  protocol: 'upstream_protocol',
  /** The answer ended before its end. */
  truncated: 'upstream_truncated',
} as const satisfies Record<string, ErrorCode>

export type FailureKind = keyof typeof FAILURE_KINDS

/** A failed attempt. `vendorMessage` is for the log; what a client may see is decided in pipeline/failure.ts. */
export interface UpstreamFailure {
  readonly kind: FailureKind
  /** The HTTP status as it came, 0 where there was none. */
  readonly status: number
  readonly vendorCode: string | null
  readonly vendorMessage: string
  readonly retryAfterMs: number | null
}

/** A failure that no upstream has put into words. */
export function ownFailure(kind: FailureKind, status: number, message: string): UpstreamFailure {
  return { kind, status, vendorCode: null, vendorMessage: message, retryAfterMs: null }
}

export interface GatewayErrorOptions {
  readonly param?: string | null
  readonly retryAfterMs?: number | null
  readonly cause?: unknown
  /** Overrides the table where the case at hand is known better. */
  readonly shouldRetry?: boolean
  /** Everything that is wrong with what was sent, where there may be several things. */
  readonly problems?: readonly FieldProblem[]
}

export interface FieldProblem {
  readonly field: string
  readonly message: string
  readonly found: string
  readonly allowed: string
  readonly nearest: string | null
}

const NONE: readonly FieldProblem[] = Object.freeze([])

/** The one error that ends a request; carries all that the client's error body needs. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly param: string | null
  readonly retryAfterMs: number | null
  readonly shouldRetry: boolean
  readonly problems: readonly FieldProblem[]

  constructor(code: ErrorCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GatewayError'
    this.code = code
    this.param = options.param ?? null
    this.retryAfterMs = options.retryAfterMs ?? null
    this.shouldRetry = options.shouldRetry ?? ERRORS[code].retry
    this.problems = options.problems ?? NONE
  }

  get status(): number {
    return ERRORS[this.code].status
  }

  get type(): string {
    return ERRORS[this.code].type
  }
}
