// `sluice rate`: what a usage costs, line by line.

import { type FxRates, rateAt } from '#core/fx.ts'
import type { Cost } from '#core/ledger.ts'
import { formatNano } from '#core/money.ts'
import { buildCatalogue, type Catalogue } from '#pricing/catalogue.ts'
import { parseInstantMs } from '#pricing/instants.ts'
import type { Price } from '#pricing/price.ts'
import { rate as rateUsage } from '#pricing/rate.ts'
import { type ProviderFolders, readProviderFolders } from '#runtime/node/providers.ts'
import { ConfigError, readConfig } from '#runtime/node/read-config.ts'
import { formatProblems } from '#settings/problems.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { vendorOf } from './price-vendors.ts'
import { type RatedUsage, readRatedUsage } from './rate-usage.ts'

export interface Asked {
  readonly provider: string
  readonly model: string
  readonly region: string | null
  /** null: the price's own. */
  readonly currency: string | null
  readonly atMs: number
  readonly usage: RatedUsage
}

/** Prices and rates of the lists, or of a configuration over them. */
export interface PriceBook {
  readonly catalogueIn: (currency: string | null) => Catalogue
  readonly folderOf: (provider: string) => PricedProvider | null
  readonly fx: FxRates
}

interface PricedProvider {
  readonly id: string
  readonly region: string
  /** The configuration says where it is, so no other region's list is its own. */
  readonly isConfigured: boolean
}

export interface Rated {
  readonly price: Price
  readonly cost: Cost
}

export const rate: Command = {
  name: 'rate',
  summary: 'what a usage costs, line by line',
  help: `usage: sluice rate --provider P --model M --usage JSON [--at ISO] [--region R] [--currency C]
                   [--config FILE] [--json]

Prices a usage by the lists of providers/ (and the prices, contracts and rates of FILE) at the instant of --at,
a date meaning its start in Beijing; without --at now. JSON is a vendor's usage object, with the flags batch,
thinking_mode and explicit and the counts images, seconds, chars, search_calls and others beside it. Without
--currency the cost is in the list's own; a list in C beats the conversion of another one. Exit code 1: the
price is not known, which is never 0.

example: sluice rate --provider qwen --model qwen3-max --json \\
           --usage '{"prompt_tokens":100000,"completion_tokens":2000}'`,
  async run(args) {
    const { values } = readOptions(args, {
      provider: { type: 'string' },
      model: { type: 'string' },
      usage: { type: 'string' },
      at: { type: 'string' },
      region: { type: 'string' },
      currency: { type: 'string' },
      config: { type: 'string' },
      json: { type: 'boolean' },
    })
    const { provider, model } = values
    if (provider === undefined || model === undefined || values.usage === undefined) {
      throw new UsageError('--provider, --model and --usage must be given')
    }
    const asked: Asked = {
      provider,
      model,
      region: values.region ?? null,
      currency: values.currency ?? null,
      atMs: values.at === undefined ? Date.now() : readInstant(values.at),
      usage: parseUsage(values.usage),
    }
    const folders = await readProviderFolders()
    const book = values.config === undefined ? bookOf(folders) : await configuredBook(values.config, folders)
    const { price, cost } = rateAsked(asked, book)
    if (values.json === true) console.log(JSON.stringify(costJson(price, cost)))
    else console.log(costText(price, cost))
    if (asked.usage.ignored.length > 0) console.error(`note: not billed: ${asked.usage.ignored.join(', ')}`)
    return 0
  },
}

export function readInstant(text: string): number {
  try {
    return parseInstantMs(text)
  } catch {
    throw new UsageError(`--at: "${text}" is neither a date nor an instant with its offset`)
  }
}

function parseUsage(text: string): RatedUsage {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new UsageError('--usage is no JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError('--usage must be a JSON object')
  }
  return readRatedUsage(value as Readonly<Record<string, unknown>>)
}

function bookOf(folders: ProviderFolders): PriceBook {
  return {
    catalogueIn: (currency) =>
      buildCatalogue({ lists: folders.lists, overrides: [], ...(currency === null ? {} : { currency }) }),
    folderOf: (name) => unconfigured(folders, name),
    fx: new Map(),
  }
}

function unconfigured({ providers }: ProviderFolders, name: string): PricedProvider | null {
  const provider = providers.get(name)
  return provider === undefined ? null : { id: name, region: provider.region, isConfigured: false }
}

async function configuredBook(path: string, folders: ProviderFolders): Promise<PriceBook> {
  const { settings } = await readConfig(path, process.env, folders).catch((error: unknown) => {
    if (error instanceof ConfigError) throw new Error(formatProblems(error.problems))
    throw error
  })
  return {
    catalogueIn: (currency) =>
      buildCatalogue({
        lists: folders.lists,
        overrides: settings.prices,
        currency: currency ?? settings.currency,
      }),
    folderOf: (name) => {
      const own = settings.providers.get(name)
      if (own === undefined) return unconfigured(folders, name)
      return { id: own.provider.id, region: own.region, isConfigured: true }
    },
    fx: settings.fx,
  }
}

/** @throws Error when the price is not known; UsageError when there is no such provider. */
export function rateAsked(asked: Asked, book: PriceBook): Rated {
  const price = findPrice(asked, book)
  if (price === null) {
    throw new Error(`the price of ${asked.provider}/${asked.model} is not known at that instant and region`)
  }
  const { usage, thinking } = asked.usage
  const currency = asked.currency ?? price.currency
  if (currency !== price.currency && rateAt(book.fx, price.currency, asked.atMs) === null) {
    throw new Error(`the price is in ${price.currency}, and there is no rate to ${currency} at that instant`)
  }
  const cost = rateUsage(price, usage, { thinking, atMs: asked.atMs, currency, fx: book.fx })
  if (cost === null) {
    throw new Error(`the usage does not say what the price is by (${price.unit}, ${price.version})`)
  }
  return { price, cost }
}

/** Where a region is not asked for, a list in the currency that is asked for is looked for in all of them. */
function findPrice(asked: Asked, book: PriceBook): Price | null {
  const vendor = vendorOf(asked.provider)
  const folder = book.folderOf(asked.provider) ?? book.folderOf(vendor.provider)
  if (folder === null) throw new UsageError(`there is no provider "${asked.provider}"`)
  const catalogue = book.catalogueIn(asked.currency)
  const findIn = (region: string) =>
    catalogue.find({
      providerName: asked.provider,
      providerId: folder.id,
      region,
      model: asked.model,
      atMs: asked.atMs,
    })
  const own = findIn(asked.region ?? vendor.region ?? folder.region)
  if (asked.region !== null || folder.isConfigured) return own
  if (own !== null && (asked.currency ?? own.currency) === own.currency) return own
  const elsewhere = REGIONS.map(findIn).filter((price) => price !== null)
  return elsewhere.find((price) => price.currency === asked.currency) ?? own
}

const REGIONS = ['cn', 'intl', 'global', 'us', 'eu'] as const

function costJson(price: Price, cost: Cost): object {
  return {
    total: formatNano(cost.amountNano),
    currency: cost.currency,
    lines: cost.lines,
    price: {
      version: cost.priceVersion,
      currency: price.currency,
      unit: price.unit,
      region: price.region,
      native_total: formatNano(cost.nativeNano),
    },
  }
}

function costText(price: Price, cost: Cost): string {
  const rows = cost.lines.map(
    ({ item, quantity, price: unitPrice, amount }) =>
      `${item.padEnd(20)} ${String(quantity).padStart(14)} × ${unitPrice.padEnd(10)} ${amount}`,
  )
  const native =
    cost.currency === price.currency ? '' : ` (${formatNano(cost.nativeNano)} ${cost.nativeCurrency})`
  return [...rows, `total ${formatNano(cost.amountNano)} ${cost.currency}${native}`, cost.priceVersion].join(
    '\n',
  )
}
