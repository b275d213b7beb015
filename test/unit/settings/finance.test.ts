import { describe, expect, test } from 'vitest'
import { load, settingsOf } from './fixtures.ts'

const base = {
  providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
  models: { assistant: { targets: ['main/small'] } },
}

test('tax, charges and whom costs are booked to; what a team does not say is its organisation’s', () => {
  const { finance } = settingsOf({
    ...base,
    tax: { rate: '0.06' },
    providers: { main: { ...base.providers.main, tax: { included: false, rate: '0.13' } } },
    organisations: { acme: { time_zone: 'Asia/Kolkata', cost_centre: 'CC-1', contract_number: 'HT-1' } },
    teams: {
      growth: { organisation: 'acme', cost_centre: 'CC-2', charge: { markup: '0.10' } },
      labs: { charge: { prices: { assistant: { input: '1.2', output: '4' } } } },
    },
    alerts: { webhook: 'https://hooks.example.com/x?token=secret' },
  })
  expect(finance).toEqual({
    tax: { isIncluded: true, rate: 60_000n },
    taxOf: new Map([['main', { isIncluded: false, rate: 130_000n }]]),
    organisations: new Map([
      ['acme', { timeZone: 'Asia/Kolkata', costCentre: 'CC-1', contractNumber: 'HT-1' }],
    ]),
    teams: new Map([
      [
        'growth',
        { costCentre: 'CC-2', contractNumber: 'HT-1', charge: { markup: 100_000n, prices: new Map() } },
      ],
      [
        'labs',
        {
          costCentre: '',
          contractNumber: '',
          charge: {
            markup: 0n,
            prices: new Map([
              ['assistant', { input: 1_200_000n, cachedInput: 1_200_000n, output: 4_000_000n }],
            ]),
          },
        },
      ],
    ]),
    alerts: { webhook: 'https://hooks.example.com/x?token=secret', allowPrivate: false },
  })
})

describe('what is wrong is named', () => {
  test.each<[string, object, string]>([
    ['a tax of more than all', { tax: { rate: '1.5' } }, 'tax.rate'],
    ['a tax in percent', { tax: { rate: '6' } }, 'tax.rate'],
    ['a tax without quotes', { tax: { rate: 0.06 } }, 'tax.rate'],
    ['a tax that is misspelt', { tax: { rate: '0.06', include: true } }, 'tax.include'],
    [
      'a markup that takes more than all',
      { teams: { a: { charge: { markup: '-1.5' } } } },
      'teams.a.charge.markup',
    ],
    [
      'a price below zero',
      { teams: { a: { charge: { prices: { m: { input: '-1', output: '1' } } } } } },
      'teams.a.charge.prices.m.input',
    ],
    [
      'a zone that there is not',
      { organisations: { a: { time_zone: 'Mars/Base' } } },
      'organisations.a.time_zone',
    ],
    ['a webhook that is no address', { alerts: { webhook: 'hooks' } }, 'alerts.webhook'],
    ['a webhook to a file', { alerts: { webhook: 'file:///etc/passwd' } }, 'alerts.webhook'],
    ['a webhook on this machine', { alerts: { webhook: 'http://127.0.0.1/x' } }, 'alerts.webhook'],
    ['a webhook in a private network', { alerts: { webhook: 'http://[fd00::1]/x' } }, 'alerts.webhook'],
  ])('%s', (_, config, path) => {
    const result = load({ ...base, keys: [], ...config })
    const problems = 'problems' in result ? result.problems : []
    expect(problems.map((problem) => problem.path)).toEqual([path])
  })

  test('and an address with a secret in it is not repeated', () => {
    const result = load({ ...base, keys: [], alerts: { webhook: 'http://10.0.0.1/x?token=secret' } })
    expect(JSON.stringify(result)).not.toContain('token')
  })
})
