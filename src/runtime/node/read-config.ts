// The configuration as the gateway reads it: the file, the prices over the catalogue, the keys digested.

import { readFile } from 'node:fs/promises'
import type { Settings } from '#core/settings.ts'
import type { KeyRing } from '#pipeline/key-ring.ts'
import { compileLive, type Live } from '#pipeline/live.ts'
import { priceNotices } from '#pipeline/price-notices.ts'
import { BalanceBook } from '#pricing/balance-book.ts'
import { buildCatalogue, type Catalogue } from '#pricing/catalogue.ts'
import { checkOverrides, type OverrideProblem } from '#pricing/check.ts'
import { loadSettings, type Problem } from '#settings/load.ts'
import { configureBalances } from './balances.ts'
import { secretPath } from './ledger.ts'
import { Pepper } from './pepper.ts'
import { type PriceList, regionsIn } from './price-lists.ts'
import type { ProviderFolders } from './providers.ts'
import { clock } from './system.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The configuration cannot be used. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super('the configuration has problems')
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Reads and checks a configuration as the gateway would. @throws ConfigError */
export async function readConfig(
  path: string,
  env: Environment,
  folders: ProviderFolders,
  balances = new BalanceBook(),
  pepper = createPepper(env),
  prices?: Readonly<Record<string, unknown>>,
): Promise<Live> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const message = `the configuration file cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`
    throw new ConfigError([
      { path, found: 'nothing', allowed: 'a YAML or JSON file', nearest: null, message },
    ])
  }
  const loaded = loadSettings({
    text,
    providers: folders.providers,
    priceRegions: regionsIn(folders.lists),
    env,
    ...(prices === undefined ? {} : { prices }),
    digest: (key, secret, store) => pepper.digest(key, secret, store),
  })
  if ('problems' in loaded) throw new ConfigError(loaded.problems)
  const { settings } = loaded
  const wrong = checkOverrides(settings.prices, (name) => listOf(folders, settings, name))
  if (wrong.length > 0) throw new ConfigError(wrong.map(overrideProblem))
  configureBalances(balances, settings)
  const live = compileLive(settings, catalogueOf(settings, folders.lists, balances))
  const notices = [...settings.notices, ...priceNotices(live, clock.nowMs())]
  return compileLive({ ...settings, notices }, live.catalogue)
}

export function catalogueOf(
  settings: Settings,
  lists: readonly PriceList[],
  balances: BalanceBook,
): Catalogue {
  const { prices: overrides, currency } = settings
  return buildCatalogue({ lists, overrides, currency, balances })
}

/** The price list that a provider of the configuration goes by. */
function listOf({ lists }: ProviderFolders, { providers }: Settings, name: string): PriceList['entries'] {
  const id = providers.get(name)?.provider.id
  return lists.find(({ provider }) => provider === id)?.entries ?? []
}

function overrideProblem({ pattern, problem }: OverrideProblem): Problem {
  const allowed = 'a price that its vendor could mean'
  return { path: `prices["${pattern}"]`, message: problem, found: 'this entry', allowed, nearest: null }
}

export function createPepper(env: Environment): Pepper {
  return new Pepper((store) => secretPath(store, env['SLUICE_JOURNAL']))
}

/** Budgets and rows go by the name of a key: no key of the file may have that of one of the store. @throws ConfigError */
export function refuseTakenNames({ settings }: Live, keys: KeyRing): void {
  const problems = settings.keys.flatMap(({ name }, index): Problem[] =>
    keys.isNameTaken(name)
      ? [
          {
            path: `keys[${index}].name`,
            message: 'is that of a key in the store',
            found: JSON.stringify(name),
            allowed: 'another name, or delete that key (`sluice keys delete`)',
            nearest: null,
          },
        ]
      : [],
  )
  if (problems.length > 0) throw new ConfigError(problems)
}
