// Rows of the ledger as the admin API shows them: snake case, amounts as decimal strings, instants as ISO 8601.

import { amountsOf } from '#core/amounts.ts'
import type { Decision } from '#core/decision.ts'
import { type AttemptRow, type Cost, isUnpriced, type RequestRow } from '#core/ledger.ts'
import { formatNano, formatPico } from '#core/money.ts'
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
