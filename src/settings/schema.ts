// The shape of a configuration file: types, ranges, closed sets and defaults. What one part says about another is
// checked in providers.ts, models.ts, prices.ts, policies.ts and keys.ts.

import { z } from 'zod'
import { ATTEMPTS_MAX, REQUEST_BODY_BYTES_MAX } from '#core/limits.ts'
import { CHARACTER_RULES, PRICE_ITEMS, PRICE_UNITS, QUOTA_UNITS } from '#core/price.ts'
import { CAPABILITIES } from '#core/provider.ts'
import { ON_NO_CANDIDATE, SORTS } from '#core/settings.ts'
import { keyShape, organisationSchema, servedShape, teamSchema } from './limits-schema.ts'

/** Timers of JavaScript go no further. */
const DURATION_MS_MAX = 2 ** 31 - 1
/** A body is held whole and becomes one string. */
const BODY_BYTES_MAX = 512 * 1024 * 1024

const text = z.string().min(1)
const milliseconds = z.int().min(1).max(DURATION_MS_MAX)
const count = z.int().min(1)

/** An element that has been cut out of a list in parse.ts is undefined; no file can say so. */
const list = <Item extends z.ZodType>(item: Item) => z.array(z.optional(item))

const server = z.strictObject({
  host: text.default('127.0.0.1').describe('Address to listen on.'),
  port: z.int().min(0).max(65_535).default(8787).describe('0 takes a free port.'),
  drain_ms: milliseconds.default(30_000).describe('How long running requests may take to end at a stop.'),
  body_bytes_max: z
    .int()
    .min(1)
    .max(BODY_BYTES_MAX)
    .default(REQUEST_BODY_BYTES_MAX)
    .describe('Larger request bodies are answered with 413.'),
})

const provider = z.strictObject({
  use: text.describe('A folder of providers/.'),
  api_key: z
    .string()
    .optional()
    .describe('The key at the provider; empty disables a provider that needs one.'),
  base_url: z.string().optional().describe('Where its API is, without the path of an operation.'),
  region: z
    .string()
    .optional()
    .describe('Which of its price lists holds; else read from the host of base_url.'),
  allow_private: z.boolean().default(false).describe('Its host may be loopback or private.'),
  ...servedShape,
})

const decimal = z
  .string()
  .regex(/^\d{1,18}(\.\d{1,6}0{0,12})?$/)
  .describe('A decimal number in quotes, at most six decimal places.')

const tier = z.strictObject({
  when: z
    .strictObject({
      service_tier: text.optional().describe('The tier that the answer names, such as batch or flex.'),
      resolution: text.optional(),
      audio: z.boolean().optional(),
      input_video: z.boolean().optional(),
    })
    .optional()
    .describe('The row is for requests of which all of this is so.'),
  input_tokens_up_to: count.optional().describe('The row fits requests of up to so many input tokens.'),
  output_tokens_up_to: count.optional(),
  input: decimal.optional(),
  output: decimal.optional(),
  cached_input: decimal.optional(),
  cached_input_explicit: decimal.optional(),
  cache_write: decimal.optional(),
  thinking_output: decimal.optional(),
  audio_input: decimal.optional(),
  image_input: decimal.optional(),
  audio_output: decimal.optional(),
  price: decimal.optional().describe('Of one unit, where that is no token.'),
})

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/)
  .describe('HH:MM, in quotes.')
const date = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/)
  .describe('2026-01-31, or an instant with its offset.')

const day = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}$/)
  .describe('2026-01-31')

const timeBand = z.strictObject({
  timezone: text.describe('IANA name, such as Asia/Shanghai.'),
  days: z.enum(['all', 'mon-fri', 'sat-sun']),
  start: timeOfDay,
  end: timeOfDay,
  except_dates: list(day).optional().describe('Holidays on which the band does not hold.'),
  effective_from: date.optional(),
  effective_to: date.optional(),
  tiers: list(tier).min(1),
})

const currency = z
  .string()
  .regex(/^[A-Z]{3}$/)
  .describe('An ISO 4217 code, such as CNY.')
const capabilities = list(z.enum(CAPABILITIES))

const dated = { effective_from: date.optional(), effective_to: date.optional() }

const discount = z.strictObject({
  discount: decimal.describe('Share of the list price that is paid: "0.85" is 15 % off.'),
  ...dated,
})

const balance = z.strictObject({
  id: text.describe('Names it in the books.'),
  kind: z.enum(['free_quota', 'package']),
  unit: z.enum(QUOTA_UNITS),
  amount: z.number().positive().describe('What is left of it.'),
  ...dated,
})

const price = z.strictObject({
  aliases: list(text).optional(),
  region: text.optional(),
  currency: currency.optional(),
  unit: z.enum(PRICE_UNITS).optional(),
  tiers: list(tier).min(1).optional().describe('In order; the first row that fits prices the whole request.'),
  time_bands: list(timeBand).optional(),
  items: list(z.strictObject({ item: z.enum(PRICE_ITEMS), price: decimal, ...dated }))
    .optional()
    .describe('What is billed beside the tiers: searches, tools, stored caches.'),
  character_rule: z.enum(CHARACTER_RULES).optional().describe('How characters of a text are counted.'),
  rounding: z.enum(['up', 'half_up']).optional().describe('To whole units.'),
  minimum: count.optional().describe('Units billed at least.'),
  input_seconds_up_to: count.optional().describe('So much of a video given in is billed.'),
  gpus: count.optional().describe('How many GPUs a second of this model takes.'),
  discounts: list(discount).min(1).optional().describe('By contract; the first that holds is taken.'),
  balances: list(balance)
    .optional()
    .describe('Free quotas and prepaid packages, used before anything is billed.'),
  ...dated,
  historic: z.literal(true).optional(),
  unusual: z.literal(true).optional().describe('A price far from those of its kind is meant so.'),
  context_window: count.optional(),
  max_output: count.optional(),
  capabilities: list(text).optional(),
  source: z.string().optional(),
  checked_on: z.string().optional(),
})

const target = z.strictObject({
  target: text.describe('PROVIDER/MODEL'),
  weight: z.number().positive().default(1).describe('Share under sort: weighted.'),
  priority: z.int().default(0).describe('Lowest first.'),
  context_window: count.optional(),
  capabilities: capabilities.optional().describe('What it can do; absent: what is known of the model.'),
  ...servedShape,
})

const model = z.strictObject({
  policy: text.default('default'),
  targets: list(z.union([text, target]))
    .min(1)
    .describe('Each PROVIDER/MODEL, or a mapping with `target`.'),
})

const share = z.number().min(0).max(1)
const amount = z.number().min(0).max(1e9)

const percentiles = (unit: string) =>
  z
    .union([
      z.number().positive(),
      z.strictObject({
        p50: z.number().positive().optional(),
        p75: z.number().positive().optional(),
        p90: z.number().positive().optional(),
        p99: z.number().positive().optional(),
      }),
    ])
    .optional()
    .describe(`${unit}; a number is the median. Targets that miss it come last.`)

export const policySchema = z.strictObject({
  sort: z
    .enum(SORTS)
    .default('value')
    .describe(
      'value: the least of expected cost − value × P(meets the SLO). throughput: most tokens per second.',
    ),
  slo: z
    .strictObject({
      ttft_ms: milliseconds.optional().describe('Time to first token of a request; absent: any.'),
      ttft_ms_per_1k_input: amount.default(0).describe('Added to ttft_ms for each thousand input tokens.'),
      tpot_ms: z.number().positive().optional().describe('Time per output token, on average; absent: any.'),
      attainment: share.default(0.95).describe('Share of requests to be within; `value: auto` aims at it.'),
      value: z
        .union([amount, z.literal('auto')])
        .default('auto')
        .describe('Worth of one request within the SLO, book currency; auto: found to meet attainment.'),
    })
    .prefault({}),
  max_price: z
    .strictObject({ input: amount.optional(), output: amount.optional() })
    .optional()
    .describe(
      "Book currency per million tokens, at the request's tier and hour; dearer targets are left out.",
    ),
  preferred_max_latency: percentiles('Milliseconds to the first token'),
  preferred_min_throughput: percentiles('Tokens per second'),
  affinity: z
    .enum(['priced', 'session', 'none'])
    .default('priced')
    .describe('priced: expected cached tokens enter cost and latency. session: stay where the session is.'),
  explore: z
    .strictObject({
      max_share: share.default(0.05).describe('Of requests, sent to cheaper targets to learn how they are.'),
    })
    .prefault({}),
  hedge: z
    .strictObject({
      enabled: z.boolean().default(false).describe('A late request is sent to a second target, too.'),
      max_extra_cost: amount.default(0.05).describe('Of what is spent.'),
      max_share: share.default(0.05).describe('Of requests.'),
    })
    .prefault({}),
  on_no_candidate: z
    .enum(ON_NO_CANDIDATE)
    .default('best_value')
    .describe('What happens when no target meets the SLO.'),
  retry: z
    .strictObject({
      attempts: z.int().min(1).max(ATTEMPTS_MAX).default(3).describe('The first one counts too.'),
      on_status_codes: list(z.int().min(400).max(599)).default([408, 429, 500, 502, 503, 504]),
      respect_retry_after: z.boolean().default(true),
    })
    .prefault({}),
  outlier_detection: z
    .strictObject({
      consecutive_5xx: count.default(3),
      base_ejection_ms: milliseconds.default(5_000),
      max_ejection_ms: milliseconds.default(60_000),
    })
    .prefault({}),
  on_moderation: z
    .union([z.literal('stop'), z.strictObject({ allow: list(text) })])
    .default('stop')
    .describe('After a refusal by a content filter: stop, or the providers that may still be asked.'),
  timeouts: z
    .strictObject({
      connect_ms: milliseconds.default(2_000),
      ttft_ms: milliseconds.optional().describe('Default 15000, with thinking on 180000.'),
      idle_ms: milliseconds.default(60_000),
      total_ms: milliseconds.default(600_000),
    })
    .prefault({}),
})

const key = z.strictObject({
  name: text,
  key: z.string().describe('What clients send as `Authorization: Bearer …`; 12 characters or more.'),
  models: list(text).optional().describe('Model names, PROVIDER/* and PROVIDER/MODEL; absent: all.'),
  tags: z.record(z.string(), z.string()).default({}),
  ...keyShape,
})

const named = <Value extends z.ZodType>(value: Value) => z.record(z.string(), value)

export const configSchema = z.strictObject({
  server: server.prefault({}),
  admin: z
    .strictObject({ token: z.string().optional() })
    .prefault({})
    .describe('Empty or absent: the admin API answers on loopback only.'),
  metrics: z
    .strictObject({ public: z.boolean().default(false) })
    .prefault({})
    .describe('public: /metrics needs no token off loopback.'),
  store: z
    .string()
    .default('sqlite:data/sluice.db')
    .describe('sqlite:PATH, memory:, redis://… or rediss://…'),
  currency: currency.default('CNY').describe('ISO 4217 code of the currency of the books.'),
  fx: named(decimal).default({}).describe('Book currency per unit of another currency: { USD: "7.10" }.'),
  providers: named(provider),
  prices: named(price).default({}).describe('Over the catalogue; by PROVIDER/MODEL or PROVIDER/*.'),
  models: named(model).describe('The names that applications ask for.'),
  policies: named(policySchema).default({}),
  organisations: named(organisationSchema).default({}).describe('Whom teams belong to.'),
  teams: named(teamSchema).default({}).describe('Whom keys belong to.'),
  keys: list(key).default([]),
})

export type Config = z.output<typeof configSchema>
export type PolicyConfig = z.output<typeof policySchema>
export type PriceConfig = Config['prices'][string]
