// Ledger rows as JSON text, for files and streams. Money is a string there, as JSON numbers lose digits.

import { decisionText } from '#core/decision.ts'
import type { AttemptRow, Cost, LedgerRow, RequestRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'

/** What an attempt shares with its request, and so is not said again beside it. */
type Shared = 'requestId' | 'key' | 'tags' | 'model'

export function rowText(entry: LedgerRow): string {
  return entry.kind === 'attempt' ? attemptText(entry.row) : requestText(entry.row)
}

export function requestText(row: RequestRow): string {
  const { decision, costNano, durationMs, ...rest } = row
  const text = JSON.stringify({
    ...rest,
    costNano: costNano === null ? null : costNano.toString(),
    durationMs: Math.round(durationMs),
  })
  return `${text.slice(0, -1)},"decision":${decisionText(decision)}}`
}

function attemptText(row: AttemptRow): string {
  const { requestId, key, tags, model } = row
  return `${JSON.stringify({ requestId, key, tags, model }).slice(0, -1)},${partText(row).slice(1)}`
}

/** An attempt beside its request: without what both share. */
export function partText(row: AttemptRow): string {
  return JSON.stringify({
    attempt: row.attempt,
    role: row.role,
    target: row.target,
    responseModel: row.responseModel,
    upstreamRequestId: row.upstreamRequestId,
    outcome: row.outcome,
    httpStatus: row.httpStatus,
    usage: row.usage,
    usageSource: row.usageSource,
    cost: row.cost === null ? null : costJson(row.cost),
    startedAtMs: row.startedAtMs,
    ttftMs: row.ttftMs === null ? null : Math.round(row.ttftMs),
    durationMs: Math.round(row.durationMs),
  })
}

function costJson(cost: Cost): Readonly<Record<string, unknown>> {
  return {
    amountNano: cost.amountNano.toString(),
    currency: cost.currency,
    nativeNano: cost.nativeNano.toString(),
    nativeCurrency: cost.nativeCurrency,
    lines: cost.lines,
    priceVersion: cost.priceVersion,
  }
}

type AttemptJson = Omit<AttemptRow, 'cost'> & { readonly cost: CostJson | null }
type CostJson = Omit<Cost, 'amountNano' | 'nativeNano'> & {
  readonly amountNano: string
  readonly nativeNano: string
}
type RequestJson = Omit<RequestRow, 'costNano'> & { readonly costNano: string | null }

/** Reads what `rowText` wrote. */
export function parseAttempt(text: string): AttemptRow {
  return attemptOf(JSON.parse(text) as AttemptJson)
}

/** Reads what `requestText` wrote. */
export function parseRequest(text: string): RequestRow {
  return requestOf(JSON.parse(text) as RequestJson)
}

/** A request with its attempts as one text: a list, the request first. */
export function detailText(request: string, parts: readonly string[]): string {
  return parts.length === 0 ? `[${request}]` : `[${request},${parts.join(',')}]`
}

/** Reads what `detailText` wrote. */
export function parseDetail(text: string): {
  readonly request: RequestRow
  readonly attempts: readonly AttemptRow[]
} {
  const [first, ...parts] = JSON.parse(text) as [RequestJson, ...Omit<AttemptJson, Shared>[]]
  const request = requestOf(first)
  return { request, attempts: parts.map((part) => partOf(part, request)) }
}

/** Reads what `partText` wrote, beside its request. */
export function parsePart(text: string, request: RequestRow): AttemptRow {
  return partOf(JSON.parse(text) as Omit<AttemptJson, Shared>, request)
}

function partOf(part: Omit<AttemptJson, Shared>, request: RequestRow): AttemptRow {
  const { id: requestId, tags } = request
  return attemptOf({ requestId, key: request.key ?? '', tags, model: request.model ?? '', ...part })
}

function attemptOf(row: AttemptJson): AttemptRow {
  if (row.cost === null) return { ...row, cost: null }
  const { amountNano, nativeNano, ...rest } = row.cost
  return {
    ...row,
    cost: { ...rest, amountNano: BigInt(amountNano) as Nano, nativeNano: BigInt(nativeNano) as Nano },
  }
}

function requestOf(row: RequestJson): RequestRow {
  return { ...row, costNano: row.costNano === null ? null : (BigInt(row.costNano) as Nano) }
}
