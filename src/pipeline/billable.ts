// What an attempt is billed for: the upstream's own figures where they can be so, else an estimate with its bound.
// Never a silent zero, and never an estimate for what was refused.

import type { AnswerState } from '#core/answer.ts'
import type { EstimateError, EstimateReason, TokenUsage, UsageDoubt, UsageSource } from '#core/usage.ts'
import { NO_USAGE } from '#core/usage.ts'
import type { AttemptEnd } from './attempt-end.ts'
import type { Call } from './context.ts'
import { certainInput, hasClip, textOf, windowOf } from './hold.ts'
import type { InputGauge } from './input-gauge.ts'
import type { TargetFacts } from './live.ts'
import { answersOf, billedTokensMax, mayThink } from './output-bound.ts'
import type { OutputGauge } from './output-gauge.ts'

export interface Gauges {
  readonly gauge: InputGauge
  readonly outputGauge: OutputGauge
}

export interface Billable {
  readonly usage: TokenUsage
  readonly source: UsageSource
  readonly error: EstimateError | null
  readonly doubt: UsageDoubt | null
  /** null: the count is the upstream's. */
  readonly reason: EstimateReason | null
}

export function billableOf(gauges: Gauges, call: Call, facts: TargetFacts, end: AttemptEnd): Billable {
  const said = end.state.usage
  if (said === null)
    return isRefused(end)
      ? NOTHING
      : estimated(gauges, call, facts, end, { ...NO_USAGE, lacks: 'both' }, null)
  const doubt = said.doubt ?? contradictionOf(said, end.state)
  // A zero that is the last word on a whole answer is what the bill says, however odd; the row says that it is.
  const isBelieved = doubt === 'zero' && isWhole(end) && isLastFigure(end.state)
  if (said.lacks !== undefined || (doubt === 'zero' && !isBelieved) || doubt === 'behind')
    return estimated(gauges, call, facts, end, said, doubt)
  // An answer that did not end may have grown since the upstream last said how long it was.
  if (end.billsOn) return estimated(gauges, call, facts, end, said, null)
  const error = isWhole(end)
    ? null
    : { inputTokens: 0, outputTokens: Math.max(0, mostTokens(call, facts, end) - said.outputTokens) }
  return { usage: plain(said), source: sourceOf(end), error, doubt, reason: null }
}

const NOTHING: Billable = Object.freeze({
  usage: NO_USAGE,
  source: 'provider',
  error: null,
  doubt: null,
  reason: null,
})

function sourceOf({ left }: AttemptEnd): UsageSource {
  return left === 'learned' || left === 'failed' ? 'drained' : 'provider'
}

/** A refusal under an error status is not billed; a request that was never written cannot be. */
export function isRefused(end: AttemptEnd): boolean {
  if (end.httpStatus >= 300 || !end.sent) return true
  return (
    end.outcome === 'failed' && !end.state.content && end.failure !== null && REFUSALS.has(end.failure.kind)
  )
}

/** Failures that a provider says before it works, also under HTTP 200. */
const REFUSALS: ReadonlySet<string> = new Set([
  'moderation',
  'quota',
  'rate_limit',
  'overloaded',
  'context_length',
  'auth',
  'model_unavailable',
  'invalid_request',
])

/** Bytes of text that no token stands for on average, not even in runs of white space. */
const TOKEN_BYTES_MAX = 32

function contradictionOf(said: TokenUsage, state: AnswerState): UsageDoubt | null {
  if (said.outputTokens === 0 && state.outputBytes > 0) return 'zero'
  // The one figure at the end of an answer is believed, whatever it is; one that came early, or one of several that do
  // not add up to what came (some count each chunk by itself), is not.
  const isPossible = Math.floor(state.outputBytes / TOKEN_BYTES_MAX) <= said.outputTokens
  return isLastFigure(state) || isPossible ? null : 'behind'
}

function isLastFigure(state: AnswerState): boolean {
  return state.usageFigures === 1 && state.usageAtBytes === state.outputBytes
}

/** The upstream was done: nothing can come to its bill any more. */
function isWhole(end: AttemptEnd): boolean {
  return end.state.finished || end.outcome === 'success' || end.left === 'learned'
}

function estimated(
  gauges: Gauges,
  call: Call,
  facts: TargetFacts,
  end: AttemptEnd,
  said: TokenUsage,
  doubt: UsageDoubt | null,
): Billable {
  const isNothing = said.inputTokens === 0 && said.outputTokens === 0
  const lacksInput = said.lacks === 'input' || said.lacks === 'both' || (doubt === 'zero' && isNothing)
  const inputTokens = lacksInput ? estimatedInput(gauges, call, facts) : said.inputTokens
  const outputTokens =
    said.lacks === 'input' ? said.outputTokens : estimatedOutput(gauges, call, facts, end, said)
  const most = mostTokens(call, facts, end)
  return {
    usage: { ...plain(said), inputTokens, outputTokens },
    source: 'estimated',
    error: {
      inputTokens: lacksInput ? farthest(inputTokens, mostInput(call, facts)) : 0,
      outputTokens: said.lacks === 'input' ? 0 : farthest(outputTokens, most),
    },
    doubt,
    reason: doubt === null ? reasonOf(end) : 'contradiction',
  }
}

/** How far the truth, between nothing and the most, can be. */
function farthest(estimate: number, most: number): number {
  return Math.max(estimate, most - estimate)
}

function reasonOf({ left, outcome }: AttemptEnd): EstimateReason {
  if (left === 'cancel') return 'cancelled'
  if (left === 'estimate') return 'abandoned'
  if (left === 'failed') return 'cut'
  if (left !== null && left !== 'learned') return 'drain_capped'
  return outcome === 'failed' ? 'cut' : 'no_usage'
}

function estimatedInput({ gauge }: Gauges, call: Call, facts: TargetFacts): number {
  const { bytes, pictures } = textOf(call)
  const counted = pictures === 0 && !hasClip(call) ? gauge.expected(facts.target.id, bytes) : null
  return counted ?? call.inputTokensEstimate
}

function estimatedOutput(
  { outputGauge }: Gauges,
  call: Call,
  facts: TargetFacts,
  { state, billsOn, streamed, durationMs }: AttemptEnd,
  said: TokenUsage,
): number {
  const { id } = facts.target
  // What one figure counted is counted; one of nothing counted nothing, and of several nobody knows what each is about.
  const isCounted = state.usageFigures === 1 && said.outputTokens > 0
  const counted = isCounted ? said.outputTokens : 0
  const bytes = isCounted ? state.outputBytes - state.usageAtBytes : state.outputBytes
  const unseen = streamed || state.outputBytes > 0 ? 0 : outputGauge.after(id, durationMs)
  const seen = bytes === 0 ? unseen : outputGauge.expected(id, bytes)
  const came = Math.max(said.outputTokens, counted + seen)
  const will = billsOn ? (outputGauge.usual(id) ?? call.outputTokensEstimate) : 0
  // No answer is longer than it was allowed to be, however long its words are.
  return Math.max(said.outputTokens, Math.min(Math.max(came, will), billedTokensMax(call, facts)))
}

/** Tokens around a text: those that open and close it. */
const ANSWER_FRAME_TOKENS = 16

/** What the answer can be billed for at most: what it was allowed, or what came where all of it did. */
function mostTokens(call: Call, facts: TargetFacts, end: AttemptEnd): number {
  const allowed = allowedTokens(call, facts)
  if (!isWhole(end) || mayThink(facts, call)) return allowed
  return Math.min(allowed, end.state.outputBytes + ANSWER_FRAME_TOKENS * answersOf(call))
}

function allowedTokens(call: Call, facts: TargetFacts): number {
  const allowed = Math.min(billedTokensMax(call, facts), windowOf(facts) * answersOf(call))
  // A client may ask for any number of answers.
  return Math.min(Math.ceil(allowed), Number.MAX_SAFE_INTEGER)
}

function mostInput(call: Call, facts: TargetFacts): number {
  const most = certainInput(call, facts)
  return hasClip(call) ? Math.max(most, windowOf(facts)) : most
}

/** Of an attempt that has just been sent, booked with what it is taken to become. */
export function openError(call: Call, facts: TargetFacts, outputTokens: number): EstimateError {
  const inputTokens = farthest(call.inputTokensEstimate, mostInput(call, facts))
  return { inputTokens, outputTokens: farthest(outputTokens, allowedTokens(call, facts)) }
}

/** The figures without what is said of them beside. */
function plain(usage: TokenUsage): TokenUsage {
  if (usage.doubt === undefined && usage.lacks === undefined) return usage
  const { doubt: _doubt, lacks: _lacks, ...figures } = usage
  return figures
}
