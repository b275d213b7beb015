// `reconcile:` of a configuration: over what a folder knows, and what is wrong with it.

import { expect, test } from 'vitest'
import { config, problemsOf, settingsOf } from './fixtures.ts'

const COLUMNS = { time: 'day', model: ['model', '模型'], amount: 'amount' }

test('says how a bill is read, with what is usual where it says nothing', () => {
  const { bills } = settingsOf(
    config({
      reconcile: {
        main: {
          columns: COLUMNS,
          models: { Small: 'small' },
          tolerance: { absolute: '0.01', relative: '0.001' },
        },
      },
    }),
  )
  expect(bills.get('main')).toMatchObject({
    columns: { time: ['day'], model: ['model', '模型'], amount: ['amount'] },
    timeZone: 'Asia/Shanghai',
    currency: 'CNY',
    models: { Small: 'small' },
    tolerance: { absolute: 10_000_000_000n, relativeMicro: 1_000n },
  })
})

test.each([
  ['another provider', { mian: { columns: COLUMNS } }, 'reconcile.mian'],
  ['no amount', { main: { columns: { time: 'a', model: 'b' } } }, 'reconcile.main.columns'],
  ['a zone', { main: { columns: COLUMNS, time_zone: 'Asia/Beijin' } }, 'reconcile.main.time_zone'],
  ['a column', { main: { columns: { ...COLUMNS, amout: 'x' } } }, 'reconcile.main.columns.amout'],
  [
    'a tolerance',
    { main: { columns: COLUMNS, tolerance: { absolute: '-1' } } },
    'reconcile.main.tolerance.absolute',
  ],
  [
    'a part',
    { main: { columns: COLUMNS, model_part: { separator: ';', part: 0 } } },
    'reconcile.main.model_part.part',
  ],
])('names what is wrong: %s', (_what, reconcile, path) => {
  expect(problemsOf(config({ reconcile })).map((problem) => problem.path)).toEqual([path])
})
