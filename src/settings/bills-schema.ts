// The shape of `reconcile:`: how a provider's bill is read.

import { z } from 'zod'
import { BILL_COLUMNS } from '#core/bill.ts'

const text = z.string().min(1)
/** A heading, or several of which the first that is there counts. */
const heading = z.union([text, z.array(z.optional(text)).min(1)])
const part = z.strictObject({
  separator: text,
  part: z.int().min(1).max(50).describe('Which one, from 1.'),
})
const decimal = z.string().regex(/^\d{1,12}(\.\d{1,12})?$/)

export const billSchema = z.strictObject({
  columns: z
    .strictObject(Object.fromEntries(BILL_COLUMNS.map((column) => [column, heading.optional()])))
    .optional()
    .describe('What the columns are called; time, model and amount must be there.'),
  model_part: part.optional().describe('The model is a part of its cell.'),
  item_part: part.optional().describe('What is billed is a part of its cell.'),
  time_zone: text.optional().describe('Whose days the bill goes by; an IANA name. Default Asia/Shanghai.'),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .optional()
    .describe('Where no column says it. Default CNY.'),
  delimiter: z.string().length(1).optional().describe('Absent: as the heading shows.'),
  models: z.record(z.string(), text).optional().describe("The bill's names of models, and ours."),
  tolerance: z
    .strictObject({
      absolute: decimal.optional().describe('Native currency; default "0.000001".'),
      relative: decimal.optional().describe('A share of what the bill says, such as "0.001"; default "0".'),
    })
    .optional()
    .describe('Differences of a request, or of a model and day, within the larger of both are none.'),
})
