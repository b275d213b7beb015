// What an attempt may cost and weigh: the claim that admission holds for it. Under a strict budget the call itself is
// bounded, so that it cannot come to more.

import type { Claim } from '#core/admission.ts'
import type { Micro, Nano } from '#core/money.ts'
import { type Price, type Tier, tiersAt } from '#pricing/price.ts'
import type { Call } from './context.ts'
import type { InputGauge } from './input-gauge.ts'
import { TEMPLATE_TOKENS } from './input-gauge.ts'
import type { Live, TargetFacts } from './live.ts'
import {
  answersOf,
  askedTokens,
  type BoundFields,
  boundFieldsOf,
  lengthOf,
  type OutputTokens,
  withOutputBound,
} from './output-bound.ts'
import { priceOf } from './plan.ts'

/** Held for an answer at most where the budget is soft, and the bound of one that its client leaves open. */
const OUTPUT_TOKENS_HELD = 4_096
/** No answer of a model whose window is unknown is longer. */
const OUTPUT_TOKENS_CEILING = 131_072
/** An answer that would be cut shorter than this is refused instead. */
const OUTPUT_TOKENS_MIN = 16
/** A picture at its highest resolution (Qwen-VL: 16,384 tokens); clips are counted by the second and not bounded. */
const PICTURE_TOKENS = 16_384
/** Vendors' own words around the descriptions of tools. */
const TOOL_TOKENS = 512

export interface HoldInput {
  readonly live: Live
  readonly call: Call
  readonly facts: TargetFacts
  readonly gauge: InputGauge
  readonly atMs: number
  /** Some budget counts this request. */
  readonly hasBudget: boolean
  readonly isStrict: boolean
  /** What the tightest budget still has; null: there is none. */
  readonly leftNano: bigint | null
}

export type Held =
  | {
      readonly kind: 'claimed'
      readonly claim: Claim
      readonly call: Call
      /** The bound that the client did not ask for; null: none was set. */
      readonly maxTokens: number | null
    }
  /** Without a bound or a price the target cannot be asked under this budget. */
  | { readonly kind: 'excluded'; readonly reason: 'unpriced' | 'unbounded'; readonly detail: string }

export function holdFor(input: HoldInput): Held {
  const { live, call, facts, atMs, hasBudget } = input
  const inputTokens = inputBound(input)
  const price = hasBudget ? priceOf(live, facts, null, atMs) : null
  const rate = price === null ? null : live.rateOf(price.currency)
  if (hasBudget && (price === null || (rate === null && price.currency !== live.settings.currency)))
    return { kind: 'excluded', reason: 'unpriced', detail: 'no price is known' }
  const isByToken = price === null || price.unit === 'per_million_tokens'
  const fields = boundFieldsOf(facts, call)
  const money = price === null || !isByToken ? FREE : dearest(price, rate, atMs, inputTokens, facts, call)
  if (!input.isStrict) return softHold(input, fields, inputTokens, money)
  if (!isByToken) return { kind: 'excluded', reason: 'unbounded', detail: `its price is ${price.unit}` }
  if (fields === null)
    return { kind: 'excluded', reason: 'unbounded', detail: 'nothing bounds how long the model thinks' }
  if (call.needs.some((need) => need.capability === 'audio_input' || need.capability === 'video_input'))
    return { kind: 'excluded', reason: 'unbounded', detail: 'nothing bounds the tokens of a clip' }
  return strictHold(input, fields, inputTokens, money)
}

function softHold(input: HoldInput, fields: BoundFields | null, inputTokens: number, money: Dearest): Held {
  const { call, facts } = input
  const asked = askedTokens(call, fields, OUTPUT_TOKENS_HELD)
  const isBounded = lengthOf(call, 'max_tokens') !== null || lengthOf(call, 'max_completion_tokens') !== null
  const ceiling = ceilingOf(facts)
  const wished = Math.min(asked.answer + asked.thinking, ceiling) * answersOf(call)
  const worst = fields !== null && isBounded ? wished : ceiling * answersOf(call)
  const held = Math.min(wished, OUTPUT_TOKENS_HELD * answersOf(call))
  const claim: Claim = {
    costNano: costOf(money, inputTokens, held),
    worstNano: costOf(money, inputTokens, worst),
    // A rate of tokens counts what was asked for: what it is not told, it cannot keep.
    tokens: inputTokens + wished,
  }
  return { kind: 'claimed', claim, call, maxTokens: null }
}

function strictHold(input: HoldInput, fields: BoundFields, inputTokens: number, money: Dearest): Held {
  const { call, facts, leftNano } = input
  const asked = askedTokens(call, fields, OUTPUT_TOKENS_HELD)
  const sum = Math.min(asked.answer + asked.thinking, ceilingOf(facts))
  const affordable = leftNano === null ? sum : affordableTokens(money, inputTokens, leftNano, answersOf(call))
  const total = Math.max(Math.min(sum, affordable), Math.min(sum, OUTPUT_TOKENS_MIN))
  const tokens = shareOut(asked, total)
  const bounded = withOutputBound(call, fields, tokens)
  const output = total * answersOf(call)
  const costNano = costOf(money, inputTokens, output)
  return {
    kind: 'claimed',
    claim: { costNano, worstNano: costNano, tokens: inputTokens + output },
    call: bounded,
    maxTokens: bounded === call ? null : total,
  }
}

/** Thinking and answer give way in proportion. */
function shareOut(asked: OutputTokens, total: number): OutputTokens {
  const sum = asked.answer + asked.thinking
  if (asked.thinking === 0) return { answer: total, thinking: 0 }
  const thinking = Math.floor((total * asked.thinking) / sum)
  return { answer: total - thinking, thinking }
}

/** No answer of the target is longer. */
export function ceilingOf(facts: TargetFacts): number {
  return Math.min(facts.contextWindow ?? OUTPUT_TOKENS_CEILING, OUTPUT_TOKENS_CEILING)
}

/** What the input can be counted as at most, clips excepted; `text` bounds its text. */
function withExtras(call: Call, text: number, pictures: number): number {
  const hasTools = call.needs.some((need) => need.capability === 'tools')
  return text + pictures * PICTURE_TOKENS + (hasTools ? TOOL_TOKENS : 0)
}

/** No text has more tokens than bytes. */
export function certainInput(call: Call): number {
  const { bytes, pictures } = textOf(call)
  return withExtras(call, bytes + TEMPLATE_TOKENS, pictures)
}

/** Strict budgets go by what no text can exceed, soft ones by what the target has counted so far. */
function inputBound(input: HoldInput): number {
  const { call, facts, gauge, isStrict } = input
  if (isStrict) return certainInput(call)
  const { bytes, pictures } = textOf(call)
  const bound = withExtras(call, gauge.likelyBound(facts.target.id, bytes), pictures)
  // A window is what somebody wrote down: money is not staked on it.
  return facts.contextWindow === null ? bound : Math.min(bound, facts.contextWindow)
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

/** Prices per million tokens at their highest. */
interface Dearest {
  readonly input: bigint
  readonly output: bigint
  readonly rate: Micro | null
}

const FREE: Dearest = { input: 0n, output: 0n, rate: null }

/** Over all rows that the request can fall into by its size; which band of the day holds is known by now. */
function dearest(
  price: Price,
  rate: Micro | null,
  atMs: number,
  inputTokens: number,
  facts: TargetFacts,
  call: Call,
): Dearest {
  const output = ceilingOf(facts) * answersOf(call)
  let input = 0n
  let answer = 0n
  for (const tier of tiersAt(price, atMs)) {
    input = largest(
      input,
      tier.input,
      tier.cachedInput,
      tier.cachedInputExplicit,
      tier.cacheWrite,
      tier.audioInput,
      tier.imageInput,
    )
    const thinking = call.thinking.enabled === false ? null : tier.thinkingOutput
    answer = largest(answer, tier.output, tier.audioOutput, thinking)
    if (tier.when === null && inputTokens <= tier.inputTokensMax && output <= tier.outputTokensMax) break
  }
  return { input, output: answer, rate }
}

function largest(first: bigint, ...prices: readonly Tier['input'][]): bigint {
  let most = first
  for (const price of prices) if (price !== null && price.micro > most) most = price.micro
  return most
}

/** Rounded up at each step, so that no bill of these tokens is higher. */
function costOf(money: Dearest, inputTokens: number, outputTokens: number): Nano {
  const pico = money.input * BigInt(inputTokens) + money.output * BigInt(outputTokens)
  const native = ceilDivide(pico, 1_000n)
  return (money.rate === null ? native : ceilDivide(native * money.rate, 1_000_000n)) as Nano
}

function affordableTokens(money: Dearest, inputTokens: number, leftNano: bigint, answers: number): number {
  if (money.output === 0n) return Number.MAX_SAFE_INTEGER
  const native = money.rate === null ? leftNano : (leftNano * 1_000_000n) / money.rate
  // One nano for each of the two roundings.
  const pico = (native - 2n) * 1_000n - money.input * BigInt(inputTokens)
  return pico <= 0n ? 0 : Number(pico / money.output / BigInt(answers))
}

function ceilDivide(amount: bigint, by: bigint): bigint {
  return (amount + by - 1n) / by
}
