// How the length of an answer is bounded, thinking included, and the call that says so. `max_tokens` alone does not
// bound the thinking of several vendors; a target whose thinking nothing bounds has no bound at all.

import type { ChatRequest } from '#core/chat.ts'
import { JSON_DEPTH_MAX } from '#core/limits.ts'
import { encodeUtf8 } from '#wire/bytes.ts'
import { scanMembers, spliceMembers } from '#wire/json-members.ts'
import type { Call } from './context.ts'
import type { TargetFacts } from './live.ts'

/** The fields that bound an answer together. */
export interface BoundFields {
  readonly length: 'max_tokens' | 'max_completion_tokens'
  /** Bounds the thinking apart from the answer; null: `length` bounds both. */
  readonly thinking: string | null
  /** The client's `max_tokens` is about the answer only, and thinking comes on top of it. */
  readonly thinks: boolean
}

/** null: the target's thinking cannot be bounded. */
export function boundFieldsOf(facts: TargetFacts, call: Call): BoundFields | null {
  const { maxTokens = 'both', thinking } = facts.quirks
  const thinks = mayThink(facts, call)
  if (call.api === 'completions' || facts.format !== null) {
    // Formats of their own say both in `max_tokens` and the budget.
    const budget = thinks ? budgetFieldOf(facts) : null
    return thinks && budget === null ? null : { length: 'max_tokens', thinking: budget, thinks }
  }
  if (!thinks) {
    const isCompletion = maxTokens === 'max_completion_tokens' || askedFor(call, 'max_completion_tokens')
    return {
      length: isCompletion && maxTokens !== 'max_tokens' ? 'max_completion_tokens' : 'max_tokens',
      thinking: null,
      thinks,
    }
  }
  // Where it is known it covers thinking: OpenAI, Ark and Qianfan say so, vLLM and its like count all they generate.
  if (maxTokens !== 'max_tokens') return { length: 'max_completion_tokens', thinking: null, thinks }
  const budget = thinking.style === 'enable_thinking' ? budgetFieldOf(facts) : null
  return budget === null ? null : { length: 'max_tokens', thinking: budget, thinks }
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

/** Of thinking that nobody has bounded; vendors' own defaults go from 4,000 to 32,000. */
const THINKING_TOKENS = 8_192

/** What the client asks for at most; `fallback` for an answer that it does not bound. */
export function askedTokens(call: Call, fields: BoundFields | null, fallback: number): OutputTokens {
  const completion = lengthOf(call, 'max_completion_tokens')
  const answer = completion ?? lengthOf(call, 'max_tokens') ?? fallback
  if (fields === null || !fields.thinks) return { answer, thinking: 0 }
  const thinking = call.thinking.budgetTokens ?? THINKING_TOKENS
  if (fields.thinking !== null) return { answer, thinking }
  return { answer: completion === null ? answer + thinking : answer, thinking: 0 }
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
  const thinking = mayThink(facts, call) ? (call.thinking.budgetTokens ?? Number.POSITIVE_INFINITY) : 0
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
