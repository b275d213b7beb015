// The columns that every table of counters has, in the order of `listOfTotals`, and what statements say of them.

export const COUNTS = [
  'requests',
  'attempts',
  'input_tokens',
  'cached_input_tokens',
  'output_tokens',
  'reasoning_tokens',
  'cost_nano',
  'estimated_attempts',
  'unpriced_attempts',
  'discount_nano',
  'free_quota_nano',
  'package_nano',
  'adjustment_nano',
] as const

export const COUNTS_LIST = COUNTS.join(', ')
export const COUNTS_PLACES = COUNTS.map(() => '?').join(',')
export const COUNTS_ADDED = COUNTS.map((name) => `${name} = ${name} + excluded.${name}`).join(', ')
/** To be read by `totalsOfCounter`, of a table called `u`. */
export const COUNTS_READ = COUNTS.map((name) => read(name, `u.${name}`)).join(', ')
export const COUNTS_SUMMED = COUNTS.map((name) => read(name, `sum(u.${name})`)).join(', ')

/** Money is an int64, which a number would not hold. */
function read(name: string, value: string): string {
  return name.endsWith('_nano') ? `CAST(${value} AS TEXT) AS ${name}` : `${value} AS ${name}`
}
