// The metrics of one instance, in a registry of their own. The request path adds to number slots it looks up;
// prom-client only prints them. Names and buckets stand in names.ts.

import { type Metric, Registry } from 'prom-client'
import { METRIC_SERIES_MAX } from '#core/limits.ts'
import type { AttemptMeasures, Metrics, RequestMeasures } from '#core/telemetry.ts'
import { LABEL_CHARS_MAX, METRICS, OPERATION, OTHER } from './names.ts'
import {
  type Collector,
  HistogramFamily,
  type HistogramSlot,
  NumberFamily,
  type NumberSlot,
} from './series.ts'

const STATES = ['closed', 'open', 'half_open'] as const
/** Models with series of their own; two token types each must fit the bound of a metric. */
const MODELS_MAX = Math.floor(METRIC_SERIES_MAX / 2) - 1
const TARGETS_MAX = Math.floor(METRIC_SERIES_MAX / STATES.length)

export interface BuildInfo {
  readonly version: string
  /** `node 24.21.0`. */
  readonly runtime: string
}

/** All slots that an attempt of one model adds to, found at once. */
interface ModelSlots {
  /** As the labels have it: `other` beyond the bound. */
  readonly provider: string
  readonly model: string
  readonly inputTokens: NumberSlot
  readonly outputTokens: NumberSlot
  readonly cacheReadTokens: NumberSlot
  readonly reasoningTokens: NumberSlot
  readonly costNano: NumberSlot
  readonly unpriced: NumberSlot
  readonly estimated: NumberSlot
  readonly timeToFirstChunk: HistogramSlot
  readonly inputUsage: HistogramSlot
  readonly outputUsage: HistogramSlot
  readonly byOutcome: Map<string, OutcomeSlots>
}

interface OutcomeSlots {
  readonly attempts: NumberSlot
  readonly duration: HistogramSlot
}

/** Without `build` there is no `sluice_build_info`. */
export function createMetrics(build: BuildInfo | null = null): Metrics {
  const registry = new Registry()
  const families = openFamilies(registry)
  const inFlight = families.requestsInFlight.at()
  const holds = families.holds.at()
  const drainsRunning = families.drainsRunning.at()
  const overshootBound = families.overshootBound.at()
  const overrunTokens = families.limitOverrunTokens.at()
  const budgetOverrun = families.budgetOverrun.at()
  const reloadFailures = families.settingsReloadFailures.at()
  const eventsDropped = families.streamEventsDropped.at()
  if (build !== null) families.buildInfo.at(build.version, build.runtime).value = 1
  const slotsOf = modelTable(families)
  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    requestStarted() {
      inFlight.value++
    },
    requestEnded(end) {
      inFlight.value--
      addRequest(families, end)
    },
    attemptEnded: (end) => addAttempt(families, slotsOf(end.provider, end.model), end),
    usageRecovered(attempts) {
      families.usageEstimates.at('recovered').value += attempts
    },
    drains(running) {
      drainsRunning.value = running
    },
    drainEnded(outcome) {
      families.drains.at(outcome).value++
    },
    decided(policy, choice) {
      families.decisions.at(policy, choice).value++
    },
    plannerRequests(count) {
      families.plannerRequests.at().value = count
    },
    hedged() {
      families.hedges.at().value++
    },
    fallback(reason) {
      families.fallbacks.at(reason).value++
    },
    admissionRefused(reason) {
      families.admissionRefusals.at(reason).value++
    },
    budgetAlert(kind, threshold) {
      families.budgetAlerts.at(kind, threshold).value++
    },
    admission(state) {
      holds.value = Number(state.heldNano)
      overshootBound.value = Number(state.overshootNano)
      overrunTokens.value = state.overrunTokens
      budgetOverrun.value = Number(state.overrunNano)
    },
    targetState: targetStates(families),
    storeUp(isUp) {
      families.storeUp.at().value = isUp ? 1 : 0
    },
    storeRisk(risk, isSo) {
      families.storeRisk.at(risk).value = isSo ? 1 : 0
    },
    instanceTaken(isTaken) {
      families.instanceTaken.at().value = isTaken ? 1 : 0
    },
    journal(rows, oldestAgeMs) {
      families.journalRows.at().value = rows
      families.journalOldestAge.at().value = oldestAgeMs / 1000
    },
    writeAheadLog(bytes, checkpointAgeMs) {
      families.walBytes.at().value = bytes
      families.checkpointAge.at().value = checkpointAgeMs / 1000
    },
    journalBytesUnread(bytes) {
      families.journalBytesUnread.at().value += bytes
    },
    rowsLost(rows) {
      families.rowsLost.at().value += rows
    },
    archive(isHolder, lagMs) {
      families.archiving.at().value = isHolder ? 1 : 0
      families.archiveLag.at().value = lagMs / 1000
    },
    rowsUnarchived(rows) {
      families.rowsUnarchived.at().value += rows
    },
    countersRebuilt(count) {
      families.countersRebuilt.at().value += count
    },
    limitsLocal(count) {
      families.limitsLocal.at().value = count
    },
    pursesWritten(why) {
      families.pursesWritten.at(why).value++
    },
    storeDuration(operation, durationMs) {
      families.storeDuration.at(operation).observe(durationMs / 1000)
    },
    settingsReloaded(atMs) {
      families.settingsLastReload.at().value = atMs / 1000
    },
    settingsReloadFailed() {
      reloadFailures.value++
    },
    streamEventDropped() {
      eventsDropped.value++
    },
    priceAge(provider, ageMs) {
      families.priceAge.at(provider).value = Math.round(ageMs / 1000)
    },
    priceListKept(provider, isKept) {
      families.priceListKept.at(provider).value = isKept ? 1 : 0
    },
  }
}

type Families = ReturnType<typeof openFamilies>

function openFamilies(registry: Registry) {
  const seriesDropped = new NumberFamily(METRICS.metricSeriesDropped, () => undefined)
  const dropped = seriesDropped.at()
  const onFold = (): void => {
    dropped.value++
  }
  const numbers = (definition: ConstructorParameters<typeof NumberFamily>[0]): NumberFamily =>
    register(registry, new NumberFamily(definition, onFold))
  const histogram = (definition: ConstructorParameters<typeof HistogramFamily>[0]): HistogramFamily =>
    register(registry, new HistogramFamily(definition, onFold))
  register(registry, seriesDropped)
  return {
    onFold,
    requests: numbers(METRICS.requests),
    requestDuration: histogram(METRICS.requestDuration),
    timeToFirstChunk: histogram(METRICS.timeToFirstChunk),
    overhead: histogram(METRICS.overhead),
    attempts: numbers(METRICS.attempts),
    fallbacks: numbers(METRICS.fallbacks),
    decisions: numbers(METRICS.decisions),
    plannerRequests: numbers(METRICS.plannerRequests),
    hedges: numbers(METRICS.hedges),
    admissionRefusals: numbers(METRICS.admissionRefusals),
    budgetAlerts: numbers(METRICS.budgetAlerts),
    holds: numbers(METRICS.holds),
    overshootBound: numbers(METRICS.overshootBound),
    limitOverrunTokens: numbers(METRICS.limitOverrunTokens),
    budgetOverrun: numbers(METRICS.budgetOverrun),
    requestsInFlight: numbers(METRICS.requestsInFlight),
    tokens: numbers(METRICS.tokens),
    cacheReadTokens: numbers(METRICS.cacheReadTokens),
    reasoningTokens: numbers(METRICS.reasoningTokens),
    cost: numbers(METRICS.cost),
    unpricedAttempts: numbers(METRICS.unpricedAttempts),
    estimatedAttempts: numbers(METRICS.estimatedAttempts),
    usageEstimates: numbers(METRICS.usageEstimates),
    usageContradictions: numbers(METRICS.usageContradictions),
    drainsRunning: numbers(METRICS.drainsRunning),
    drains: numbers(METRICS.drains),
    targetState: numbers(METRICS.targetState),
    priceAge: numbers(METRICS.priceAge),
    priceListKept: numbers(METRICS.priceListKept),
    storeUp: numbers(METRICS.storeUp),
    storeRisk: numbers(METRICS.storeRisk),
    instanceTaken: numbers(METRICS.instanceTaken),
    journalRows: numbers(METRICS.journalRows),
    journalOldestAge: numbers(METRICS.journalOldestAge),
    walBytes: numbers(METRICS.walBytes),
    checkpointAge: numbers(METRICS.checkpointAge),
    journalBytesUnread: numbers(METRICS.journalBytesUnread),
    rowsLost: numbers(METRICS.rowsLost),
    archiving: numbers(METRICS.archiving),
    archiveLag: numbers(METRICS.archiveLag),
    rowsUnarchived: numbers(METRICS.rowsUnarchived),
    countersRebuilt: numbers(METRICS.countersRebuilt),
    limitsLocal: numbers(METRICS.limitsLocal),
    pursesWritten: numbers(METRICS.pursesWritten),
    storeDuration: histogram(METRICS.storeDuration),
    settingsLastReload: numbers(METRICS.settingsLastReload),
    settingsReloadFailures: numbers(METRICS.settingsReloadFailures),
    streamEventsDropped: numbers(METRICS.streamEventsDropped),
    buildInfo: numbers(METRICS.buildInfo),
    operationDuration: histogram(METRICS.operationDuration),
    operationTimeToFirstChunk: histogram(METRICS.operationTimeToFirstChunk),
    tokenUsage: histogram(METRICS.tokenUsage),
  }
}

function register<Family extends { collector(): Collector }>(registry: Registry, family: Family): Family {
  // The registry reads nothing but what a Collector has (lib/registry.js of 15.1.3); its type names only
  // prom-client's own classes, whose inc() and observe() cost more than the request path may spend.
  registry.registerMetric(family.collector() as unknown as Metric)
  return family
}

function addRequest(families: Families, end: RequestMeasures): void {
  families.requests.at(end.wireFormat, end.outcome).value++
  families.requestDuration.at(end.wireFormat, end.outcome).observe(end.durationMs / 1000)
  families.overhead.at(end.wireFormat).observe(end.overheadMs / 1000)
  if (end.ttftMs !== null) families.timeToFirstChunk.at(end.wireFormat).observe(end.ttftMs / 1000)
}

function addAttempt(families: Families, slots: ModelSlots, end: AttemptMeasures): void {
  const { usage } = end
  slots.inputTokens.value += usage.inputTokens
  slots.outputTokens.value += usage.outputTokens
  slots.cacheReadTokens.value += usage.cachedInputTokens
  slots.reasoningTokens.value += usage.reasoningTokens
  slots.inputUsage.observe(usage.inputTokens)
  slots.outputUsage.observe(usage.outputTokens)
  if (end.unpriced) slots.unpriced.value++
  // Nano as a double is exact to nine million units; the ledger is the place of exact sums.
  if (end.costNano !== null) slots.costNano.value += Number(end.costNano)
  if (end.estimate !== null) {
    slots.estimated.value++
    families.usageEstimates.at(end.estimate).value++
  }
  if (end.doubt !== null) families.usageContradictions.at(end.doubt).value++
  if (end.ttftMs !== null) slots.timeToFirstChunk.observe(end.ttftMs / 1000)
  const { attempts, duration } = outcomeSlots(families, slots, end)
  attempts.value++
  duration.observe(end.durationMs / 1000)
}

function outcomeSlots(families: Families, slots: ModelSlots, end: AttemptMeasures): OutcomeSlots {
  const known = slots.byOutcome.get(end.outcome)
  if (known !== undefined) return known
  const errorType = end.outcome === 'success' ? '' : end.outcome
  const made = {
    attempts: families.attempts.at(end.provider, end.outcome),
    duration: families.operationDuration.at(OPERATION, slots.provider, slots.model, errorType),
  }
  // Providers share the slots of "other", so what was found for one of them must not be kept there.
  if (slots.provider === end.provider) slots.byOutcome.set(end.outcome, made)
  return made
}

function modelTable(families: Families): (provider: string, model: string) => ModelSlots {
  const table = new Map<string, Map<string, ModelSlots>>()
  let models = 0
  let other: ModelSlots | null = null
  return (provider, model) => {
    const known = table.get(provider)?.get(model)
    if (known !== undefined) return known
    if (models >= MODELS_MAX || model.length > LABEL_CHARS_MAX || provider.length > LABEL_CHARS_MAX) {
      families.onFold()
      other ??= openModel(families, OTHER, OTHER)
      return other
    }
    const made = openModel(families, provider, model)
    const ofProvider = table.get(provider) ?? new Map<string, ModelSlots>()
    table.set(provider, ofProvider.set(model, made))
    models++
    return made
  }
}

function openModel(families: Families, provider: string, model: string): ModelSlots {
  return {
    provider,
    model,
    inputTokens: families.tokens.at(provider, model, 'input'),
    outputTokens: families.tokens.at(provider, model, 'output'),
    cacheReadTokens: families.cacheReadTokens.at(provider, model),
    reasoningTokens: families.reasoningTokens.at(provider, model),
    costNano: families.cost.at(provider, model),
    unpriced: families.unpricedAttempts.at(provider, model),
    estimated: families.estimatedAttempts.at(provider, model),
    timeToFirstChunk: families.operationTimeToFirstChunk.at(OPERATION, provider, model),
    inputUsage: families.tokenUsage.at(OPERATION, provider, model, 'input'),
    outputUsage: families.tokenUsage.at(OPERATION, provider, model, 'output'),
    byOutcome: new Map(),
  }
}

/** One "other" target would say nothing of any: a state beyond the bound is left out and counted as dropped. */
function targetStates(families: Families): Metrics['targetState'] {
  const targets = new Map<string, Readonly<Record<(typeof STATES)[number], NumberSlot>>>()
  return (target, state) => {
    let slots = targets.get(target)
    if (slots === undefined) {
      if (targets.size >= TARGETS_MAX || target.length > LABEL_CHARS_MAX) return families.onFold()
      slots = {
        closed: families.targetState.at(target, 'closed'),
        open: families.targetState.at(target, 'open'),
        half_open: families.targetState.at(target, 'half_open'),
      }
      targets.set(target, slots)
    }
    for (const candidate of STATES) slots[candidate].value = candidate === state ? 1 : 0
  }
}
