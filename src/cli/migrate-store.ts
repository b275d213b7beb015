// `sluice migrate-store`: a ledger moved from a file into Redis or back, with a proof.

import { formatNano, type Nano } from '#core/money.ts'
import { isRedisUrl } from '#core/store-url.ts'
import { type Moved, migrateStore, type ProofLine, type Sums } from '#runtime/node/migrate-store.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { alignedLines } from './table.ts'

const SHOWN_MAX = 200

export const migrate: Command = {
  name: 'migrate-store',
  summary: 'a ledger moved from SQLite into Redis or back',
  help: `usage: sluice migrate-store --from URL --to URL [--json]

Moves rows, counters, adjustments, balances and keys (with the secret that knows them) from sqlite:PATH into an empty
redis://…, or from Redis into a new sqlite:PATH. No gateway may have either of them: it refuses to run while one does.
What was cut off goes on when it is run again; a second run changes nothing. At the end requests, attempts, tokens,
cost and adjustments are compared on both sides by month, key, model and target, and printed. Rows that Redis does not
keep move as counters; what cannot move is said. Exit code 1: the sums differ.

example: sluice migrate-store --from sqlite:data/sluice.db --to redis://127.0.0.1:6379`,
  async run(args) {
    const { values } = readOptions(args, {
      from: { type: 'string' },
      to: { type: 'string' },
      json: { type: 'boolean' },
    })
    const { from, to } = values
    if (from === undefined || to === undefined) throw new UsageError('--from and --to must be given')
    for (const [name, url] of [
      ['from', from],
      ['to', to],
    ] as const)
      if (!url.startsWith('sqlite:') && !isRedisUrl(url))
        throw new UsageError(`--${name} must be sqlite:PATH or a Redis URL; found "${url.slice(0, 100)}"`)
    if (isRedisUrl(from) === isRedisUrl(to))
      throw new UsageError('one of --from and --to must be sqlite:PATH, the other a Redis URL')
    const moved = await migrateStore(from, to, process.env)
    const isProven = moved.proof.every(({ isEqual }) => isEqual)
    if (values.json === true) console.log(JSON.stringify(jsonOf(moved, isProven)))
    else console.log(textOf(moved, isProven))
    return isProven ? 0 : 1
  },
}

function jsonOf({ proof, ...moved }: Moved, isProven: boolean): Record<string, unknown> {
  return {
    ...moved,
    equal: isProven,
    proof: proof.map(({ by, name, from, to, isEqual }) => ({
      by,
      name,
      from: sumsJson(from),
      to: sumsJson(to),
      equal: isEqual,
    })),
  }
}

function sumsJson(sums: Sums | null): Record<string, unknown> | null {
  if (sums === null) return null
  return {
    requests: sums.requests,
    attempts: sums.attempts,
    input_tokens: sums.inputTokens,
    output_tokens: sums.outputTokens,
    cost: formatNano(sums.costNano as Nano),
    adjustments: formatNano(sums.adjustmentNano as Nano),
  }
}

function textOf({ proof, ...moved }: Moved, isProven: boolean): string {
  const cells = (sums: Sums | null): readonly string[] =>
    sums === null
      ? ['-', '-', '-']
      : [String(sums.requests), formatNano(sums.costNano as Nano), formatNano(sums.adjustmentNano as Nano)]
  const line = ({ by, name, from, to, isEqual }: ProofLine): readonly string[] => [
    by,
    name === '' ? '-' : name,
    ...cells(from),
    ...cells(to),
    isEqual ? 'equal' : 'DIFFERS',
  ]
  const heading = ['BY', 'NAME', 'REQUESTS', 'COST', 'ADJUSTMENTS', 'THERE', 'COST', 'ADJUSTMENTS', '']
  // What differs is seen, however long the list.
  const shown = [...proof.filter(({ isEqual }) => !isEqual), ...proof.filter(({ isEqual }) => isEqual)].slice(
    0,
    SHOWN_MAX,
  )
  return [
    `moved: ${moved.rows} rows, ${moved.adjustments} adjustments, counters of ${moved.hours} hours, ${moved.balances} uses of balances, ${moved.keys} keys`,
    ...moved.left.map((words) => `not moved: ${words}`),
    '',
    ...alignedLines([heading, ...shown.map(line)]),
    ...(proof.length > shown.length ? [`… and ${proof.length - shown.length} more, all equal`] : []),
    '',
    isProven ? 'both sides have the same sums' : 'the sums differ: nothing of the source was changed',
  ].join('\n')
}
