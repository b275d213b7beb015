// Makes the compact traces of ./traces from the published files: `node write-traces.ts AZURE.csv MOONCAKE.jsonl`.
// Kept so that anyone can check that nothing but the form was changed.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const TICKS_PER_MS = 10_000
const folder = join(import.meta.dirname, 'traces')

interface MooncakeRow {
  readonly timestamp: number
  readonly input_length: number
  readonly output_length: number
  readonly hash_ids: readonly number[]
}

/** Milliseconds since the epoch, from `2023-11-16 18:17:03.9799600`. */
function instant(text: string): number {
  const [whole = '', fraction = '0'] = text.split('.')
  return (
    Date.parse(`${whole.replace(' ', 'T')}Z`) + Math.round(Number(fraction.padEnd(7, '0')) / TICKS_PER_MS)
  )
}

function compactAzure(text: string): string {
  const rows = text
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split(','))
  const startAt = instant(rows[0]?.[0] ?? '')
  const lines = rows.map(([time = '', input, output]) => `${instant(time) - startAt},${input},${output}`)
  return `arrival_ms,input_tokens,output_tokens\n${lines.join('\n')}\n`
}

/** `0 14-27` for 0, 14, 15, … 27: fresh blocks are numbered in the order in which they appear. */
function ranges(ids: readonly number[]): string {
  const parts: string[] = []
  for (let first = 0; first < ids.length; ) {
    let last = first
    while (ids[last + 1] === (ids[last] ?? 0) + 1) last += 1
    parts.push(last === first ? `${ids[first]}` : `${ids[first]}-${ids[last]}`)
    first = last + 1
  }
  return parts.join(' ')
}

function compactMooncake(text: string): string {
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as MooncakeRow)
    .map((row) => `${row.timestamp},${row.input_length},${row.output_length},${ranges(row.hash_ids)}`)
  return `arrival_ms,input_tokens,output_tokens,prefix_blocks\n${lines.join('\n')}\n`
}

const [azurePath, mooncakePath] = process.argv.slice(2)
if (azurePath === undefined || mooncakePath === undefined) {
  console.error(
    'usage: node test/bench/routing/write-traces.ts azure-code-2023.csv mooncake-conversation.jsonl',
  )
  process.exit(2)
}
writeFileSync(join(folder, 'azure-code-2023.csv'), compactAzure(readFileSync(azurePath, 'utf8')))
writeFileSync(join(folder, 'mooncake-conversation.csv'), compactMooncake(readFileSync(mooncakePath, 'utf8')))
