// Usage objects of the OpenAI shape and its vendors' variants → TokenUsage.

import { CALLS_COUNT_MAX, TOKENS_COUNT_MAX } from '#core/limits.ts'
import { type OtherUsage, PLAIN_SERVICE_TIERS, type TokenUsage } from '#core/usage.ts'
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
  const said = saidOf(value['prompt_tokens'], value['input_tokens'])
  const answered = saidOf(value['completion_tokens'], value['output_tokens'])
  const inputTokens = count(said)
  const outputTokens = count(answered)
  if (inputTokens === null && (outputTokens === null || isSaid(said))) return null
  if (outputTokens === null && isSaid(answered)) return null
  const input = object(value['prompt_tokens_details']) ?? object(value['input_tokens_details'])
  const output = object(value['completion_tokens_details']) ?? object(value['output_tokens_details'])
  const total = inputTokens ?? 0
  // A vendor that reports a part larger than its whole must not make a negative remainder.
  const cached = Math.min(
    total,
    count(input?.['cached_tokens']) ??
      count(value['cached_tokens']) ??
      count(value['prompt_cache_hit_tokens']) ??
      0,
  )
  const written = count(input?.['cache_creation_input_tokens']) ?? count(input?.['cache_write_tokens']) ?? 0
  return {
    inputTokens: total,
    cachedInputTokens: cached,
    cacheWriteTokens: Math.min(total - cached, written),
    outputTokens: outputTokens ?? 0,
    reasoningTokens: Math.min(
      outputTokens ?? 0,
      count(output?.['reasoning_tokens']) ?? count(value['reasoning_tokens']) ?? 0,
    ),
    ...(input?.['cache_type'] === 'ephemeral' ? { explicitCache: true } : {}),
    ...otherOf(value, input, output, serviceTier),
  }
}

function saidOf(first: unknown, second: unknown): unknown {
  return isSaid(first) ? first : second
}

function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null
}

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
