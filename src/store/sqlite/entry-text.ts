// Requests and attempts as the journal keeps them: JSON lists without names, half as long as with them, in parts that are
// made once and put together. Rows with names, for other stores, are row-json.ts's.

import type { AttemptRow, Cost, CostLine, RequestDetail, RequestRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import type { OtherUsage, UsageDoubt } from '#core/usage.ts'
import { type DecisionJson, decisionList, decisionOf } from './decision-text.ts'

type HeadJson = readonly [
  key: RequestRow['key'],
  tags: RequestRow['tags'],
  model: RequestRow['model'],
  api: string,
  stream: boolean,
  currency: string,
  decision: DecisionJson | null,
  /** Rows of before it was kept end here. */
  user?: string | null,
]
type TailJson = readonly [
  status: number,
  outcome: RequestRow['outcome'],
  error: string | null,
  attempts: number,
  costNano: number | null,
  durationMs: number,
]
type EntryJson = readonly [head: HeadJson, tail: TailJson, ...attempts: AttemptJson[]]
type Mutable<List extends readonly unknown[]> = [...List]
type AttemptJson = readonly [
  attempt: number,
  role: AttemptRow['role'],
  target: string,
  startedAtMs: number,
  outcome: AttemptRow['outcome'],
  httpStatus: number,
  responseModel: string | null,
  upstreamRequestId: string | null,
  inputTokens: number,
  cachedInputTokens: number,
  cacheWriteTokens: number,
  outputTokens: number,
  reasoningTokens: number,
  explicitCache: boolean | null,
  usageSource: AttemptRow['usageSource'],
  cost: CostJson | null,
  ttftMs: number | null,
  durationMs: number,
  other: OtherUsage | null,
  /** Absent where both are null. */
  doubts?: DoubtsJson,
]
type DoubtsJson = readonly [
  inputTokensError: number | null,
  outputTokensError: number | null,
  doubt: UsageDoubt | null,
  gpuMsError?: number,
]
type CostJson = readonly [
  amountNano: number,
  currency: string,
  nativeNano: number,
  nativeCurrency: string,
  priceVersion: string,
  lines: readonly CostLineJson[],
]
type CostLineJson = readonly [
  item: CostLine['item'],
  quantity: number,
  price: string,
  amount: string,
  balance?: string,
]
// JSON.stringify over a list is twice as fast as a template of its parts (Node 24), and its text is in one piece: a
// template's is a tree of pieces, which the collector moves and every reader walks.

/** What is known of a request when it opens, without its id and time. */
export function headText(row: RequestRow): string {
  const { key, tags, user, model, api, stream, currency, decision } = row
  const list: HeadJson = [
    key,
    tags,
    model,
    api,
    stream,
    currency,
    decision === null ? null : decisionList(decision),
    user,
  ]
  return JSON.stringify(list)
}

/** What is known of a request when it ends. */
export function tailText(row: RequestRow): string {
  const { status, outcome, error, attempts, costNano, durationMs } = row
  const cost = costNano === null ? null : Number(costNano)
  const list: TailJson = [status, outcome, error, attempts, cost, Math.round(durationMs)]
  return JSON.stringify(list)
}

/** An attempt beside its request: without what both share. */
export function attemptText(row: AttemptRow): string {
  const { usage, cost, ttftMs, estimateError, usageDoubt } = row
  const list: Mutable<AttemptJson> = [
    row.attempt,
    row.role,
    row.target,
    row.startedAtMs,
    row.outcome,
    row.httpStatus,
    row.responseModel,
    row.upstreamRequestId,
    usage.inputTokens,
    usage.cachedInputTokens,
    usage.cacheWriteTokens,
    usage.outputTokens,
    usage.reasoningTokens,
    usage.explicitCache ?? null,
    row.usageSource,
    cost === null ? null : costList(cost),
    ttftMs === null ? null : Math.round(ttftMs),
    Math.round(row.durationMs),
    usage.other === undefined ? null : withoutText(usage.other),
  ]
  if (estimateError !== null || usageDoubt !== null) {
    const doubts = [
      estimateError?.inputTokens ?? null,
      estimateError?.outputTokens ?? null,
      usageDoubt,
    ] as const
    const gpuMs = estimateError?.gpuMs
    list.push(gpuMs === undefined ? doubts : [...doubts, gpuMs])
  }
  return JSON.stringify(list)
}

/** What was said is no business of the ledger, how much of it is. */
function withoutText({ text: _, ...other }: OtherUsage): OtherUsage {
  return other
}

/** A whole request of its parts; `attempts` has a comma before each. */
export function entryText(head: string, tail: string, attempts: string): string {
  return `[${head},${tail}${attempts}]`
}

/** A whole request of rows. */
export function detailText({ request, attempts }: RequestDetail): string {
  const texts = attempts.map((row) => `,${attemptText(row)}`)
  return entryText(headText(request), tailText(request), texts.join(''))
}

function costList(cost: Cost): CostJson {
  return [
    Number(cost.amountNano),
    cost.currency,
    Number(cost.nativeNano),
    cost.nativeCurrency,
    cost.priceVersion,
    cost.lines.map(lineList),
  ]
}

function lineList({ item, quantity, price, amount, balance }: CostLine): CostLineJson {
  return balance === undefined ? [item, quantity, price, amount] : [item, quantity, price, amount, balance]
}

/** Reads what `entryText` wrote. */
export function parseEntry(id: string, timeMs: number, text: string): RequestDetail {
  const [head, tail, ...attempts] = JSON.parse(text) as EntryJson
  const [key, tags, model, api, stream, currency, decision, user = null] = head
  const request = {
    id,
    timeMs,
    key,
    tags,
    user,
    model,
    api,
    stream,
    currency,
    decision: decision === null ? null : decisionOf(decision),
    ...tailOf(tail),
  }
  return { request, attempts: attempts.map((attempt) => attemptOf(attempt, request)) }
}

/** Reads what `tailText` wrote, for a request that is known. */
export function parseTail(text: string, request: RequestRow): RequestRow {
  return { ...request, ...tailOf(JSON.parse(text) as TailJson) }
}

/** Reads what `attemptText` wrote, beside its request. */
export function parseAttempt(text: string, request: RequestRow): AttemptRow {
  return attemptOf(JSON.parse(text) as AttemptJson, request)
}

type Tail = Pick<RequestRow, 'status' | 'outcome' | 'error' | 'attempts' | 'costNano' | 'durationMs'>

function tailOf([status, outcome, error, attempts, costNano, durationMs]: TailJson): Tail {
  return { status, outcome, error, attempts, costNano: costNano === null ? null : nano(costNano), durationMs }
}

function attemptOf(fields: AttemptJson, request: RequestRow): AttemptRow {
  const [attempt, role, target, startedAtMs, outcome, httpStatus, responseModel, upstreamRequestId] = fields
  const [, , , , , , , , inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, ...rest] = fields
  const [reasoningTokens, explicitCache, usageSource, cost, ttftMs, durationMs, other, doubts] = rest
  const usage = { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens }
  return {
    requestId: request.id,
    attempt,
    role,
    key: request.key ?? '',
    tags: request.tags,
    user: request.user,
    model: request.model ?? '',
    target,
    responseModel,
    upstreamRequestId,
    outcome,
    httpStatus,
    usage: {
      ...usage,
      ...(explicitCache === null ? {} : { explicitCache }),
      ...(other === null ? {} : { other }),
    },
    usageSource,
    ...doubtsOf(doubts),
    cost: cost === null ? null : costOf(cost),
    startedAtMs,
    ttftMs,
    durationMs,
  }
}

function doubtsOf(doubts: DoubtsJson | undefined): Pick<AttemptRow, 'estimateError' | 'usageDoubt'> {
  if (doubts === undefined) return { estimateError: null, usageDoubt: null }
  const [inputTokens, outputTokens, usageDoubt, gpuMs] = doubts
  if (inputTokens === null || outputTokens === null) return { estimateError: null, usageDoubt }
  const error = { inputTokens, outputTokens }
  return { estimateError: gpuMs === undefined ? error : { ...error, gpuMs }, usageDoubt }
}

function costOf([amountNano, currency, nativeNano, nativeCurrency, priceVersion, lines]: CostJson): Cost {
  return {
    amountNano: nano(amountNano),
    currency,
    nativeNano: nano(nativeNano),
    nativeCurrency,
    lines: lines.map(lineOf),
    priceVersion,
  }
}

function lineOf([item, quantity, price, amount, balance]: CostLineJson): CostLine {
  const line = { item, quantity, price, amount }
  return balance === undefined ? line : { ...line, balance }
}

/** Exact, as is `Number` above: rows with amounts past 53 bits are refused before they are written. */
function nano(amount: number): Nano {
  return BigInt(amount) as Nano
}
