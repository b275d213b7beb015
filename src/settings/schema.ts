// The shape of a configuration file: types, ranges, closed sets and defaults. What one part says about another is
// checked in providers.ts, models.ts, prices.ts, policies.ts and keys.ts.

import { z } from 'zod'
import {
  ABANDONED_BYTES_MAX,
  ABANDONED_DRAINS_MAX,
  ABANDONED_MS_MAX,
  ANSWER_BODY_BYTES_MAX,
  REQUEST_BODY_BYTES_MAX,
  REQUEST_BODY_IDLE_MS_MAX,
  REQUEST_BODY_MS_MAX,
} from '#core/limits.ts'
import { CHARACTER_RULES, PRICE_ITEMS, PRICE_UNITS, QUOTA_UNITS, UNPRICED_RULES } from '#core/price.ts'
import { CAPABILITIES } from '#core/provider.ts'
import { DEFAULT_TIME_ZONE } from '#core/zones.ts'
import { billSchema } from './bills-schema.ts'
import { alertsSchema, taxSchema } from './finance-schema.ts'
import {
  dataShape,
  keyShape,
  organisationSchema,
  rateLimitsSchema,
  servedShape,
  teamSchema,
} from './limits-schema.ts'
import { policySchema } from './policy-schema.ts'
import { count, list, milliseconds, text } from './shapes.ts'

/** A body is held whole and becomes one string. */
const BODY_BYTES_MAX = 512 * 1024 * 1024

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
  body_idle_ms: milliseconds
    .default(REQUEST_BODY_IDLE_MS_MAX)
    .describe('A request body of which nothing arrives for so long is answered with 408.'),
  body_ms_max: milliseconds
    .default(REQUEST_BODY_MS_MAX)
    .describe('A request body that has not arrived whole by then is answered with 408.'),
  abandoned: z
    .strictObject({
      drain_ms: milliseconds.default(ABANDONED_MS_MAX).describe('For how long one is read on.'),
      bytes_max: z.int().min(1).max(ANSWER_BODY_BYTES_MAX).default(ABANDONED_BYTES_MAX),
      drains_max: z
        .int()
        .min(0)
        .max(10_000)
        .default(ABANDONED_DRAINS_MAX)
        .describe('How many are read on at once.'),
    })
    .prefault({})
    .describe('Answers whose client has left and that are read on for their usage: on_client_abort: drain.'),
  trusted_proxies: list(text)
    .default([])
    .describe('Addresses or ranges of proxies whose x-forwarded-for is believed.'),
})

const provider = z.strictObject({
  use: text.describe('A folder of providers/.'),
  api_key: z
    .string()
    .optional()
    .describe('The key at the provider; empty disables a provider that needs one.'),
  api_keys: list(
    z.union([
      z.string(),
      z.strictObject({ key: z.string(), name: text.optional(), limits: rateLimitsSchema.optional() }),
    ]),
  )
    .optional()
    .describe('Several keys instead of one, used as a pool: each has its own quota, cooldown and cache.'),
  base_url: z.string().optional().describe('Where its API is, without the path of an operation.'),
  region: z
    .string()
    .optional()
    .describe('Which of its price lists holds, and where data goes; else read from the host of base_url.'),
  free_quota: z
    .union([z.boolean(), z.string()])
    .optional()
    .describe(
      'The account has the free quotas of the price list: since a date, or true: each since its first use.',
    ),
  allow_private: z.boolean().default(false).describe('Its host may be loopback or private.'),
  on_client_abort: z
    .enum(['cancel', 'drain', 'estimate'])
    .optional()
    .describe(
      'When a client leaves: cancel aborts the call and books what came; drain reads on for the usage; estimate aborts it and books what it will be billed for. Absent: cancel where the provider is known to stop billing then, else drain.',
    ),
  tax: taxSchema.optional().describe('Of this provider’s prices; absent: the file’s.'),
  ...dataShape,
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

const rate = z
  .strictObject({ rate: decimal, ...dated })
  .describe('A rate and when it holds; the next one begins where it ends.')

const discount = z.strictObject({
  discount: decimal.describe('Share of the list price that is paid: "0.85" is 15 % off.'),
  ...dated,
})

const balance = z.strictObject({
  id: text.describe('Names it in the books.'),
  kind: z.enum(['free_quota', 'package']),
  unit: z.enum(QUOTA_UNITS),
  amount: z
    .number()
    .positive()
    .describe('What there is at its start; what the ledger says was used since goes off.'),
  every: z
    .literal('month')
    .optional()
    .describe('There is as much again each month, of the Chinese calendar.'),
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
  region: text
    .optional()
    .describe("Where data goes, if not to its provider's region; prices stay that one's."),
  ...dataShape,
  ...servedShape,
})

const model = z.strictObject({
  policy: text.default('default'),
  targets: list(z.union([text, target]))
    .min(1)
    .describe('Each PROVIDER/MODEL, or a mapping with `target`.'),
})

const key = z.strictObject({
  name: text,
  key: z.string().describe('What clients send as `Authorization: Bearer …`; 12 characters or more.'),
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
    .describe(
      'sqlite:PATH, memory:, redis://HOST:PORT, redis-sentinel://HOST:PORT,HOST:PORT/NAME or redis-cluster://HOST:PORT,HOST:PORT; rediss… for TLS.',
    ),
  ledger: z
    .strictObject({
      retention: z
        .string()
        .regex(/^[1-9]\d{0,4}d$/)
        .default('400d')
        .describe('How long rows of requests and attempts stay, in days; sums by hour and day stay longer.'),
      durability: z
        .enum(['process', 'power'])
        .default('process')
        .describe('What an answered request survives: the death of the process, or the loss of power too.'),
      archive: z
        .enum(['auto', 'on', 'off'])
        .default('auto')
        .describe(
          'With Redis: whether this instance keeps all rows of the fleet in its own file. auto: one that is free does.',
        ),
      redis_rows: z
        .string()
        .regex(/^[1-9]\d{0,4}[smhd]$/)
        .default('1h')
        .describe('How long rows stay in Redis, such as 30m or 1h, and until the archive has them.'),
    })
    .prefault({}),
  secret: z
    .string()
    .optional()
    .describe('Pepper of key digests, the same on all instances; empty: made once, kept beside the store.'),
  currency: currency.default('CNY').describe('ISO 4217 code of the currency of the books.'),
  unpriced: z
    .enum(UNPRICED_RULES)
    .default('deny')
    .describe(
      'Of targets without a price, under a budget: not asked, held and charged at the dearest price known, or free of charge and marked.',
    ),
  on_store_loss: z
    .enum(['lease', 'deny'])
    .default('lease')
    .describe(
      'Redis does not answer: what has limits goes on within what this instance was lent and a small share beyond, or gets 503.',
    ),
  time_zone: text
    .default(DEFAULT_TIME_ZONE)
    .describe('Whose days reports and calendar budgets go by; an IANA name.'),
  tax: taxSchema.optional(),
  alerts: alertsSchema.prefault({}),
  fx: named(z.union([decimal, list(rate).min(1)]))
    .default({})
    .describe(
      'Book currency per unit of another currency: { USD: "7.10" }, or a list of rates with their dates.',
    ),
  providers: named(provider),
  prices: named(price).default({}).describe('Over the catalogue; by PROVIDER/MODEL or PROVIDER/*.'),
  models: named(model).describe('The names that applications ask for.'),
  policies: named(policySchema).default({}),
  reconcile: named(billSchema)
    .default({})
    .describe('How the bill of a provider is read, over what its folder knows; by the name under providers.'),
  organisations: named(organisationSchema).default({}).describe('Whom teams belong to.'),
  teams: named(teamSchema).default({}).describe('Whom keys belong to.'),
  keys: list(key).default([]),
})

export type Config = z.output<typeof configSchema>
export type PriceConfig = Config['prices'][string]
