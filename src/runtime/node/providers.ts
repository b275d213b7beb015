// The folders of providers/, found at start: adding a provider is adding a folder.

import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { PriceEntry } from '#core/price.ts'
import type { Provider } from '#core/provider.ts'

const FOLDER = new URL('../../../providers/', import.meta.url)

export interface ProviderFolders {
  readonly providers: ReadonlyMap<string, Provider>
  readonly lists: readonly { readonly provider: string; readonly entries: readonly PriceEntry[] }[]
}

/** @throws Error naming the folder that is not whole. */
export async function readProviderFolders(): Promise<ProviderFolders> {
  const entries = await readdir(FOLDER, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  const folders = await Promise.all(names.toSorted().map(readFolder))
  return {
    providers: new Map(folders.map(({ provider }) => [provider.id, provider])),
    lists: folders.map(({ provider, entries: rows }) => ({ provider: provider.id, entries: rows })),
  }
}

async function readFolder(
  name: string,
): Promise<{ readonly provider: Provider; readonly entries: readonly PriceEntry[] }> {
  const [module, prices] = await Promise.all([
    import(new URL(`${name}/provider.ts`, FOLDER).href) as Promise<{ readonly provider?: Provider }>,
    readPrices(new URL(`${name}/prices.json`, FOLDER)),
  ])
  const { provider } = module
  if (provider === undefined || provider.id !== name) {
    throw new Error(`providers/${name}/provider.ts must export \`provider\` with the id "${name}"`)
  }
  return { provider, entries: prices }
}

/** No file means no public price. @throws Error when the file is no JSON list. */
async function readPrices(file: URL): Promise<readonly PriceEntry[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  const entries = JSON.parse(text) as unknown
  if (!Array.isArray(entries)) throw new Error(`${fileURLToPath(file)} must hold a list of prices`)
  return entries as PriceEntry[]
}
