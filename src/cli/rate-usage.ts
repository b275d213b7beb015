// A usage as people and vendors write it, with its flags → what rating reads.

import { NO_USAGE, type OtherUsage, type TokenUsage } from '#core/usage.ts'
import { readUsage } from '#wire/openai-chat/usage.ts'
import { UsageError } from './command.ts'

type Json = Readonly<Record<string, unknown>>

export interface RatedUsage {
  readonly usage: TokenUsage
  readonly thinking: boolean
  /** Fields that nothing is made of; they must not pass as billed. */
  readonly ignored: readonly string[]
}

const SECOND_MS = 1_000
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

interface Field {
  readonly names: readonly string[]
  /** What the number is multiplied by; times are given in several units. */
  readonly scale?: number
}

type CountName = Exclude<keyof OtherUsage, 'serviceTier' | 'resolution' | 'audio' | 'inputVideo' | 'text'>

/** The first name that is there holds. */
const COUNTS: Readonly<Record<CountName, readonly Field[]>> = {
  audioInputTokens: [{ names: ['audio_input_tokens', 'input_audio_tokens', 'audio_tokens'] }],
  imageInputTokens: [{ names: ['image_input_tokens', 'input_image_tokens', 'image_tokens'] }],
  audioOutputTokens: [{ names: ['audio_output_tokens', 'output_audio_tokens'] }],
  cacheStoredTokens: [{ names: ['cache_stored_tokens'] }],
  cacheStoredMs: [
    { names: ['cache_storage_hours', 'cache_hours'], scale: HOUR_MS },
    { names: ['cache_storage_minutes', 'cache_minutes'], scale: MINUTE_MS },
    { names: ['cache_storage_seconds', 'cache_seconds'], scale: SECOND_MS },
  ],
  cacheCreatedTokens: [{ names: ['cache_create_tokens', 'cache_created_tokens'] }],
  cacheCalls: [{ names: ['cache_calls'] }],
  searchCalls: [{ names: ['search_calls', 'searches', 'search_count'] }],
  toolCalls: [{ names: ['tool_calls'] }],
  calls: [{ names: ['calls', 'requests'] }],
  images: [{ names: ['images', 'images_succeeded', 'image_count'] }],
  characters: [{ names: ['chars', 'characters', 'billing_chars', 'utf8_bytes', 'bytes'] }],
  durationMs: [
    { names: ['seconds', 'duration_seconds', 'audio_seconds'], scale: SECOND_MS },
    { names: ['minutes'], scale: MINUTE_MS },
    { names: ['hours'], scale: HOUR_MS },
    { names: ['milliseconds', 'duration_ms', 'content_duration', 'content_duration_in_milliseconds'] },
  ],
  inputVideoMs: [{ names: ['input_video_seconds'], scale: SECOND_MS }],
  outputVideoMs: [{ names: ['output_video_seconds', 'video_seconds'], scale: SECOND_MS }],
  gpuMs: [{ names: ['gpu_seconds'], scale: SECOND_MS }],
  videos: [{ names: ['videos', 'videos_succeeded'] }],
  voices: [{ names: ['voices'] }],
  voiceClones: [{ names: ['voice_clones'] }],
  voiceDesigns: [{ names: ['voice_designs'] }],
}

const FLAGS = {
  thinking: ['thinking_mode', 'enable_thinking', 'thinking'],
  explicit: ['explicit', 'explicit_cache'],
  batch: ['batch'],
  audio: ['audio', 'generate_audio'],
  inputVideo: ['input_video'],
} as const

/** Read above, or said twice: sums, and parts of what is counted whole. */
const KNOWN: ReadonlySet<string> = new Set([
  ...Object.values(COUNTS).flatMap((fields) => fields.flatMap(({ names }) => names)),
  ...Object.values(FLAGS).flat(),
  ...['prompt_tokens', 'input_tokens', 'completion_tokens', 'output_tokens', 'total_tokens'],
  ...['prompt_tokens_details', 'input_tokens_details', 'completion_tokens_details', 'output_tokens_details'],
  ...['cached_tokens', 'cached_input_tokens', 'prompt_cache_hit_tokens', 'prompt_cache_miss_tokens'],
  ...['cache_read_input_tokens', 'cache_creation_input_tokens', 'cache_write_tokens', 'reasoning_tokens'],
  ...['text', 'resolution', 'service_tier', 'plugins', 'tool_usage'],
  ...['images_requested', 'images_failed', 'search_tokens_in_prompt', 'search_tokens'],
])

/** @throws UsageError when a count is none. */
export function readRatedUsage(value: Json): RatedUsage {
  const flag = (name: keyof typeof FLAGS) => FLAGS[name].some((field) => value[field] === true)
  const given = readTokens(value)
  const other = { ...given.other, ...readOther(value) }
  const { audioInputTokens = 0, imageInputTokens = 0, audioOutputTokens = 0 } = other
  // Totals include their parts, also where only the parts are given.
  const tokens = {
    ...given,
    inputTokens: Math.max(given.inputTokens, audioInputTokens + imageInputTokens),
    outputTokens: Math.max(given.outputTokens, audioOutputTokens),
  }
  return {
    usage: {
      ...tokens,
      ...(flag('explicit') ? { explicitCache: true } : {}),
      ...(Object.keys(other).length === 0 ? {} : { other }),
    },
    thinking: flag('thinking'),
    ignored: Object.keys(value).filter((name) => !KNOWN.has(name)),
  }
}

function readTokens(value: Json): TokenUsage {
  const usage = readUsage(value) ?? NO_USAGE
  const read = countOf(value, ['cache_read_input_tokens'])
  const created = countOf(value, ['cache_creation_input_tokens'])
  // Anthropic's shape counts the cache beside the input, all others inside of it.
  const beside = (read ?? 0) + (created ?? 0)
  const inputTokens = usage.inputTokens + beside
  const cached = read ?? countOf(value, ['cached_input_tokens']) ?? usage.cachedInputTokens
  const cachedInputTokens = Math.min(inputTokens, cached)
  const written = created ?? countOf(value, ['cache_write_tokens']) ?? usage.cacheWriteTokens
  return {
    ...usage,
    inputTokens,
    cachedInputTokens,
    cacheWriteTokens: Math.min(inputTokens - cachedInputTokens, written),
  }
}

function readOther(value: Json): OtherUsage {
  const counts = Object.entries(COUNTS).flatMap(([name, fields]) => {
    const count = fields
      .map(({ names, scale }) => countOf(value, names, scale))
      .find((found) => found !== undefined)
    return count === undefined ? [] : [[name, count] as const]
  })
  const { resolution, text, service_tier: tier } = value
  return {
    ...Object.fromEntries(counts),
    ...(typeof resolution === 'string' ? { resolution } : {}),
    ...(typeof text === 'string' ? { text } : {}),
    ...(typeof tier === 'string' ? { serviceTier: tier } : {}),
    ...(value['batch'] === true ? { serviceTier: 'batch' } : {}),
    ...said('audio', value, FLAGS.audio),
    ...said('inputVideo', value, FLAGS.inputVideo),
  }
}

function said(name: 'audio' | 'inputVideo', value: Json, fields: readonly string[]): OtherUsage {
  const word = fields.map((field) => value[field]).find((found) => typeof found === 'boolean')
  return typeof word === 'boolean' ? { [name]: word } : {}
}

/** Whole after scaling: seconds may have parts, tokens may not. */
function countOf(value: Json, names: readonly string[], scale = 1): number | undefined {
  const name = names.find((candidate) => value[candidate] !== undefined)
  if (name === undefined) return undefined
  const given = value[name]
  const count = typeof given === 'number' ? Math.round(given * scale) : Number.NaN
  if (!Number.isSafeInteger(count) || count < 0 || (scale === 1 && count !== given)) {
    throw new UsageError(`--usage: ${name} must be a count, found ${JSON.stringify(given)}`)
  }
  return count
}
