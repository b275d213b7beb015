// Requests and attempts as the journal keeps them: JSON lists without names, so that a row takes half the bytes, in
// parts that are made once and put together. entry-parse.ts reads them; rows with names are row-json.ts's.

import { jsonNumber, jsonString } from '#core/json-text.ts'
import type { AttemptRow, Cost, Decision, RequestDetail, RequestRow } from '#core/ledger.ts'
import type { TokenUsage } from '#core/usage.ts'

/** What is known of a request when it opens, without its id and time. */
export function headText(row: RequestRow): string {
  const { key, model, stream, decision } = row
  return `${orNull(key)},${tagsText(row.tags)},${orNull(model)},${jsonString(row.api)},${stream},${jsonString(
    row.currency,
  )},${decision === null ? 'null' : decisionText(decision)}`
}

/** What is known of a request when it ends. */
export function tailText(row: RequestRow): string {
  const { status, outcome, attempts, costNano } = row
  return `${status},"${outcome}",${orNull(row.error)},${attempts},${costNano},${Math.round(row.durationMs)}`
}

/** An attempt beside its request: without what both share. Amounts are exact as numbers: row-checks.ts bounds them. */
export function attemptText(row: AttemptRow): string {
  const { usage, cost, ttftMs } = row
  return `[${row.attempt},"${row.role}",${jsonString(row.target)},${row.startedAtMs},"${row.outcome}",${
    row.httpStatus
  },${orNull(row.responseModel)},${orNull(row.upstreamRequestId)},${usageText(usage)},"${row.usageSource}",${
    cost === null ? 'null' : costText(cost)
  },${ttftMs === null ? 'null' : Math.round(ttftMs)},${Math.round(row.durationMs)}]`
}

/** A whole request; `attempts` is `,` and `attemptText` for each. */
export function entryText(head: string, tail: string, attempts: string): string {
  return `[${head},${tail}${attempts}]`
}

/** A whole request of rows, for what is not on the way of a request. */
export function detailText({ request, attempts }: RequestDetail): string {
  let texts = ''
  for (const attempt of attempts) texts += `,${attemptText(attempt)}`
  return entryText(headText(request), tailText(request), texts)
}

function usageText(usage: TokenUsage): string {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens } = usage
  return `${inputTokens},${cachedInputTokens},${cacheWriteTokens},${outputTokens},${reasoningTokens},${
    usage.explicitCache ?? null
  }`
}

function costText(cost: Cost): string {
  let text = `[${cost.amountNano},${jsonString(cost.currency)},${cost.nativeNano},${jsonString(
    cost.nativeCurrency,
  )},${jsonString(cost.priceVersion)}`
  for (const { item, quantity, price, amount } of cost.lines) {
    text += `,["${item}",${jsonNumber(quantity)},${jsonString(price)},${jsonString(amount)}]`
  }
  return `${text}]`
}

function decisionText(decision: Decision): string {
  let candidates = ''
  for (const { target, estimatedCost, ttftP90Ms, samples, reason } of decision.candidates) {
    candidates += `,[${jsonString(target)},${orNull(estimatedCost)},${jsonNumber(ttftP90Ms)},${jsonNumber(samples)},${jsonString(reason)}]`
  }
  let excluded = ''
  for (const { target, reason, detail } of decision.excluded) {
    excluded += `,[${jsonString(target)},${jsonString(reason)},${jsonString(detail)}]`
  }
  return `[${jsonString(decision.policy)},${jsonString(decision.sort)},${decision.sloRelaxed},[${candidates.slice(
    1,
  )}],[${excluded.slice(1)}]]`
}

function orNull(text: string | null): string {
  return text === null ? 'null' : jsonString(text)
}

// Tags of a key are one frozen object for as long as the settings live.
const tagsTexts = new WeakMap<RequestRow['tags'], string>()

function tagsText(tags: RequestRow['tags']): string {
  let text = tagsTexts.get(tags)
  if (text === undefined) {
    text = JSON.stringify(tags)
    tagsTexts.set(tags, text)
  }
  return text
}
