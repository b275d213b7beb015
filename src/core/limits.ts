// Every bound of the program, with its unit in its name and the reason beside it.

/** Request bodies above this are 413: agent bodies reach 300 KB, images in data URLs a few MB. */
export const REQUEST_BODY_BYTES_MAX = 32 * 1024 * 1024
/** Request bodies held by all requests in flight together; above it the next one is 503 `overloaded`. */
export const REQUEST_BODIES_BYTES_MAX = 512 * 1024 * 1024
/** A body that has not arrived whole by then never will: a client that drips must not hold a place for ever. */
export const REQUEST_BODY_MS_MAX = 5 * 60_000
/** A body of which nothing arrives for so long is given up. */
export const REQUEST_BODY_IDLE_MS_MAX = 60_000
/** Deeper JSON is refused: no client nests so deep, and recursion elsewhere must stay bounded. */
export const JSON_DEPTH_MAX = 128
/** An unstreamed answer is held whole (to read its usage and to fall back); above this it is an upstream fault. */
export const ANSWER_BODY_BYTES_MAX = 64 * 1024 * 1024
/** Error bodies are read to this length only. */
export const ERROR_BODY_BYTES_MAX = 64 * 1024
/** One SSE event; an upstream that never ends an event must not fill the memory. */
export const SSE_EVENT_BYTES_MAX = 4 * 1024 * 1024
/** Bytes held back before the first content of a stream. */
export const HELD_BYTES_MAX = 1024 * 1024
/** Comment written to a client that waits, so that proxies between do not cut the connection. */
export const PING_INTERVAL_MS = 15_000
/** A stream without content gets its 200 and pings after this. */
export const EARLY_HEAD_MS = 30_000
/** Characters of an upstream's own error text that a client may see. */
export const UPSTREAM_MESSAGE_CHARS_MAX = 500
/** Requests in flight on one instance; the next one is 503 `overloaded`. */
export const REQUESTS_IN_FLIGHT_MAX = 20_000
/** Rows that wait in memory for the journal's next commit; beyond it admission stops (503). */
export const JOURNAL_PENDING_ROWS_MAX = 100_000
/** An answer whose client has left is read on for its usage for so long; then what is known is booked. */
export const ABANDONED_MS_MAX = 60_000
/** Bytes of such an answer. */
export const ABANDONED_BYTES_MAX = 8 * 1024 * 1024
/** Such answers at once; a further one is aborted and estimated. */
export const ABANDONED_DRAINS_MAX = 64
/** Attempts of one request, whatever the policy says. */
export const ATTEMPTS_MAX = 10
/** Longest wait before a retry on the same target; a longer `retry-after` means give up on it. */
export const RETRY_WAIT_MS_MAX = 5_000
/** `retry-after` values above this are clamped: nobody may be told to come back next year. */
export const RETRY_AFTER_MS_MAX = 10 * 60_000
/** Series per metric; label sets beyond it are counted as `other`. */
export const METRIC_SERIES_MAX = 1_000
/** Rows of one page of the admin API. */
export const PAGE_ROWS_MAX = 500
/** Rows of the capped stream of attempts in Redis. */
export const REDIS_STREAM_ROWS_MAX = 100_000
/** An upstream that reports more tokens of one answer is not believed. */
export const TOKENS_COUNT_MAX = 1_000_000_000
/** Nor is one that searched more often. */
export const CALLS_COUNT_MAX = 10_000
/** Searches held for where a request switches them on: no dialect says how many a model may make, most make one to five. */
export const SEARCH_CALLS_HELD = 8
/** The same for a provider's other tools that are billed by the call. */
export const TOOL_CALLS_HELD = 16
/** Input that what they found may add; vendors count it as input, and nothing in the request bounds it. */
export const FOUND_TOKENS_HELD = 16_384
/** Rows of one usage report: about 300 MB while it is made. */
export const REPORT_ROWS_MAX = 500_000
/** A report that takes longer is given up: it keeps a core from other work. */
export const REPORT_MS_MAX = 60_000
/** Reports that run or wait to be fetched; beyond it the next one is 503 `overloaded`. */
export const REPORTS_MAX = 16
/** A finished report waits this long to be fetched. */
export const REPORT_KEPT_MS = 10 * 60_000
/** Requests that one page with a filter looks at before it says where to go on. */
export const FILTERED_ROWS_MAX = 200_000
/** Characters of a name that a request gives: names are kept in memory, in rows and in labels. */
export const NAME_CHARS_MAX = 512
/** Models of one request's `models`: each may cost a plan of its own. */
export const MODELS_ASKED_MAX = 16
/** Entries of `order`, `only` and `ignore` of one request: each is compared with every target. */
export const PROVIDERS_ASKED_MAX = 100
/** Characters kept of a request's `user`. */
export const USER_CHARS_MAX = 512
/** Secrets of one key that are valid at the same time: rotations whose overlap is not over. The oldest ends first. */
export const KEY_SECRETS_MAX = 4
/** Keys that were revoked or deleted are kept so long, so that their users are told what happened. */
export const KEYS_KEPT_MS = 90 * 24 * 60 * 60_000
/** A shared store of keys that does not answer: what was read of it holds so long, since a key may be revoked by now. */
export const KEYS_UNCHECKED_MS_MAX = 60_000
/** Adjustments of one re-rating, which are held in memory until they are written; a further run goes on. */
export const RERATED_AT_ONCE_MAX = 100_000
/** A provider's bill: a month of a busy account by request is some ten MB. */
export const BILL_BYTES_MAX = 64 * 1024 * 1024
export const BILL_LINES_MAX = 500_000
/** Attempts that one is compared with: about half a GB while that is done. */
export const RECONCILED_ATTEMPTS_MAX = 1_000_000
/** Bodies of the admin API; a key with all its lists is far smaller. */
export const ADMIN_BODY_BYTES_MAX = 256 * 1024
