// The folders of providers/, found at start: adding a provider is adding a folder.

import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import type { Provider } from '#core/provider.ts'
import { type PriceList, readPriceList } from './price-lists.ts'

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
  const entries = await readdir(FOLDER, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  const folders = await Promise.all(names.toSorted().map(readFolder))
  return {
    providers: new Map(folders.map(({ provider }) => [provider.id, provider])),
    lists: folders.map(({ list }) => list),
  }
}

async function readFolder(name: string): Promise<{ readonly provider: Provider; readonly list: PriceList }> {
  const [module, list] = await Promise.all([
    import(new URL(`${name}/provider.ts`, FOLDER).href) as Promise<{ readonly provider?: Provider }>,
    readOwnList(name),
  ])
  const { provider } = module
  if (provider === undefined || provider.id !== name) {
    throw new Error(`providers/${name}/provider.ts must export \`provider\` with the id "${name}"`)
  }
  return { provider, list }
}

/** A folder that comes without a file has no public price; one whose file has gone keeps its last good one. */
async function readOwnList(provider: string): Promise<PriceList> {
  const file = priceFileOf(provider)
  return existsSync(file) ? await readPriceList(provider, file) : { provider, entries: [] }
}
