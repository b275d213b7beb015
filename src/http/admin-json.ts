// Rows of the ledger as the admin API shows them: snake case, amounts as decimal strings, instants as ISO 8601.

import { amountsOf } from '#core/amounts.ts'
import type { Decision } from '#core/decision.ts'
import {
  type AttemptRow,
  type Cost,
  isUnpriced,
  type RequestRow,
  type UsageQuery,
  type UsageReport,
  type UsageTotals,
} from '#core/ledger.ts'
import { formatNano, formatPico, type Nano } from '#core/money.ts'
import type { EstimateError, OtherUsage } from '#core/usage.ts'

export function requestJson(row: RequestRow): Record<string, unknown> {
  return {
    id: row.id,
    time: new Date(row.timeMs).toISOString(),
    key: row.key,
    team: row.tags['team'] ?? null,
    user: row.user,
    tags: row.tags,
    model: row.model,
    api: row.api,
    stream: row.stream,
    status: row.status,
    outcome: row.outcome,
    error: row.error,
    attempt_count: row.attempts,
    cost: row.costNano === null ? null : formatNano(row.costNano),
    currency: row.currency,
    duration_ms: row.durationMs,
  }
}

export function attemptJson(row: AttemptRow): Record<string, unknown> {
  const { usage, cost } = row
  return {
    attempt: row.attempt,
    target: row.target,
    role: row.role,
    outcome: row.outcome,
    http_status: row.httpStatus,
    upstream_request_id: row.upstreamRequestId,
    response_model: row.responseModel,
    usage: {
      input_tokens: usage.inputTokens,
      cached_input_tokens: usage.cachedInputTokens,
      cache_write_tokens: usage.cacheWriteTokens,
      output_tokens: usage.outputTokens,
      reasoning_tokens: usage.reasoningTokens,
      ...(usage.explicitCache === undefined ? {} : { explicit_cache: usage.explicitCache }),
      ...otherJson(usage.other),
      source: row.usageSource,
      error_bound: row.estimateError === null ? null : errorJson(row.estimateError),
      contradiction: row.usageDoubt,
    },
    unpriced: row.outcome !== 'open' && isUnpriced(cost),
    cost: cost === null ? null : costJson(cost),
    started_at: new Date(row.startedAtMs).toISOString(),
    ttft_ms: row.ttftMs,
    duration_ms: row.durationMs,
  }
}

function errorJson({ inputTokens, outputTokens, gpuMs }: EstimateError): Record<string, number> {
  const tokens = { input_tokens: inputTokens, output_tokens: outputTokens }
  return gpuMs === undefined ? tokens : { ...tokens, gpu_ms: gpuMs }
}

/** `list` to `package` are the parts of the native amount, before its rounding. */
function costJson(cost: Cost): Record<string, unknown> {
  const amounts = amountsOf(cost.lines)
  return {
    amount: formatNano(cost.amountNano),
    currency: cost.currency,
    native: { amount: formatNano(cost.nativeNano), currency: cost.nativeCurrency },
    list: formatPico(amounts.list),
    contract: formatPico(amounts.contract),
    free_quota: formatPico(amounts.freeQuota),
    package: formatPico(amounts.package),
    lines: cost.lines,
    price_version: cost.priceVersion,
  }
}

/** What was used beside plain tokens; what was said stays out. */
function otherJson(other: OtherUsage | undefined): Record<string, unknown> {
  if (other === undefined) return {}
  const { text: _, ...counts } = other
  return Object.fromEntries(
    Object.entries(counts).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  )
}

export function decisionJson(decision: Decision): Record<string, unknown> {
  return {
    policy: decision.policy,
    policy_version: decision.policyVersion,
    sort: decision.sort,
    value: decision.value,
    chosen: decision.candidates[0]?.target ?? null,
    explored: decision.explored,
    propensity: decision.propensity,
    candidates: decision.candidates.map((candidate) => ({
      target: candidate.target,
      ...(candidate.account === null ? {} : { account: candidate.account }),
      estimated_cost: candidate.estimatedCost,
      p_slo: candidate.pSlo,
      ttft_ms: candidate.ttftMs,
      tokens_per_second: candidate.tokensPerSecond,
      cached_tokens: candidate.cachedTokens,
      samples: candidate.samples,
      room_cost: candidate.roomCost ?? null,
      utility: candidate.utility,
      reason: candidate.reason,
    })),
    runner_up:
      decision.runnerUp === null
        ? null
        : {
            target: decision.runnerUp.target,
            lost_by: decision.runnerUp.lostBy,
            measure: decision.runnerUp.by,
          },
    excluded: decision.excluded,
    counterfactual: decision.counterfactuals,
    slo_relaxed: decision.sloRelaxed,
    later: decision.later.map((attempt) => ({
      target: attempt.target,
      role: attempt.role,
      estimated_cost: attempt.estimatedCost,
      p_slo: attempt.pSlo,
    })),
  }
}

export function usageJson(
  report: UsageReport,
  query: UsageQuery,
  currency: string,
): {
  readonly data: Record<string, unknown>[]
  readonly total: Record<string, unknown>
} {
  return {
    data: report.rows.map((row) => ({
      ...Object.fromEntries(query.groupBy.map((group, index) => [group, row.group[index] ?? ''])),
      ...(row.bucketMs === null ? {} : { bucket: new Date(row.bucketMs).toISOString() }),
      ...totalsJson(row, currency),
    })),
    total: totalsJson(report.total, currency),
  }
}

function totalsJson(totals: UsageTotals, currency: string): Record<string, unknown> {
  const contractNano = (totals.costNano + totals.freeQuotaNano + totals.packageNano) as Nano
  return {
    requests: totals.requests,
    attempts: totals.attempts,
    input_tokens: totals.inputTokens,
    cached_input_tokens: totals.cachedInputTokens,
    output_tokens: totals.outputTokens,
    reasoning_tokens: totals.reasoningTokens,
    cost: formatNano(totals.costNano),
    currency,
    list: formatNano((contractNano + totals.discountNano) as Nano),
    contract: formatNano(contractNano),
    free_quota: formatNano(totals.freeQuotaNano),
    package: formatNano(totals.packageNano),
    estimated_attempts: totals.estimatedAttempts,
    unpriced_attempts: totals.unpricedAttempts,
    adjustments: formatNano(totals.adjustmentNano),
    total: formatNano((totals.costNano + totals.adjustmentNano) as Nano),
  }
}

/** The fields of each row of a report, also where it has none. */
export function usageColumns(report: ReturnType<typeof usageJson>, query: UsageQuery): string[] {
  return [...query.groupBy, ...(query.bucket === null ? [] : ['bucket']), ...Object.keys(report.total)]
}

/** RFC 4180; a cell that a spreadsheet would take for a formula is quoted with an apostrophe. */
export function csvOf(columns: readonly string[], rows: readonly Record<string, unknown>[]): string {
  const cell = (value: unknown): string => {
    const text = String(value ?? '')
    const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))]
    .map((cells) => cells.map(cell).join(','))
    .join('\r\n')
    .concat('\r\n')
}
