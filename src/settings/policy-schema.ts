// The shape of a policy: how targets are filtered and ordered, and how a request goes on when one fails.

import { z } from 'zod'
import { ATTEMPTS_MAX } from '#core/limits.ts'
import { ON_NO_CANDIDATE, SORTS } from '#core/settings.ts'
import { dataPolicySchema } from './limits-schema.ts'
import { count, list, milliseconds, text } from './shapes.ts'

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
      max_share: share
        .default(0.05)
        .describe(
          'Of requests, sent to cheaper targets to learn how they are; by latency and throughput, to unknown ones.',
        ),
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
  data_policy: dataPolicySchema.optional().describe('Required of what targets do with data.'),
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

export type PolicyConfig = z.output<typeof policySchema>
