// What an attempt may cost and weigh: the claim that admission holds for it. Under a strict budget or a rate of tokens
// the call itself is bounded, so that it cannot come to more.

import type { Claim } from '#core/admission.ts'
import {
  affordableTokens,
  type Ceiling,
  ceilingNano,
  ceilingOf,
  type HeldMoney,
  isBounded,
  type SizeBound,
} from '#pricing/ceiling.ts'
import type { Price } from '#pricing/price.ts'
import { type BuiltIns, builtInsOf } from './built-ins.ts'
import type { Call } from './context.ts'
import { exchangeOf, heldPrices } from './held-prices.ts'
import type { InputGauge } from './input-gauge.ts'
import { TEMPLATE_TOKENS } from './input-gauge.ts'
import type { Live, TargetFacts } from './live.ts'
import {
  answersOf,
  askedTokens,
  type BoundFields,
  boundFieldsOf,
  lengthOf,
  OUTPUT_TOKENS_MIN,
  OUTPUT_TOKENS_OPEN,
  type OutputTokens,
  sumOf,
  withOutputBound,
} from './output-bound.ts'

/** No answer of a model whose window is unknown is longer. */
const OUTPUT_TOKENS_CEILING = 131_072
/** What a client leaves open of an answer takes this part of a rate at most: a full window must stay nearly full. */
const OPEN_SHARE = 8
/** Less is no answer: beside a long prompt or under a small rate the share is exceeded. */
const OPEN_TOKENS_MIN = 1_024
/** A picture at its highest resolution (Qwen-VL: 16,384 tokens); clips and files have no bound. */
const PICTURE_TOKENS = 16_384
/** Vendors' own words around the descriptions of tools. */
const TOOL_TOKENS = 512
/** A timer fires late where the event loop is busy. */
export const TIMER_SLACK_MS = 1_000
/** Bytes of text that one token of output may stand for, where a price counts characters. */
const CHARACTERS_PER_TOKEN = 8

export interface HoldInput {
  readonly live: Live
  readonly call: Call
  readonly facts: TargetFacts
  readonly gauge: InputGauge
  readonly atMs: number
  /** The attempt is ended by then. */
  readonly totalMs: number
  /** Some budget counts this request. */
  readonly hasBudget: boolean
  readonly isStrict: boolean
  /** What the tightest budget still has; null: there is none. */
  readonly leftNano: bigint | null
  /** The tightest rate of tokens; null: none counts this request. */
  readonly tpm: number | null
}

export type Held =
  | {
      readonly kind: 'claimed'
      readonly claim: Claim
      readonly call: Call
      /** The bound that the client did not ask for; null: none was set. */
      readonly maxTokens: number | null
      /** null: no budget counts it. */
      readonly money: HeldMoney | null
    }
  /** Without a bound or a price the target cannot be asked under this budget. */
  | { readonly kind: 'excluded'; readonly reason: 'unpriced' | 'unbounded'; readonly detail: string }

export function holdFor(input: HoldInput): Held {
  const { live, call, facts, atMs, hasBudget, tpm } = input
  const held = hasBudget ? heldPrices(live, call.model, facts, atMs) : null
  if (held?.kind === 'denied') return { kind: 'excluded', reason: 'unpriced', detail: 'no price is known' }
  const prices = held === null || held.kind === 'flagged' ? [] : held.prices
  const fields = boundFieldsOf(facts, call)
  const size = sizeOf(input, builtInsOf(facts, call))
  const most = { ...size, inputTokens: worstInput(input, size) }
  const ceilings = prices.map((price) => ceilingOf(price, exchangeOf(live, price, atMs), atMs, most))
  const isStrict = input.isStrict && prices.length > 0
  const unbounded = isStrict ? whyUnbounded(prices, call, fields, size) : null
  if (unbounded !== null) return { kind: 'excluded', reason: 'unbounded', detail: unbounded }
  const isByToken = prices.some((price) => price.unit === 'per_million_tokens')
  if (fields !== null && (tpm !== null || (isStrict && isByToken)))
    return boundedHold(input, isStrict, fields, size, ceilings)
  return openHold(input, isStrict, fields, size, ceilings)
}

/** Why a strict budget cannot let it pass; null: all of it is bounded. */
function whyUnbounded(
  prices: readonly Price[],
  call: Call,
  fields: BoundFields | null,
  size: SizeBound,
): string | null {
  const loose = prices.find((price) => !isBounded(price))
  if (loose !== undefined) return `its price is ${loose.unit}`
  if (Object.keys(size.calls).length > 0)
    return "nothing bounds the provider's own searches and tools, nor what they find"
  if (prices.every((price) => price.unit !== 'per_million_tokens')) return null
  if (fields === null) return 'nothing bounds how long the model thinks'
  return hasClip(call) ? 'nothing bounds the tokens of a clip or file' : null
}

const CLIPS: ReadonlySet<string> = new Set(['audio_input', 'video_input', 'file_input'])

/** Clips and files: vendors count seconds and pages, of which the bytes of a request say nothing. */
export function hasClip(call: Call): boolean {
  return call.needs.some(({ capability }) => CLIPS.has(capability))
}

/** The call says how long its answer may be, or is made to say so. */
function boundedHold(
  input: HoldInput,
  isStrict: boolean,
  fields: BoundFields,
  size: SizeBound,
  ceilings: readonly Ceiling[],
): Held {
  const { call, facts, leftNano, tpm } = input
  const { inputTokens } = size
  const answers = answersOf(call)
  const room = tpm === null ? null : Math.floor(openTokens(tpm, inputTokens) / answers)
  const asked = askedTokens(call, fields, { room, maxOutput: facts.maxOutput })
  const sum = Math.min(sumOf(asked), windowOf(facts))
  const affordable =
    isStrict && leftNano !== null ? affordableTokens(ceilings, inputTokens, leftNano, answers) : sum
  const total = Math.max(Math.min(sum, affordable), Math.min(sum, OUTPUT_TOKENS_MIN))
  const bounded = withOutputBound(call, fields, shareOut(asked, total))
  const output = total * answers
  const worstNano = ceilingNano(ceilings, worstInput(input, size), output)
  const costNano = isStrict ? worstNano : softNano(input, ceilings, output)
  const tokens = tokensOf(input, inputTokens + output)
  return {
    kind: 'claimed',
    claim: { costNano, worstNano, tokens },
    call: bounded,
    maxTokens: bounded === call ? null : total,
    money: input.hasBudget ? { costNano, ceilings } : null,
  }
}

/** What may be left open of an answer under a rate. */
function openTokens(tpm: number, inputTokens: number): number {
  return Math.max(tpm / OPEN_SHARE - inputTokens, Math.min(OPEN_TOKENS_MIN, tpm - inputTokens))
}

/** The call goes as it is, and what is held may be exceeded, up to a bound that is said. */
function openHold(
  input: HoldInput,
  isStrict: boolean,
  fields: BoundFields | null,
  size: SizeBound,
  ceilings: readonly Ceiling[],
): Held {
  const { call, facts } = input
  const answers = answersOf(call)
  const asked = sumOf(askedTokens(call, fields, { room: null, maxOutput: null }))
  const longest = longestOf(facts, call)
  const wished = Math.min(asked, longest) * answers
  const isBoundedByClient =
    lengthOf(call, 'max_tokens') !== null || lengthOf(call, 'max_completion_tokens') !== null
  const worst = fields !== null && isBoundedByClient ? wished : longest * answers
  const worstNano = ceilingNano(ceilings, worstInput(input, size), worst)
  const costNano = isStrict ? worstNano : softNano(input, ceilings, wished)
  return {
    kind: 'claimed',
    claim: { costNano, worstNano, tokens: tokensOf(input, size.inputTokens + worst) },
    call,
    maxTokens: null,
    money: input.hasBudget ? { costNano, ceilings } : null,
  }
}

/** Soft budgets go by what the target has counted so far, and by an answer of middling length. */
function softNano(input: HoldInput, ceilings: readonly Ceiling[], outputTokens: number): Claim['costNano'] {
  if (ceilings.length === 0) return ceilingNano(ceilings, 0, 0)
  const { call, facts, gauge } = input
  const likely = inputOf(call, builtInsOf(facts, call), (bytes) => gauge.likelyBound(facts.target.id, bytes))
  const window = facts.contextWindow ?? Number.POSITIVE_INFINITY
  const output = Math.min(outputTokens, OUTPUT_TOKENS_OPEN * answersOf(call))
  return ceilingNano(ceilings, Math.min(likely, window), output)
}

/** What nothing bounds runs alone in its minute, so that no other request has to fit beside it. */
function tokensOf({ tpm, call, facts }: HoldInput, tokens: number): number {
  const isLoose = boundFieldsOf(facts, call) === null || hasClip(call)
  return tpm !== null && isLoose ? Math.max(Math.min(tokens + clipTokens(call, facts), tpm), 1) : tokens
}

/** A clip fills the window at most. */
function clipTokens(call: Call, facts: TargetFacts): number {
  return hasClip(call) ? (facts.contextWindow ?? OUTPUT_TOKENS_CEILING) : 0
}

/** What the bytes say, or the whole window where they say nothing. */
function worstInput({ call, facts }: HoldInput, { inputTokens }: SizeBound): number {
  return Math.max(inputTokens, clipTokens(call, facts))
}

/** Thinking and answer give way in proportion. */
function shareOut(asked: OutputTokens, total: number): OutputTokens {
  if (asked.thinking === 0) return { answer: total, thinking: 0 }
  const thinking = Math.floor((total * asked.thinking) / sumOf(asked))
  return { answer: total - thinking, thinking }
}

/** No answer of the target is longer. */
export function windowOf(facts: TargetFacts): number {
  return Math.min(facts.contextWindow ?? OUTPUT_TOKENS_CEILING, OUTPUT_TOKENS_CEILING)
}

/** Lists say how long an answer may be, and not of all vendors whether its thinking is part of that. */
function longestOf(facts: TargetFacts, call: Call): number {
  const thinks = call.thinking.enabled === null ? facts.thinksByDefault : call.thinking.enabled !== false
  return Math.min(windowOf(facts), thinks ? Number.POSITIVE_INFINITY : (facts.maxOutput ?? windowOf(facts)))
}

/** What the request can come to at most. */
function sizeOf(input: HoldInput, builtIns: BuiltIns): SizeBound {
  const { call, facts, totalMs } = input
  const answers = answersOf(call)
  const inputTokens = inputOf(call, builtIns, (bytes) => bytes + TEMPLATE_TOKENS)
  const outputTokens = windowOf(facts) * answers
  const timeMs = totalMs + TIMER_SLACK_MS
  return {
    inputTokens,
    outputTokens,
    mayThink: call.thinking.enabled !== false,
    calls: builtIns.calls,
    units: {
      gpuMs: timeMs,
      durationMs: timeMs,
      calls: 1,
      images: answers,
      videos: answers,
      voices: answers,
      characters: call.bytes.length + OUTPUT_TOKENS_OPEN * CHARACTERS_PER_TOKEN * answers,
    },
  }
}

/** No text has more tokens than bytes; clips and files excepted. */
export function certainInput(call: Call, facts: TargetFacts): number {
  return inputOf(call, builtInsOf(facts, call), (bytes) => bytes + TEMPLATE_TOKENS)
}

/** Input tokens of the body whose text comes to `textTokens`. */
function inputOf(call: Call, builtIns: BuiltIns, textTokens: (bytes: number) => number): number {
  const { bytes, pictures } = textOf(call)
  const hasTools = call.needs.some((need) => need.capability === 'tools')
  return textTokens(bytes) + pictures * PICTURE_TOKENS + (hasTools ? TOOL_TOKENS : 0) + builtIns.foundTokens
}

/** Bytes of the body without its pictures, which are counted by size and not by the bytes of their addresses. */
export function textOf(call: Call): { readonly bytes: number; readonly pictures: number } {
  let bytes = call.bytes.length
  let pictures = 0
  if (!call.needs.some((need) => need.capability === 'vision')) return { bytes, pictures }
  for (const message of call.chat.messages) {
    if (!Array.isArray(message.content)) continue
    for (const part of message.content as readonly {
      readonly type: string
      readonly image_url?: unknown
    }[]) {
      if (part.type !== 'image_url') continue
      pictures++
      const { image_url: image } = part
      const url = typeof image === 'object' && image !== null ? (image as { url?: unknown }).url : image
      if (typeof url === 'string') bytes -= url.length
    }
  }
  return { bytes, pictures }
}
