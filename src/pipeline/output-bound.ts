// How the length of an answer is bounded, thinking included, and the call that says so. `max_tokens` alone does not
// bound the thinking of several vendors; a target whose thinking nothing bounds has no bound at all.

import type { ChatRequest } from '#core/chat.ts'
import { JSON_DEPTH_MAX } from '#core/limits.ts'
import { encodeUtf8 } from '#wire/bytes.ts'
import { scanMembers, spliceMembers } from '#wire/json-members.ts'
import { hasCompletions } from './considered.ts'
import type { Call } from './context.ts'
import type { TargetFacts } from './live.ts'

/** The fields that bound an answer together. */
export interface BoundFields {
  readonly length: 'max_tokens' | 'max_completion_tokens'
  /** Bounds the thinking apart from the answer; null: `length` bounds both. */
  readonly thinking: string | null
  readonly thinks: boolean
  /** The client's `max_tokens` is about its thinking too; else thinking comes on top of it. */
  readonly coversThinking: boolean
}

/** null: the target's thinking cannot be bounded. */
export function boundFieldsOf(facts: TargetFacts, call: Call): BoundFields | null {
  const { maxTokens = 'both', thinking } = facts.quirks
  const thinks = mayThink(facts, call)
  const coversThinking = facts.quirks.lengthCoversThinking === true
  const needsMore = thinks && !coversThinking
  const rest = { thinks, coversThinking }
  // Formats of their own say both in `max_tokens` and the budget; endpoints of completions know `max_tokens` alone.
  if (facts.format !== null || (call.api === 'completions' && hasCompletions(facts))) {
    const budget = needsMore ? budgetFieldOf(facts) : null
    return needsMore && budget === null ? null : { length: 'max_tokens', thinking: budget, ...rest }
  }
  if (!needsMore) {
    const isCompletion = maxTokens === 'max_completion_tokens' || askedFor(call, 'max_completion_tokens')
    const length = isCompletion && maxTokens !== 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
    return { length, thinking: null, ...rest }
  }
  // Where it is known it covers thinking: OpenAI, Ark and Qianfan say so.
  if (maxTokens !== 'max_tokens') return { length: 'max_completion_tokens', thinking: null, ...rest }
  const budget = thinking.style === 'enable_thinking' ? budgetFieldOf(facts) : null
  return budget === null ? null : { length: 'max_tokens', thinking: budget, ...rest }
}

function budgetFieldOf(facts: TargetFacts): string | null {
  const { thinking } = facts.quirks
  return thinking.style === 'enable_thinking' ? (thinking.budgetField ?? null) : null
}

/** A model without a switch thinks whatever it is told. */
export function mayThink(facts: TargetFacts, call: Call): boolean {
  const { enabled } = call.thinking
  if (facts.quirks.thinking.style === 'none') return facts.thinksByDefault
  return enabled === null ? facts.thinksByDefault : enabled !== false
}

export interface OutputTokens {
  readonly answer: number
  /** Beyond the answer; 0 where one field bounds both, or nothing thinks. */
  readonly thinking: number
}

/** Of an answer that its client leaves open. */
export const OUTPUT_TOKENS_OPEN = 4_096
/** Of thinking that nobody has bounded; vendors' own defaults go from 4,000 to 32,000. */
const THINKING_TOKENS_OPEN = 8_192
/** An answer that would be cut shorter than this is refused instead. */
export const OUTPUT_TOKENS_MIN = 16
/** Vendors refuse smaller budgets (SiliconFlow: 128, Qianfan: 100). */
const THINKING_TOKENS_MIN = 128

export interface AskedLimits {
  /** What the client leaves open shall fit in here, with what it says; null: in anything. */
  readonly room: number | null
  /** No answer of the model is longer; null: not known. */
  readonly maxOutput: number | null
}

/** What the client asks for at most, and what it gets of what it leaves open. */
export function askedTokens(call: Call, fields: BoundFields | null, limits: AskedLimits): OutputTokens {
  const maxOutput = limits.maxOutput ?? Number.POSITIVE_INFINITY
  const completion = lengthOf(call, 'max_completion_tokens')
  const given = completion ?? lengthOf(call, 'max_tokens')
  const thinks = fields?.thinks === true
  const covered = fields?.coversThinking === true ? given : completion
  if (thinks && fields.thinking === null && covered !== null)
    return { answer: fields.coversThinking ? Math.min(covered, maxOutput) : covered, thinking: 0 }
  const { answer, thinking } = fitted(
    { answer: given, thinking: thinks ? call.thinking.budgetTokens : 0 },
    maxOutput,
    limits.room ?? Number.POSITIVE_INFINITY,
  )
  return fields === null || fields.thinking !== null
    ? { answer, thinking }
    : { answer: answer + thinking, thinking: 0 }
}

/** What is open (null) is of middling length, and shorter where there is less room. */
function fitted(
  asked: { readonly answer: number | null; readonly thinking: number | null },
  maxOutput: number,
  room: number,
): OutputTokens {
  const answer = Math.min(asked.answer ?? OUTPUT_TOKENS_OPEN, maxOutput)
  const thinking = asked.thinking ?? THINKING_TOKENS_OPEN
  if (asked.answer === null && asked.thinking === null) {
    const share = Math.min(1, Math.max(0, room) / (answer + thinking))
    return {
      answer: Math.max(OUTPUT_TOKENS_MIN, Math.floor(answer * share)),
      thinking: Math.max(THINKING_TOKENS_MIN, Math.floor(thinking * share)),
    }
  }
  if (asked.answer === null)
    return { answer: Math.max(OUTPUT_TOKENS_MIN, Math.min(answer, room - thinking)), thinking }
  if (asked.thinking === null)
    return { answer, thinking: Math.max(THINKING_TOKENS_MIN, Math.min(thinking, room - answer)) }
  return { answer, thinking }
}

export function sumOf({ answer, thinking }: OutputTokens): number {
  return answer + thinking
}

/** null: the client does not bound its answer. */
export function lengthOf(call: Call, field: 'max_tokens' | 'max_completion_tokens'): number | null {
  const value = call.body[field]
  return typeof value === 'number' ? value : null
}

function askedFor(call: Call, field: 'max_tokens' | 'max_completion_tokens'): boolean {
  return lengthOf(call, field) !== null
}

/** What the call as it is sent can be billed for at most; infinite where nothing in it says so. */
export function billedTokensMax(call: Call, facts: TargetFacts): number {
  const completion = lengthOf(call, 'max_completion_tokens')
  if (completion !== null) return completion * answersOf(call)
  const answer = lengthOf(call, 'max_tokens')
  if (answer === null) return Number.POSITIVE_INFINITY
  const isApart = mayThink(facts, call) && facts.quirks.lengthCoversThinking !== true
  const thinking = isApart ? (call.thinking.budgetTokens ?? Number.POSITIVE_INFINITY) : 0
  return (answer + thinking) * answersOf(call)
}

/** Answers that one request is billed for. */
export function answersOf(call: Call): number {
  const count = (field: string): number => {
    const value = call.body[field]
    return typeof value === 'number' && value >= 1 ? Math.ceil(value) : 1
  }
  return Math.max(count('n'), count('best_of'))
}

/** The call with its output bounded to these tokens; the same call where it says so already. */
export function withOutputBound(call: Call, fields: BoundFields, tokens: OutputTokens): Call {
  const other = fields.length === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens'
  const wanted: (readonly [string, number | null])[] = [
    [fields.length, tokens.answer],
    // Ark answers both together with a 400.
    [other, null],
  ]
  if (fields.thinking !== null) wanted.push([fields.thinking, tokens.thinking])
  const changed = wanted.filter(([field, value]) => (call.body[field] ?? null) !== value)
  if (changed.length === 0) return call
  return edited(call, changed, fields.thinking === null ? null : tokens.thinking)
}

function edited(
  call: Call,
  changes: readonly (readonly [string, number | null])[],
  budgetTokens: number | null,
): Call {
  const values = Object.fromEntries(changes.map(([field, value]) => [field, value ?? undefined]))
  const body = { ...call.body, ...values }
  const chat = { ...call.chat, ...values } as ChatRequest
  const edits = new Map(changes.map(([field, value]) => [field, value === null ? null : String(value)]))
  const bytes =
    call.scan === null ? encodeUtf8(JSON.stringify(body)) : spliceMembers(call.bytes, call.scan, edits)
  return {
    ...call,
    bytes,
    scan: scanMembers(bytes, JSON_DEPTH_MAX),
    body,
    chat,
    thinking: budgetTokens === null ? call.thinking : { ...call.thinking, budgetTokens },
  }
}
