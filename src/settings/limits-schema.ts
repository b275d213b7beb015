// The shape of limits and budgets, wherever in a configuration they stand.

import { z } from 'zod'
import { organisationFinance, teamFinance } from './finance-schema.ts'

const count = z.int().min(1)
const retention = z.string().regex(/^(none|[1-9]\d{0,4}[hd])$/)

/** Of requests and tokens; flat on who asks, under `limits` on what is asked. */
const limitsShape = {
  rpm: count.optional().describe('Requests: no 60 seconds contain more.'),
  tpm: count.optional().describe('Tokens, input and output: no 60 seconds contain more.'),
  concurrency: count.optional().describe('Requests that run at the same time.'),
}

/** Of rates alone. */
export const rateLimitsSchema = z.strictObject(limitsShape)

/** Of money. */
const spendShape = {
  max_budget: z
    .string()
    .regex(/^\d{1,12}(\.\d{1,9})?$/)
    .optional()
    .describe('An amount of the book currency in quotes.'),
  budget_duration: z
    .string()
    .regex(/^((rolling:)?[1-9]\d{0,3}[hd]|day|week|month)$/)
    .optional()
    .describe('30d or 12h, day, week, month, or rolling:24h; absent: for life.'),
}

/** Of who asks. */
const callerShape = {
  ...limitsShape,
  ...spendShape,
  budget_mode: z
    .enum(['soft', 'strict'])
    .optional()
    .describe('strict: all that can be billed is bounded first. Default soft.'),
}

const text = z.string().min(1)
/** An element that has been cut out of a list in parse.ts is undefined; no file can say so. */
const texts = z.array(z.optional(text))
const oneOrMore = z.union([text, texts.min(1)])

/** Required of what targets do with data. */
export const dataPolicySchema = z.strictObject({
  region: oneOrMore.optional().describe('A region, or a list of which one is enough.'),
  retention: retention.optional().describe('none, or a duration such as 30d: kept at most so long.'),
  trains_on_data: z.boolean().optional(),
  filing_no: z
    .union([z.literal(true), text, texts.min(1)])
    .optional()
    .describe('true: any; or a number, or a list of numbers of which one is enough.'),
})

/** What targets do with data; on a provider `region` is there already, for its prices. */
export const dataShape = {
  retention: retention.optional().describe('How long inputs and outputs are kept: none, 24h, 30d.'),
  trains_on_data: z.boolean().optional().describe('Whether models are trained on what is sent.'),
  filing_no: text.optional().describe('Number of the public filing of the model (备案号).'),
}

/** Whom and what requests are confined to, by their key and by its team. */
const restrictionShape = {
  models: texts.optional().describe('Model names, PROVIDER/* and PROVIDER/MODEL; absent: all.'),
  providers: texts.optional().describe('Names under providers; absent: all.'),
  data_policy: dataPolicySchema.optional().describe('Required of what targets do with data.'),
  ip_ranges: texts.optional().describe('Addresses of clients: 10.0.0.0/8, 2001:db8::/32; absent: all.'),
  expires_at: z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/)
    .optional()
    .describe('An instant with its offset, or a date: its end in Shanghai.'),
}

export const organisationSchema = z.strictObject({ ...callerShape, ...organisationFinance })

export const teamSchema = z.strictObject({
  ...callerShape,
  ...teamFinance,
  organisation: z.string().min(1).optional().describe('A name under organisations.'),
  ...restrictionShape,
})

export const keyShape = {
  ...callerShape,
  team: z.string().min(1).optional().describe('A name under teams.'),
  ...restrictionShape,
}

/** Of a provider or a target. */
export const servedShape = {
  limits: z.strictObject(limitsShape).optional().describe('Of all keys together.'),
  ...spendShape,
}
