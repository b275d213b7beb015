// The shape of what finance asks for: tax, internal charges, whom costs are booked to, alerts.

import { z } from 'zod'
import { text } from './shapes.ts'

const price = z
  .string()
  .regex(/^\d{1,12}(\.\d{1,6})?$/)
  .describe('Book currency per million tokens, in quotes.')

export const taxSchema = z
  .strictObject({
    included: z.boolean().default(true).describe('Whether prices hold the tax already.'),
    rate: z
      .string()
      .regex(/^[01](\.\d{1,6})?$/)
      .describe('A share in quotes: "0.06" is 6 %.'),
  })
  .describe('Value-added tax of prices, for the split of reports.')

const chargeSchema = z
  .strictObject({
    markup: z
      .string()
      .regex(/^-?\d{1,3}(\.\d{1,6})?$/)
      .optional()
      .describe('On top of the cost: "0.10" is 10 % more, "-0.05" is 5 % less.'),
    prices: z
      .record(z.string(), z.strictObject({ input: price, cached_input: price.optional(), output: price }))
      .optional()
      .describe('Own prices by model, PROVIDER/MODEL, PROVIDER/* or *; the rest is cost and markup.'),
  })
  .describe('What usage is charged at within the house.')

const bookedShape = {
  cost_centre: text.max(200).optional().describe('Whom costs are booked to.'),
  contract_number: text.max(200).optional(),
}

export const organisationFinance = {
  ...bookedShape,
  time_zone: text.optional().describe('Whose days its reports go by; absent: the file’s.'),
}

export const teamFinance = { ...bookedShape, charge: chargeSchema.optional() }

export const alertsSchema = z
  .strictObject({
    webhook: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Where alerts are posted, signed.'),
    allow_private: z.boolean().default(false).describe('Its host may be loopback or private.'),
  })
  .describe('Of budgets at 50, 80 and 100 % and before they run out.')
