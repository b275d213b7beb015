// Reads the texts that entry-text.ts writes: lists without names, in its order.

import type { AttemptRow, Cost, CostLine, Decision, RequestDetail, RequestRow } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'

type HeadJson = readonly [
  key: RequestRow['key'],
  tags: RequestRow['tags'],
  model: RequestRow['model'],
  api: string,
  stream: boolean,
  currency: string,
  decision: DecisionJson | null,
]
type TailJson = readonly [
  status: number,
  outcome: RequestRow['outcome'],
  error: string | null,
  attempts: number,
  costNano: number | null,
  durationMs: number,
]
type EntryJson = readonly [...HeadJson, ...TailJson, ...AttemptJson[]]
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
]
type CostJson = readonly [
  amountNano: number,
  currency: string,
  nativeNano: number,
  nativeCurrency: string,
  priceVersion: string,
  ...lines: CostLineJson[],
]
type CostLineJson = readonly [item: CostLine['item'], quantity: number, price: string, amount: string]
type DecisionJson = readonly [
  policy: string,
  sort: string,
  sloRelaxed: boolean,
  candidates: readonly CandidateJson[],
  excluded: readonly ExclusionJson[],
]
type CandidateJson = readonly [
  target: string,
  estimatedCost: string | null,
  ttftP90Ms: number | null,
  samples: number,
  reason: string,
]
type ExclusionJson = readonly [target: string, reason: string, detail: string]

/** Reads what `entryText` wrote. */
export function parseEntry(id: string, timeMs: number, text: string): RequestDetail {
  const [key, tags, model, api, stream, currency, decision, ...ends] = JSON.parse(text) as EntryJson
  const [status, outcome, error, count, costNano, durationMs, ...attempts] = ends
  const request = {
    id,
    timeMs,
    key,
    tags,
    model,
    api,
    stream,
    currency,
    decision: decision === null ? null : decisionOf(decision),
    ...tailOf([status, outcome, error, count, costNano, durationMs]),
  }
  return { request, attempts: attempts.map((attempt) => attemptOf(attempt, request)) }
}

/** Reads what `tailText` wrote, for a request that is known. */
export function parseTail(text: string, request: RequestRow): RequestRow {
  return { ...request, ...tailOf(JSON.parse(`[${text}]`) as TailJson) }
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
  const [reasoningTokens, explicitCache, usageSource, cost, ttftMs, durationMs] = rest
  const usage = { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens }
  return {
    requestId: request.id,
    attempt,
    role,
    key: request.key ?? '',
    tags: request.tags,
    model: request.model ?? '',
    target,
    responseModel,
    upstreamRequestId,
    outcome,
    httpStatus,
    usage: explicitCache === null ? usage : { ...usage, explicitCache },
    usageSource,
    cost: cost === null ? null : costOf(cost),
    startedAtMs,
    ttftMs,
    durationMs,
  }
}

function costOf([amountNano, currency, nativeNano, nativeCurrency, priceVersion, ...lines]: CostJson): Cost {
  return {
    amountNano: nano(amountNano),
    currency,
    nativeNano: nano(nativeNano),
    nativeCurrency,
    lines: lines.map(([item, quantity, price, amount]) => ({ item, quantity, price, amount })),
    priceVersion,
  }
}

function decisionOf([policy, sort, sloRelaxed, candidates, excluded]: DecisionJson): Decision {
  return {
    policy,
    sort,
    candidates: candidates.map(([target, estimatedCost, ttftP90Ms, samples, reason]) => ({
      target,
      estimatedCost,
      ttftP90Ms,
      samples,
      reason,
    })),
    excluded: excluded.map(([target, reason, detail]) => ({ target, reason, detail })),
    sloRelaxed,
  }
}

/** Exact: rows with amounts past 53 bits are refused before they are written. */
function nano(amount: number): Nano {
  return BigInt(amount) as Nano
}
