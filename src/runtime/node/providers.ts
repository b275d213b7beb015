// The folders of providers/, found at start: adding a provider is adding a folder.

import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import type { Provider } from '#core/provider.ts'
import type { FoundLists } from './price-copies.ts'
import { type PriceList, PriceListError, readPriceList } from './price-lists.ts'

const FOLDER = new URL('../../../providers/', import.meta.url)

export interface ProviderFolders {
  readonly providers: ReadonlyMap<string, Provider>
  readonly lists: readonly PriceList[]
}

export function priceFileOf(provider: string): URL {
  return new URL(`${provider}/prices.json`, FOLDER)
}

/** @throws Error naming the folder that is not whole, or the price that cannot be used. */
export async function readProviderFolders(): Promise<ProviderFolders> {
  const found = await findProviderFolders()
  const [problem] = found.broken.values()
  if (problem !== undefined) throw new Error(problem)
  return found
}

/** The same with lists that cannot be used, which are empty here. @throws Error naming the folder that is not whole. */
export async function findProviderFolders(): Promise<ProviderFolders & FoundLists> {
  const entries = await readdir(FOLDER, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  const folders = await Promise.all(names.toSorted().map(readFolder))
  return {
    providers: new Map(folders.map(({ provider }) => [provider.id, provider])),
    lists: folders.map(({ list }) => list),
    broken: new Map(
      folders.flatMap(({ list, problem }) => (problem === null ? [] : [[list.provider, problem] as const])),
    ),
  }
}

interface Folder {
  readonly provider: Provider
  readonly list: PriceList
  /** Why the list cannot be used; null: it can. */
  readonly problem: string | null
}

async function readFolder(name: string): Promise<Folder> {
  const [module, { list, problem }] = await Promise.all([
    import(new URL(`${name}/provider.ts`, FOLDER).href) as Promise<{ readonly provider?: Provider }>,
    readOwnList(name),
  ])
  const { provider } = module
  if (provider === undefined || provider.id !== name) {
    throw new Error(`providers/${name}/provider.ts must export \`provider\` with the id "${name}"`)
  }
  return { provider, list, problem }
}

/** A folder that comes without a file has no public price; one whose file has gone keeps its last good one. */
async function readOwnList(provider: string): Promise<Pick<Folder, 'list' | 'problem'>> {
  const file = priceFileOf(provider)
  const none = { provider, entries: [] }
  if (!existsSync(file)) return { list: none, problem: null }
  try {
    return { list: await readPriceList(provider, file), problem: null }
  } catch (error) {
    if (!(error instanceof PriceListError)) throw error
    return { list: none, problem: error.message }
  }
}
