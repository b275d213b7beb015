// What part of a gateway's CPU goes into the books: admission, journal, settlement, rollups. A sample belongs to the
// innermost of our own files on its stack; what it calls in Node is its doing.

import { readFileSync } from 'node:fs'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string }
  readonly children?: readonly number[]
}

interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const PARTS: readonly (readonly [string, RegExp])[] = [
  ['admission', /\/src\/(store\/admission\/|pipeline\/(hold|admit|output-bound|input-gauge|scopes)\.ts)/],
  [
    'journal and rollups',
    /\/src\/(store\/sqlite\/|store\/usage-report\.ts|runtime\/node\/(append-log|sqlite)\.ts)/,
  ],
  ['settlement', /\/src\/pipeline\/settle\.ts/],
]

/** Shares of the time that was not idle, by part, and the sum of them. */
export function booksShare(path: string): readonly { readonly name: string; readonly share: number }[] {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(path, 'utf8')) as Profile
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parents = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  )
  const ownerOf = new Map<number, string | null>()
  const owner = (id: number): string | null => {
    const known = ownerOf.get(id)
    if (known !== undefined) return known
    const url = byId.get(id)?.callFrame.url ?? ''
    const parent = parents.get(id)
    const found = url.includes('/src/') ? url : parent === undefined ? null : owner(parent)
    ownerOf.set(id, found)
    return found
  }
  let busy = 0
  const sums = new Map(PARTS.map(([name]) => [name, 0]))
  for (const [index, id] of samples.entries()) {
    const micros = timeDeltas[index] ?? 0
    if (byId.get(id)?.callFrame.functionName === '(idle)') continue
    busy += micros
    const file = owner(id) ?? ''
    const part = PARTS.find(([, files]) => files.test(file))
    if (part !== undefined) sums.set(part[0], (sums.get(part[0]) ?? 0) + micros)
  }
  const parts = [...sums].map(([name, micros]) => ({ name, share: micros / busy }))
  return [...parts, { name: 'all of the books', share: parts.reduce((sum, { share }) => sum + share, 0) }]
}
