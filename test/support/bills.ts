// Bills as a vendor would write them from our own rows, for tests that plant differences in them.

import type { BillFormat } from '#core/bill.ts'
import type { CostLine } from '#core/ledger.ts'
import { formatPico, type Nano, type Pico, parseDecimal, roundToNano } from '#core/money.ts'
import type { PastRequest } from '#core/rerate.ts'
import { attemptRow, requestRow } from './ledger-rows.ts'

export const FORMAT: BillFormat = {
  source: 'made for tests',
  columns: {
    time: ['日期'],
    model: ['模型'],
    item: ['计费项'],
    request: ['请求ID'],
    quantity: ['用量'],
    quantity_unit: ['用量单位'],
    unit_price: ['单价'],
    price_unit: ['单价单位'],
    list: ['原价'],
    amount: ['应付金额'],
    free_quantity: ['抵扣用量'],
    currency: ['币种'],
  },
  timeZone: 'Asia/Shanghai',
  currency: 'CNY',
}

export interface Sold {
  readonly id: string
  readonly atMs: number
  readonly model: string
  readonly input: number
  readonly cached: number
  readonly output: number
  /** Decimal strings for a million tokens. */
  readonly prices: { readonly input: string; readonly cached: string; readonly output: string }
  /** Share of the list price that is paid, in percent. */
  readonly percent: number
  readonly estimated?: boolean
}

/** A row of ours as rating would write it. */
export function soldRow(sold: Sold): PastRequest {
  const { id, atMs, model, input, cached, output, prices, percent, estimated } = sold
  const items = [
    ['input', input - cached, prices.input],
    ['cached_input', cached, prices.cached],
    ['output', output, prices.output],
  ] as const
  const lines: CostLine[] = items
    .filter(([, quantity]) => quantity > 0)
    .map(([item, quantity, price]) => {
      const amount = (parseDecimal(price, 6) * BigInt(quantity)) as Pico
      return { item, quantity, price, amount: formatPico(amount) }
    })
  const gross = lines.reduce((sum, line) => sum + parseDecimal(line.amount, 12), 0n)
  const off = (gross * BigInt(100 - percent)) / 100n
  if (off > 0n) {
    const amount = formatPico(-off as Pico)
    lines.push({ item: 'discount', quantity: 1, price: amount, amount })
  }
  const nano = roundToNano((gross - off) as Pico) as Nano
  const cost = {
    amountNano: nano,
    currency: 'CNY',
    nativeNano: nano,
    nativeCurrency: 'CNY',
    lines,
    priceVersion: 'list',
  }
  const row = attemptRow({
    requestId: id,
    target: `doubao/${model}`,
    responseModel: null,
    upstreamRequestId: `up-${id}`,
    startedAtMs: atMs,
    usage: {
      inputTokens: input,
      cachedInputTokens: cached,
      cacheWriteTokens: 0,
      outputTokens: output,
      reasoningTokens: 0,
    },
    usageSource: estimated === true ? 'estimated' : 'provider',
    cost,
  })
  return { request: requestRow({ id, timeMs: atMs }), attempts: [row], adjustments: [] }
}

export interface BilledLine {
  day: string
  model: string
  item: string
  request: string
  quantity: number
  price: string
  /** Tokens that a quota paid. */
  free: number
  percent: number
  currency: string
}

const WORDS: Readonly<Record<string, string>> = {
  input: '推理输入',
  cached_input: '缓存命中输入',
  output: '推理输出',
}

/** What a vendor that counts as we do would bill, by request or by model and day. */
export function billedLines(sold: readonly Sold[], byRequest: boolean): BilledLine[] {
  const lines = new Map<string, BilledLine>()
  for (const one of sold) {
    const day = new Date(one.atMs + 8 * 3_600_000).toISOString().slice(0, 10)
    const items = [
      ['input', one.input - one.cached, one.prices.input],
      ['cached_input', one.cached, one.prices.cached],
      ['output', one.output, one.prices.output],
    ] as const
    for (const [item, quantity, price] of items) {
      if (quantity === 0) continue
      const request = byRequest ? `up-${one.id}` : ''
      const name = JSON.stringify([day, one.model, item, price, one.percent, request])
      const known = lines.get(name)
      if (known !== undefined) known.quantity += quantity
      else
        lines.set(name, {
          day,
          model: one.model,
          item: WORDS[item] ?? item,
          request,
          quantity,
          price,
          free: 0,
          percent: one.percent,
          currency: 'CNY',
        })
    }
  }
  return [...lines.values()]
}

/** `places`: of amounts; the rest is cut off, as vendors do. */
export function billText(lines: readonly BilledLine[], places = 12): string {
  const heading = '日期,模型,计费项,请求ID,用量,用量单位,单价,单价单位,原价,抵扣用量,应付金额,币种'
  const rows = lines.map((line) => {
    const list = parseDecimal(line.price, 6) * BigInt(line.quantity)
    const due = parseDecimal(line.price, 6) * BigInt(line.quantity - line.free)
    const amount = (due * BigInt(line.percent)) / 100n
    const cut = 10n ** BigInt(12 - places)
    return [
      line.day,
      line.model,
      line.item,
      line.request,
      // Vendors count by the thousand.
      (line.quantity / 1_000).toString(),
      '千tokens',
      formatPico((parseDecimal(line.price, 6) * 1_000n) as Pico),
      '元/千tokens',
      formatPico(list as Pico),
      (line.free / 1_000).toString(),
      formatPico(((amount / cut) * cut) as Pico),
      line.currency,
    ].join(',')
  })
  return `\uFEFF${[heading, ...rows].join('\r\n')}\r\n`
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text)
}
