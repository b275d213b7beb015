// Walks the samples of bills beside the providers (`providers/NAME/bills/CASE`): each is read as its case says.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatPico, type Pico } from '#core/money.ts'
import { readBill } from '#pricing/reconcile/bill.ts'
import { providerNames, readProvider } from '../support/replay.ts'

const ROOT = join(import.meta.dirname, '../../providers')

interface Case {
  readonly kind: string
  readonly source: string
  readonly retrieved_on: string
  readonly skipped: number
  readonly lines: readonly unknown[]
}

const folders = providerNames().filter((name) => existsSync(join(ROOT, name, 'bills')))

test('the three vendors whose bills are known have samples', () => {
  expect(folders.toSorted()).toEqual(['doubao', 'ernie', 'qwen'])
})

describe.each(folders)('%s', async (name) => {
  const { provider } = await readProvider(name)
  test.each(readdirSync(join(ROOT, name, 'bills')))('%s is read as its case says', (title) => {
    const folder = join(ROOT, name, 'bills', title)
    const sample = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as Case
    expect(['documented', 'made', 'recorded']).toContain(sample.kind)
    expect(sample.source).toMatch(/https:/)
    if (provider.bill === undefined) throw new Error('its folder says how its bill is read')
    const bill = readBill(new Uint8Array(readFileSync(join(folder, 'bill.csv'))), provider.bill, 1_000)
    const text = (value: Pico | null) => (value === null ? null : formatPico(value))
    expect(
      bill.lines.map((line) => ({
        model: line.model,
        item: line.item,
        quantity: line.quantity === null ? null : String(line.quantity),
        price: text(line.price),
        free: String(line.freeQuantity),
        amount: text(line.amount),
        period: line.period.day,
      })),
    ).toEqual(sample.lines)
    expect([bill.currency, bill.skippedLines]).toEqual(['CNY', sample.skipped])
  })
})
