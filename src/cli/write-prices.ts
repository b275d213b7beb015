// Writes the price lists of providers/ from a collection of price entries: `node src/cli/write-prices.ts FILE`.
// Says what it could not map, and why; no network. Prices of the past that the collection lacks stand in
// price-war-2024.json, each with its source.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PriceEntry } from '#core/price.ts'
import type { CollectedEntry } from './collected-entry.ts'
import { type Imported, importPrices } from './import-prices.ts'

const PROVIDERS = join(import.meta.dirname, '../../providers')
const OWN = join(import.meta.dirname, 'price-war-2024.json')

function main(path: string | undefined): number {
  if (path === undefined) {
    console.error('usage: node src/cli/write-prices.ts FILE')
    return 2
  }
  const collected = [path, OWN].flatMap(
    (file) => JSON.parse(readFileSync(file, 'utf8')) as readonly CollectedEntry[],
  )
  const folders = readdirSync(PROVIDERS, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const imported = importPrices(
    collected,
    folders.map((folder) => folder.name),
  )
  for (const [provider, entries] of imported.lists) {
    writeFileSync(join(PROVIDERS, provider, 'prices.json'), listText(entries))
  }
  console.log(report(collected.length, imported))
  return 0
}

/** One entry a line, so that a change of one price is a change of one line. */
function listText(entries: readonly PriceEntry[]): string {
  if (entries.length === 0) return '[]\n'
  return `[\n${entries.map((entry) => JSON.stringify(entry)).join(',\n')}\n]\n`
}

function report(total: number, { lists, unmapped, leftOut }: Imported): string {
  const mapped = [...lists].map(([provider, entries]) => `  ${provider}: ${entries.length}`)
  const byReason = new Map<string, string[]>()
  for (const { entry, reason } of unmapped) {
    byReason.set(reason, [...(byReason.get(reason) ?? []), `${entry.provider}/${entry.model}`])
  }
  const ordered = [...byReason].toSorted(([, a], [, b]) => b.length - a.length)
  return [
    `mapped ${total - unmapped.length} of ${total} entries`,
    ...mapped,
    `not mapped ${unmapped.length}`,
    ...ordered.flatMap(([reason, names]) => [
      `  ${names.length} × ${reason}`,
      ...names.map((name) => `    ${name}`),
    ]),
    'left out of mapped entries',
    ...[...leftOut].toSorted().map(([name, count]) => `  ${count} × ${name}`),
  ].join('\n')
}

process.exitCode = main(process.argv[2])
