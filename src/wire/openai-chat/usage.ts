// Usage objects of the OpenAI shape and its vendors' variants → TokenUsage.

import { CALLS_COUNT_MAX, TOKENS_COUNT_MAX } from '#core/limits.ts'
import { type OtherUsage, PLAIN_SERVICE_TIERS, type TokenUsage, type UsageDoubt } from '#core/usage.ts'
import { isObject } from '../json-object.ts'

type Json = Readonly<Record<string, unknown>>

/**
 * Reads a `usage` object; null when it is none, or says something that is no count: half of a usage would book the
 * other half as nothing. Where vendors put the parts (shared list: DeepSeek
 * `prompt_cache_hit_tokens`, Kimi and StepFun `cached_tokens`, SGLang `reasoning_tokens` at the top,
 * DashScope `cache_creation_input_tokens`, OpenRouter `cache_write_tokens`). `serviceTier` is the answer's own word,
 * which stands beside the usage.
 */
export function readUsage(value: unknown, serviceTier?: unknown): TokenUsage | null {
  if (!isObject(value)) return null
  const prompt = value['prompt_tokens'] ?? value['input_tokens']
  const completion = value['completion_tokens'] ?? value['output_tokens']
  if (isAbsent(prompt) && isAbsent(completion)) return null
  const input = object(value['prompt_tokens_details']) ?? object(value['input_tokens_details'])
  const output = object(value['completion_tokens_details']) ?? object(value['output_tokens_details'])
  const cached =
    count(input?.['cached_tokens']) ??
    count(value['cached_tokens']) ??
    count(value['prompt_cache_hit_tokens']) ??
    0
  const written = count(input?.['cache_creation_input_tokens']) ?? count(input?.['cache_write_tokens']) ?? 0
  const reasoning = count(output?.['reasoning_tokens']) ?? count(value['reasoning_tokens']) ?? 0
  const totals = readTotals(prompt, completion, count(value['total_tokens']), cached, reasoning)
  const { inputTokens, outputTokens, lacks } = totals
  const isOverfull = cached + written > inputTokens || reasoning > outputTokens
  const doubt = totals.doubt ?? (isOverfull && lacks === null ? 'parts' : null)
  // A vendor that reports a part larger than its whole must not make a negative remainder.
  const cachedInputTokens = Math.min(inputTokens, cached)
  return {
    inputTokens,
    cachedInputTokens,
    cacheWriteTokens: Math.min(inputTokens - cachedInputTokens, written),
    outputTokens,
    reasoningTokens: Math.min(outputTokens, reasoning),
    ...(input?.['cache_type'] === 'ephemeral' ? { explicitCache: true } : {}),
    ...otherOf(value, input, output, serviceTier),
    ...(doubt === null ? NOTHING : { doubt }),
    ...(lacks === null ? NOTHING : { lacks }),
  }
}

interface Totals {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly doubt: UsageDoubt | null
  readonly lacks: 'input' | 'output' | 'both' | null
}

/** A figure that is missing is the rest of the total, where there is one. */
function readTotals(
  prompt: unknown,
  completion: unknown,
  total: number | null,
  cached: number,
  reasoning: number,
): Totals {
  const said = count(prompt)
  const answered = count(completion)
  const inputTokens = said ?? restOf(total, answered)
  const outputTokens = answered ?? restOf(total, said)
  const isMalformed = isNoCount(prompt) || isNoCount(completion)
  if (inputTokens === null || outputTokens === null) {
    const lacks = inputTokens !== null ? 'output' : outputTokens !== null ? 'input' : 'both'
    return {
      inputTokens: inputTokens ?? 0,
      outputTokens: outputTokens ?? 0,
      doubt: isMalformed ? 'malformed' : null,
      lacks,
    }
  }
  if (isMalformed) return { inputTokens, outputTokens, doubt: 'malformed', lacks: null }
  const rest = total === null ? 0 : total - inputTokens - outputTokens
  if (rest === 0) return { inputTokens, outputTokens, doubt: null, lacks: null }
  return withRest(inputTokens, outputTokens, rest, cached, reasoning)
}

/**
 * Some vendors count cached input or reasoning beside the two figures and say them in the total only (Anthropic's way,
 * xAI's way). What nothing explains is billed as output, the dearer of the two: thinking is what vendors leave out.
 * A total below its parts is passed over, since prices are of the parts.
 */
function withRest(input: number, output: number, rest: number, cached: number, reasoning: number): Totals {
  const made = (inputTokens: number, outputTokens: number, doubt: UsageDoubt | null): Totals => ({
    inputTokens,
    outputTokens,
    doubt,
    lacks: null,
  })
  if (rest < 0) return made(input, output, 'total')
  if (rest === reasoning) return made(input, output + reasoning, null)
  if (rest === cached) return made(input + cached, output, null)
  if (rest === cached + reasoning) return made(input + cached, output + reasoning, null)
  return made(input, output + rest, 'total')
}

function restOf(total: number | null, part: number | null): number | null {
  return total === null || part === null || total < part ? null : total - part
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null
const isNoCount = (value: unknown): boolean => !isAbsent(value) && count(value) === null

const NOTHING = Object.freeze({})

/** Nearly no usage has any of it, and rating is quicker where it is absent. */
function otherOf(
  value: Json,
  input: Json | null,
  output: Json | null,
  tierWord: unknown,
): { readonly other?: OtherUsage } {
  const serviceTier = specialTier(tierWord ?? value['service_tier'])
  const audioInputTokens = some(input?.['audio_tokens'])
  const imageInputTokens = some(input?.['image_tokens'])
  const audioOutputTokens = some(output?.['audio_tokens'])
  const searches = searchCalls(value, input)
  if ((serviceTier ?? audioInputTokens ?? imageInputTokens ?? audioOutputTokens ?? searches) === undefined)
    return NOTHING
  return {
    other: {
      ...(serviceTier === undefined ? {} : { serviceTier }),
      ...(audioInputTokens === undefined ? {} : { audioInputTokens }),
      ...(imageInputTokens === undefined ? {} : { imageInputTokens }),
      ...(audioOutputTokens === undefined ? {} : { audioOutputTokens }),
      ...(searches === undefined ? {} : { searchCalls: searches }),
    },
  }
}

function specialTier(tier: unknown): string | undefined {
  return typeof tier === 'string' && tier !== '' && !PLAIN_SERVICE_TIERS.has(tier) ? tier : undefined
}

function some(value: unknown): number | undefined {
  return count(value) || undefined
}

function calls(value: unknown): number | undefined {
  const counted = some(value)
  return counted === undefined ? undefined : Math.min(counted, CALLS_COUNT_MAX)
}

/**
 * DashScope counts them in `plugins.search.count`, Volcengine in `tool_usage.web_search`; ERNIE says only how many
 * tokens one search added (qwen.md 1.4, doubao.md 6.2, ernie.md A3).
 */
function searchCalls(value: Json, input: Json | null): number | undefined {
  const counted =
    calls(object(object(value['plugins'])?.['search'])?.['count']) ??
    calls(object(value['tool_usage'])?.['web_search'])
  return counted ?? (some(input?.['search_tokens']) === undefined ? undefined : 1)
}

/** The usage object that clients get where we encode. */
export function writeUsage(usage: TokenUsage): Record<string, unknown> {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedInputTokens },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  }
}

function object(value: unknown): Json | null {
  return isObject(value) ? value : null
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= TOKENS_COUNT_MAX
    ? value
    : null
}
