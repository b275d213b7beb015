// Every metric, label, bucket and event name in one place: they are public API. No counting here.
// GenAI names follow OpenTelemetry semantic conventions v1.41.1 (dots become underscores, unit s becomes _seconds).

import { LEDGER_METRICS, type MetricDefinition } from './ledger-names.ts'

/** The specification's bounds for operations, and two more: reasoning models take minutes. */
const OPERATION_SECONDS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68,
]
/** Work of our own: from 100 µs. */
const OVERHEAD_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]
/** The specification's bounds for tokens: powers of four. */
const TOKENS = Array.from({ length: 14 }, (_, power) => 4 ** power)

const PROVIDER = 'gen_ai_provider_name'
const MODEL = 'gen_ai_request_model'
const TARGET = [PROVIDER, MODEL]

export const METRICS = {
  requests: {
    name: 'sluice_requests_total',
    type: 'counter',
    labels: ['wire_format', 'outcome'],
    help: 'Requests of clients that have ended.',
  },
  requestDuration: {
    name: 'sluice_request_duration_seconds',
    type: 'histogram',
    labels: ['wire_format', 'outcome'],
    help: 'Time from the request to the end of its answer.',
    buckets: OPERATION_SECONDS,
  },
  timeToFirstChunk: {
    name: 'sluice_time_to_first_chunk_seconds',
    type: 'histogram',
    labels: ['wire_format'],
    help: 'Time from the request to its first content, fallbacks included.',
    buckets: OPERATION_SECONDS,
  },
  overhead: {
    name: 'sluice_overhead_seconds',
    type: 'histogram',
    labels: ['wire_format'],
    help: 'Time of a request not spent waiting for an upstream.',
    buckets: OVERHEAD_SECONDS,
  },
  attempts: {
    name: 'sluice_attempts_total',
    type: 'counter',
    labels: [PROVIDER, 'outcome'],
    help: 'Upstream calls that have ended.',
  },
  fallbacks: {
    name: 'sluice_fallbacks_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Failed attempts that another attempt followed.',
  },
  decisions: {
    name: 'sluice_decisions_total',
    type: 'counter',
    labels: ['policy', 'choice'],
    help: 'Requests by what chose their first target: best, explored (a cheaper one, to learn how it is), slo_relaxed (none was likely to meet the SLO), refused.',
  },
  plannerRequests: {
    name: 'sluice_planner_requests',
    type: 'gauge',
    labels: [],
    help: 'Requests that the planner holds in memory, at most 50,000.',
  },
  hedges: {
    name: 'sluice_hedges_total',
    type: 'counter',
    labels: [],
    help: 'Late attempts beside which a second target was asked.',
  },
  admissionRefusals: {
    name: 'sluice_admission_refusals_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Attempts that a limit or a budget did not let in, by scope and limit.',
  },
  budgetAlerts: {
    name: 'sluice_budget_alerts_total',
    type: 'counter',
    labels: ['kind', 'threshold'],
    help: 'Alerts of budgets that were told, by kind of budget and by percent used or forecast.',
  },
  holds: {
    name: 'sluice_holds_cny',
    type: 'gauge',
    labels: [],
    help: 'Money held for running requests, in the book currency (CNY unless configured otherwise).',
    divisor: 1e9,
  },
  overshootBound: {
    name: 'sluice_overshoot_bound_cny',
    type: 'gauge',
    labels: [],
    help: 'What running requests may cost beyond what is held for them, in the book currency.',
    divisor: 1e9,
  },
  limitOverrunTokens: {
    name: 'sluice_limit_overrun_tokens_total',
    type: 'counter',
    labels: [],
    help: 'Tokens that providers reported beyond what limits had been charged at admission.',
  },
  budgetOverrun: {
    name: 'sluice_budget_overrun_cny_total',
    type: 'counter',
    labels: [],
    help: 'Billed beyond the worst that budgets had been told of at admission, in the book currency.',
    divisor: 1e9,
  },
  limitsLocal: {
    name: 'sluice_limits_local',
    type: 'gauge',
    labels: [],
    help: 'Tenants, providers and targets whose limits this instance keeps alone, as the shared store does not answer.',
  },
  pursesWritten: {
    name: 'sluice_purses_written_total',
    type: 'counter',
    labels: ['why'],
    help: 'Times that purses were written from the ledger: founded (first time or a loss), seeded (a new budget), healed (they differed).',
  },
  requestsInFlight: {
    name: 'sluice_requests_in_flight',
    type: 'gauge',
    labels: [],
    help: 'Requests of clients that are running.',
  },
  tokens: {
    name: 'sluice_tokens_total',
    type: 'counter',
    labels: [...TARGET, 'token_type'],
    help: 'Tokens billed; input includes cached input, output includes reasoning.',
  },
  cacheReadTokens: {
    name: 'sluice_cache_read_tokens_total',
    type: 'counter',
    labels: TARGET,
    help: 'Input tokens that the provider read from its cache.',
  },
  reasoningTokens: {
    name: 'sluice_reasoning_tokens_total',
    type: 'counter',
    labels: TARGET,
    help: 'Output tokens spent on reasoning.',
  },
  cost: {
    name: 'sluice_cost_cny_total',
    type: 'counter',
    labels: TARGET,
    help: 'Cost of upstream calls in the book currency (CNY unless configured otherwise).',
    divisor: 1e9,
  },
  unpricedAttempts: {
    name: 'sluice_unpriced_attempts_total',
    type: 'counter',
    labels: TARGET,
    help: 'Upstream calls for which no price was known.',
  },
  priceAge: {
    name: 'sluice_price_age_seconds',
    type: 'gauge',
    labels: ['provider'],
    help: 'Time since a row of the price list was last compared with its source.',
  },
  priceListKept: {
    name: 'sluice_price_list_kept',
    type: 'gauge',
    labels: ['provider'],
    help: '1 while the price list cannot be used and the last good one stays.',
  },
  estimatedAttempts: {
    name: 'sluice_estimated_attempts_total',
    type: 'counter',
    labels: TARGET,
    help: 'Upstream calls whose usage is an estimate.',
  },
  usageEstimates: {
    name: 'sluice_usage_estimates_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Upstream calls whose usage is an estimate, by why the upstream did not say it.',
  },
  usageContradictions: {
    name: 'sluice_usage_contradictions_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Upstream calls whose usage said what cannot be so.',
  },
  drainsRunning: {
    name: 'sluice_drains_running',
    type: 'gauge',
    labels: [],
    help: 'Answers that are read on for their usage, behind clients that have left.',
  },
  drains: {
    name: 'sluice_drains_total',
    type: 'counter',
    labels: ['outcome'],
    help: 'Answers whose clients left and that were, or would have been, read on; by how that ended.',
  },
  targetState: {
    name: 'sluice_target_state',
    type: 'gauge',
    labels: ['target', 'state'],
    help: '1 for the state that the circuit breaker of a target is in, 0 for the others.',
  },
  ...LEDGER_METRICS,
  storeDuration: {
    name: 'sluice_store_duration_seconds',
    type: 'histogram',
    labels: ['operation'],
    help: 'Time of calls to the store.',
    buckets: OVERHEAD_SECONDS,
  },
  settingsLastReload: {
    name: 'sluice_settings_last_reload_timestamp_seconds',
    type: 'gauge',
    labels: [],
    help: 'When the configuration in force was read.',
  },
  settingsReloadFailures: {
    name: 'sluice_settings_reload_failures_total',
    type: 'counter',
    labels: [],
    help: 'Changed configurations that were refused.',
  },
  streamEventsDropped: {
    name: 'sluice_stream_events_dropped_total',
    type: 'counter',
    labels: [],
    help: 'Events of upstream streams that were no JSON objects.',
  },
  metricSeriesDropped: {
    name: 'sluice_metric_series_dropped_total',
    type: 'counter',
    labels: [],
    help: 'Updates whose labels were counted as "other" because their metric had too many series.',
  },
  buildInfo: {
    name: 'sluice_build_info',
    type: 'gauge',
    labels: ['version', 'runtime'],
    help: 'Always 1; the labels say what runs.',
  },
  // Successor in semantic-conventions-genai: gen_ai.client.operation.duration (same name).
  operationDuration: {
    name: 'gen_ai_client_operation_duration_seconds',
    type: 'histogram',
    labels: ['gen_ai_operation_name', ...TARGET, 'error_type'],
    help: 'Duration of an upstream call.',
    buckets: OPERATION_SECONDS,
  },
  operationTimeToFirstChunk: {
    name: 'gen_ai_client_operation_time_to_first_chunk_seconds',
    type: 'histogram',
    labels: ['gen_ai_operation_name', ...TARGET],
    help: 'Time to the first content of an upstream call.',
    buckets: OPERATION_SECONDS,
  },
  // Successor: gen_ai.client.inference.operation.{input_tokens,output_tokens}.
  tokenUsage: {
    name: 'gen_ai_client_token_usage',
    type: 'histogram',
    labels: ['gen_ai_operation_name', ...TARGET, 'gen_ai_token_type'],
    help: 'Tokens of an upstream call.',
    buckets: TOKENS,
  },
} as const satisfies Record<string, MetricDefinition>

/** `gen_ai.operation.name`; every upstream call of this release is a chat. */
export const OPERATION = 'chat'

/** Value of all labels of the series that stands in for those beyond the bound. */
export const OTHER = 'other'

/** A longer label value is no name of ours and is counted as `other`. */
export const LABEL_CHARS_MAX = 128
