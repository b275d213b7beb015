// What sources say in prose, or beside the models that it holds for → fields of price entries.

import { formatDecimal, parseDecimal } from '#core/money.ts'
import type { CharacterRule, FreeQuota, PriceItem, PriceItemName, QuotaUnit } from '#core/price.ts'
import type { CollectedEntry } from './collected-entry.ts'

/** A surcharge that the collection has as an entry of its own, and the models that it is on. */
export interface Attachment {
  readonly provider: string
  /** The billing item in the collection. */
  readonly item: string
  readonly models: RegExp
  readonly isHistoric?: true
}

export const ATTACHMENTS: readonly Attachment[] = [
  // "Each time search triggers on ERNIE 3.5/4.0/4.0-turbo" (ai.baidu.com, Wlqatm587).
  { provider: 'qianfan', item: 'ernie-search-augmentation', models: /^ernie-(3\.5|4\.0)/i },
  // 联网Plus may be switched on for any of its chat models (volcengine.com, 82379/1262333).
  { provider: 'volcengine', item: 'web-search-plugin-plus', models: /./ },
  // The cache of 2024 was for moonshot-v1; K2 has another one (platform.moonshot.cn, context-caching).
  { provider: 'moonshot', item: 'context-cache-2024', models: /^moonshot-v1-/, isHistoric: true },
]

const ITEM_NAMES: Readonly<Record<string, PriceItemName>> = {
  create_per_million_tokens: 'cache_creation',
  storage_per_million_tokens_minute: 'cache_storage_minute',
  per_call: 'cache_call',
}

/** The items of a billing item. */
export function attachedItems(entry: CollectedEntry): readonly PriceItem[] {
  const from = typeof entry.effective_from === 'string' ? { effective_from: entry.effective_from } : {}
  const tier = entry.tiers[0] ?? {}
  return Object.entries(tier).flatMap(([name, price]) => {
    const item = entry.kind === 'search' ? 'search_call' : ITEM_NAMES[name]
    return item === undefined || typeof price !== 'string' ? [] : [{ item, price, ...from }]
  })
}

export function isAttached(entry: CollectedEntry): boolean {
  return ATTACHMENTS.some(({ provider, item }) => provider === entry.provider && item === entry.model)
}

/** Items that an entry itself has beside its tiers. */
export function ownItems(entry: CollectedEntry): readonly PriceItem[] {
  const items: readonly [PriceItemName, string | undefined][] = [
    ['cache_storage_hour', entry.cache_storage_per_million_tokens_hour],
    ['voice_clone', entry.voice_clone_one_off],
    ['voice_design', entry.voice_design_one_off],
    ['search_call', perThousand(entry.tools?.search_strategy_agent_per_1000_calls)],
  ]
  return items.flatMap(([item, price]) => (price === undefined ? [] : [{ item, price }]))
}

function perThousand(price: number | undefined): string | undefined {
  return price === undefined ? undefined : formatDecimal(parseDecimal(String(price), 3), 6)
}

export function characterRule(rule: string | undefined): CharacterRule | undefined {
  if (rule === undefined) return undefined
  return rule.startsWith('every Chinese char') ? 'each_without_markup' : 'han_double'
}

export function roundingOf(note: string | undefined): 'half_up' | undefined {
  return note?.includes('seconds rounded half up') === true ? 'half_up' : undefined
}

/** Reference-to-video bills at most five seconds of the video given in, beside all of the one made (Bailian). */
export function inputSeconds({ kind, model }: CollectedEntry): number | undefined {
  return kind === 'video' && /^wan.*-r2v/.test(model) ? 5 : undefined
}

const QUOTA = /^([\d,]+)(M|k)? ?(tokens|chars|s|voices)?(?: within | ?\/ ?| per )(.*)$/
const QUOTA_UNIT: Readonly<Record<string, QuotaUnit>> = {
  tokens: 'tokens',
  chars: 'characters',
  s: 'seconds',
  voices: 'voices',
}
const SCALE: Readonly<Record<string, number>> = { M: 1_000_000, k: 1_000 }

/** null: its prose is not clear. */
export function readQuota(text: string): FreeQuota | null {
  const match = QUOTA.exec(text)
  if (match === null) return null
  const [, digits = '', scale = '', word = 'tokens', period = ''] = match
  const unit = QUOTA_UNIT[word]
  if (unit === undefined) return null
  const quota = { amount: Number(digits.replaceAll(',', '')) * (SCALE[scale] ?? 1), unit }
  if (period.startsWith('month')) return { ...quota, every: 'month' }
  if (period.startsWith('account')) return quota
  const days = /^(\d+) ?d/.exec(period)?.[1]
  return days === undefined ? null : { ...quota, valid_days: Number(days) }
}
