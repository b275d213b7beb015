// Shapes that all parts of a configuration share.

import { z } from 'zod'

/** Timers of JavaScript go no further. */
const DURATION_MS_MAX = 2 ** 31 - 1

export const text = z.string().min(1)
export const milliseconds = z.int().min(1).max(DURATION_MS_MAX)
export const count = z.int().min(1)

/** An element that has been cut out of a list in parse.ts is undefined; no file can say so. */
export const list = <Item extends z.ZodType>(item: Item) => z.array(z.optional(item))
