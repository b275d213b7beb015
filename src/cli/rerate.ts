// `sluice rerate`: past rows under corrected prices, as adjustments.

import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { GatewayError } from '#core/errors.ts'
import { rerateJson } from '#http/admin-rerate.ts'
import { priced } from '#runtime/node/priced.ts'
import { readProviderFolders } from '#runtime/node/providers.ts'
import { createPepper, readConfig } from '#runtime/node/read-config.ts'
import { rerateFile, rerateLedger } from '#runtime/node/rerate.ts'
import { openStoppedLedger } from '#runtime/node/stopped-ledger.ts'
import { type AdminAddress, adminAddress, askJob } from './admin-client.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { instantMs } from './instants.ts'
import { alignedLines } from './table.ts'

type Json = Record<string, unknown>

const DEFAULT_CONFIG = 'config/sluice.yaml'

export const rerate: Command = {
  name: 'rerate',
  summary: 'past rows under corrected prices, as adjustments',
  help: `usage: sluice rerate [--from DATE] [--to DATE] [--provider P] [--model M] [--target P/M] [--key K]
                     [--prices FILE] [--apply --author WHO --reason WHY]
                     [--config FILE | --url URL [--token T]] [--json]

Rates past attempts anew under the prices of now (lists, configuration, and entries of FILE over it, as under
prices:), and prints what changes by price and by day. Nothing is written without --apply: then each change becomes
an adjustment beside its attempt, which stays as it is. A second run finds nothing to do. Attempts that had no price
get their first one; those whose usage is an estimate are rated as they stand and counted.

Without --url it works on the SQLite file of a gateway that does not run (store: of FILE, $SLUICE_CONFIG or
${DEFAULT_CONFIG}); with it on a running gateway's ledger. A date means its start in the time zone of the books.

example: sluice rerate --from 2026-10-01 --to 2026-11-01 --provider qwen --apply --author mei --reason "list of October"`,
  async run(args) {
    const { values } = readOptions(args, {
      from: { type: 'string' },
      to: { type: 'string' },
      provider: { type: 'string' },
      model: { type: 'string' },
      target: { type: 'string' },
      key: { type: 'string' },
      prices: { type: 'string' },
      apply: { type: 'boolean' },
      author: { type: 'string' },
      reason: { type: 'string' },
      config: { type: 'string' },
      url: { type: 'string' },
      token: { type: 'string' },
      json: { type: 'boolean' },
    })
    if (values.apply === true)
      for (const name of ['author', 'reason'] as const)
        if ((values[name] ?? '').trim() === '') throw new UsageError(`--apply needs --${name}`)
    if (values.url !== undefined && values.config !== undefined)
      throw new UsageError(
        '--config is for a gateway that does not run, --url for one that does: give one of them',
      )
    const body: Json = {
      ...pick(values, ['from', 'to', 'provider', 'model', 'target', 'key', 'author', 'reason']),
      ...(values.apply === true ? { apply: true } : {}),
      ...(values.prices === undefined ? {} : { prices: await readPrices(values.prices) }),
    }
    const run = (): Promise<Json> =>
      values.url === undefined && process.env['SLUICE_URL'] === undefined
        ? offline(body, values.config ?? process.env['SLUICE_CONFIG'] ?? DEFAULT_CONFIG)
        : online(body, adminAddress(values))
    const first = await run()
    show(first, values.json === true)
    return 0
  },
}

function pick(values: Json, names: readonly string[]): Json {
  return Object.fromEntries(
    names.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])),
  )
}

async function readPrices(path: string): Promise<Json> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`--prices: ${path} cannot be read (${error.code})`)
  })
  let data: unknown
  try {
    data = parse(text)
  } catch (error) {
    throw new Error(`--prices: ${path} is no YAML or JSON: ${String(error).split('\n')[0]}`)
  }
  const own = typeof data === 'object' && data !== null && 'prices' in data ? data.prices : data
  if (typeof own !== 'object' || own === null || Array.isArray(own))
    throw new Error(
      `--prices: ${path} must hold entries by PROVIDER/MODEL, as under prices: of a configuration`,
    )
  return own as Json
}

function online(body: Json, address: AdminAddress): Promise<Json> {
  return askJob(address, 'POST', '/rerate', { body })
}

async function offline(body: Json, configPath: string): Promise<Json> {
  const folders = await readProviderFolders()
  const live = await readConfig(configPath, process.env, folders)
  const { settings } = live
  const zone = settings.timeZone
  const stopped = openStoppedLedger(settings.store, process.env)
  try {
    const text = (name: string): string | null => (body[name] as string | undefined) ?? null
    const instant = (name: string): number | null => {
      const given = text(name)
      return given === null ? null : instantMs(name, given, zone)
    }
    const [fromMs, toMs] = [instant('from'), instant('to')]
    if (fromMs !== null && toMs !== null && fromMs >= toMs) throw new UsageError('--to must be after --from')
    const outcome = await rerateLedger(
      {
        corrections: {
          adjust: async (rows) => stopped.ledger.adjust(rows),
          async closedMonths() {
            const months = await stopped.ledger.store.months?.list()
            return new Set(months?.map(({ month }) => month))
          },
        },
        onThread: async (work, onProgress) => rerateFile(stopped.driver, work, onProgress),
        store: stopped.ledger.store,
        nowMs: () => Date.now(),
        priced: (over) =>
          priced({ configPath, env: process.env }, folders, createPepper(process.env), live, over),
      },
      {
        filter: {
          fromMs,
          toMs,
          provider: text('provider'),
          model: text('model'),
          target: text('target'),
          key: text('key'),
        },
        apply: body['apply'] === true,
        author: text('author') ?? '',
        note: text('reason') ?? '',
        prices: (body['prices'] as Json | undefined) ?? null,
      },
      () => undefined,
    )
    return rerateJson(outcome)
  } catch (error) {
    if (error instanceof GatewayError) throw new Error(error.message)
    throw error
  } finally {
    stopped.close()
  }
}

function show(outcome: Json, json: boolean): void {
  if (json) return console.log(JSON.stringify(outcome))
  const byPrice = outcome['by_price'] as Json[]
  const byDay = outcome['by_day'] as Json[]
  const row = (names: readonly string[]) => (one: Json) => names.map((name) => String(one[name] ?? '-'))
  const lines: string[] = []
  if (byPrice.length > 0)
    lines.push(
      ...alignedLines([
        ['OLD PRICE', 'NEW PRICE', 'ATTEMPTS', 'OLD', 'NEW', 'DIFFERENCE'],
        ...byPrice.map(row(['old_price', 'new_price', 'attempts', 'old', 'new', 'difference'])),
      ]),
      '',
      ...alignedLines([
        ['DAY', 'ATTEMPTS', 'DIFFERENCE'],
        ...byDay.map(row(['day', 'attempts', 'difference'])),
      ]),
      '',
    )
  const { attempts, changed, estimated, currency } = outcome
  lines.push(
    `${attempts} attempts, ${changed} change: ${outcome['old']} → ${outcome['new']} ${currency} (${outcome['difference']})`,
  )
  lines.push(
    `${outcome['first_priced']} get their first price; ${estimated} have an estimated usage, rated as it stands`,
  )
  if (outcome['without_price'] !== 0)
    lines.push(`${outcome['without_price']} have no known price and stay as they are`)
  if (outcome['unrated'] !== 0)
    lines.push(`${outcome['unrated']} do not keep what their price hangs on and stay as they are`)
  lines.push(
    outcome['applied'] === null
      ? 'nothing was written: --apply --author WHO --reason WHY makes it so'
      : `${outcome['applied']} adjustments were written`,
  )
  if (outcome['partial'] === true) lines.push('there is more to change than one run takes: run it again')
  console.log(lines.join('\n'))
}
