// Tables as people hand them in: encodings, delimiters, titles, sums, and what is wrong with them, by line and column.

import { describe, expect, test } from 'vitest'
import { BillError, type BillFormat } from '#core/bill.ts'
import { formatPico } from '#core/money.ts'
import { readBill } from '#pricing/reconcile/bill.ts'
import { bytesOf, FORMAT } from '../../../support/bills.ts'

const HEADING = '日期,模型,计费项,用量,用量单位,单价,单价单位,应付金额'
const LINE = '2026-10-01,seed,推理输入,12.5,千tokens,0.0008,元/千tokens,0.01'

const read = (text: string | Uint8Array<ArrayBuffer>, format: Partial<BillFormat> = {}) =>
  readBill(typeof text === 'string' ? bytesOf(text) : text, { ...FORMAT, ...format }, 100)

const table = (...lines: string[]): string => [HEADING, ...lines].join('\r\n')

describe('a table', () => {
  test('is read into counts of tokens and prices of a million', () => {
    const { lines, currency, isByDay, isByRequest } = read(table(LINE))
    expect(lines).toMatchObject([
      {
        line: 2,
        model: 'seed',
        item: 'input',
        request: null,
        quantity: 12_500n,
        period: { day: '2026-10-01' },
      },
    ])
    expect([formatPico(lines[0]?.price ?? (0n as never)), currency, isByDay, isByRequest]).toEqual([
      '0.8',
      'CNY',
      true,
      false,
    ])
  })

  test.each([
    [
      'GBK',
      Buffer.from('c8d5c6da2cc4a3d0cd2cd3a6b8b6bdf0b6ee0a323032362d31302d30312cb6b9b0fc2c310a', 'hex'),
      '豆包',
    ],
    ['UTF-8 with its mark', Buffer.from('\uFEFF日期,模型,应付金额\n2026-10-01,豆包,1\n'), '豆包'],
    ['UTF-16', Buffer.from('\uFEFF日期,模型,应付金额\n2026-10-01,豆包,1\n', 'utf16le'), '豆包'],
  ])('may be %s', (_name, buffer, model) => {
    expect(read(new Uint8Array(buffer)).lines).toMatchObject([{ model }])
  })

  test.each([';', '\t', '|'])('may be delimited by %j', (delimiter) => {
    const { lines } = read(table(LINE).replaceAll(',', delimiter))
    expect(lines).toMatchObject([{ quantity: 12_500n }])
  })

  test('may have titles above, sums below, blank lines between and a delimiter at the end of lines', () => {
    const text = [
      '账单明细,2026-10,,',
      '',
      HEADING,
      `${LINE},`,
      '',
      '合计,,,12.5,,,,0.01',
      'Total,,,,,,,0.01',
    ].join('\n')
    const { lines, skippedLines } = read(text)
    expect([lines.length, skippedLines, lines[0]?.line]).toEqual([1, 2, 4])
  })

  test('may have quoted cells with delimiters, quotes and line ends, and the number of each line stays true', () => {
    const { lines } = read(table('2026-10-01,"a ""b"", c\r\nd",推理输入,1,,,,"1,234.56"', LINE))
    expect(lines.map(({ line, model, amount }) => [line, model, formatPico(amount)])).toEqual([
      [2, 'a "b", c\r\nd', '1234.56'],
      [4, 'seed', '0.01'],
    ])
  })

  test.each([
    ['2026/10/1', '2026-10-01'],
    ['20261001', '2026-10-01'],
    ['2026年10月1日', '2026-10-01'],
    ['2026-10-01 23:59:59', '2026-10-01'],
    ['2026-10-01 00:00:00 - 2026-10-02 00:00:00', '2026-10-01'],
    ['2026-10-01T16:00:00Z', '2026-10-02'],
    ["'2026-10-01", '2026-10-01'],
  ])('says a day as %s', (cell, day) => {
    expect(read(table(LINE.replace('2026-10-01', cell))).lines[0]?.period.day).toBe(day)
  })

  test.each([
    ['元/百万tokens', '2', '2'],
    ['元/千tokens', '0.002', '2'],
    ['CNY per 1K tokens', '0.002', '2'],
    ['元/万tokens', '0.02', '2'],
    ['元/token', '0.000002', '2'],
  ])('says a price in %s', (unit, price, million) => {
    const { lines } = read(table(`2026-10-01,seed,推理输出,1,千tokens,${price},${unit},1`))
    expect(formatPico(lines[0]?.price ?? (0n as never))).toBe(million)
  })

  test.each([
    ['¥1.5', '1.5'],
    ['-0.50元', '-0.5'],
    ['`3', '3'],
    ['"1,000"', '1000'],
  ])('says an amount as %s', (cell, amount) => {
    const { lines } = read(table(`2026-10-01,seed,推理输出,1,,,,${cell}`))
    expect(formatPico(lines[0]?.amount ?? (0n as never))).toBe(amount)
  })

  test('takes a part of a cell for the model and for what is billed', () => {
    const format = {
      columns: { time: ['日期'], model: ['实例ID'], item: ['实例ID'], amount: ['应付金额'] },
      modelPart: { separator: ';', part: 3 },
      itemPart: { separator: ';', part: 4 },
    }
    const text = '日期,实例ID,应付金额\n2026-10-01,text_token;llm-x;qwen-max;output_token;app,1\n'
    expect(read(text, format).lines).toMatchObject([{ model: 'qwen-max', item: 'output' }])
  })

  test('calls models as the configuration says', () => {
    expect(read(table(LINE), { models: { seed: 'doubao-seed-1-6' } }).lines[0]?.model).toBe('doubao-seed-1-6')
  })
})

describe('what is wrong is said with its place', () => {
  const errorOf = (text: string | Uint8Array<ArrayBuffer>): BillError => {
    try {
      read(text)
    } catch (error) {
      if (error instanceof BillError) return error
      throw error
    }
    throw new Error('it was read')
  }

  test.each([
    ['an empty file', '', null, null, 'empty'],
    ['a heading alone', HEADING, null, null, 'no lines'],
    ['a quote that is never closed', table(LINE, '2026-10-01,"seed,x,1,,,,1', LINE), 3, 2, 'never closed'],
    ['something behind a closing quote', table('2026-10-01,"seed"x,x,1,,,,1'), 2, 2, 'closing quote'],
    ['a column that is not there', table(LINE).replace('应付金额', '实付'), 1, null, 'amount (应付金额)'],
    ['a strange delimiter', table(LINE).replaceAll(',', '^'), 1, null, 'delimiter may be another one'],
    ['a delimiter inside of a cell', table('2026-10-01,seed,x,1,y,2,z,1,234.5'), 2, 9, 'the heading 8'],
    ['points for thousands', table(LINE.replace(/0\.01$/, '1.234.567')), 2, 8, '1,234.56'],
    ['a comma for the point', table(LINE.replace(/0\.01$/, '"1,5"')), 2, 8, '1,234.56'],
    ['an exponent', table(LINE.replace(/0\.01$/, '1.2E+05')), 2, 8, 'lost digits'],
    ['brackets for a refund', table(LINE.replace(/0\.01$/, '(1.20)')), 2, 8, 'with a minus'],
    ['a word for an amount', table(LINE.replace(/0\.01$/, 'free')), 2, 8, 'no number'],
    ['no amount', table(LINE.replace(/0\.01$/, '')), 2, 8, 'no amount'],
    ['no model', table(LINE.replace('seed', '')), 2, 2, 'no model'],
    ['no day', table(LINE.replace('2026-10-01', '2026-02-30')), 2, 1, 'no day or month'],
    ['a word for a count', table(LINE.replace('12.5', 'many')), 2, 4, 'no number'],
    ['too many places', table(LINE.replace(/0\.01$/, '0.0000000000001')), 2, 8, '12 decimal places'],
  ])('%s', (_name, text, line, column, words) => {
    const error = errorOf(text)
    expect([error.line, error.column]).toEqual([line, column])
    expect(error.message).toContain(words)
  })

  test('two currencies, with the lines of both', () => {
    const text = '日期,模型,应付金额,币种\n2026-10-01,a,1,CNY\n2026-10-01,a,1,人民币\n2026-10-01,a,1,USD\n'
    const error = errorOf(text)
    expect([error.line, error.column]).toEqual([4, 4])
    expect(error.message).toContain('in USD, and those since line 2 are in CNY')
  })

  test('bytes that are no text, and an archive', () => {
    expect(errorOf(new Uint8Array([0xff, 0xff, 0x00, 0x80])).message).toContain('neither UTF-8 nor GBK')
    expect(errorOf('PK\u0003\u0004\u0014\u0000').message).toContain('archive')
  })

  test('more lines than one bill may have', () => {
    expect(errorOf(table(...Array.from({ length: 130 }, () => LINE))).message).toContain('more than')
  })
})
