// The shape of limits and budgets, wherever in a configuration they stand.

import { z } from 'zod'

const count = z.int().min(1)

/** Of requests and tokens; flat on who asks, under `limits` on what is asked. */
const limitsShape = {
  rpm: count.optional().describe('Requests: no 60 seconds contain more.'),
  tpm: count.optional().describe('Tokens, input and output: no 60 seconds contain more.'),
  concurrency: count.optional().describe('Requests that run at the same time.'),
}

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

export const organisationSchema = z.strictObject(callerShape)

export const teamSchema = z.strictObject({
  ...callerShape,
  organisation: z.string().min(1).optional().describe('A name under organisations.'),
  models: z
    .array(z.optional(z.string().min(1)))
    .optional()
    .describe('What its keys may use at most, as on a key.'),
})

export const keyShape = {
  ...callerShape,
  team: z.string().min(1).optional().describe('A name under teams.'),
}

/** Of a provider or a target. */
export const servedShape = {
  limits: z.strictObject(limitsShape).optional().describe('Of all keys together.'),
  ...spendShape,
}
