// A free quota is given once, not at each start: what was used of balances is told from the ledger.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { type ChildGateway, startChildGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

let upstream: RawUpstream
let gateway: ChildGateway

/** Each answer uses 10 tokens of input and 5 of output. */
const config = (amount = 40): Record<string, unknown> =>
  configOf({
    providers: { a: upstream.baseUrl },
    prices: {
      'a/*': { ...priceOf('2', '8'), balances: [{ id: 'new', kind: 'free_quota', unit: 'tokens', amount }] },
    },
  })

beforeEach(async () => {
  upstream = await startRawUpstream(answer('hello'))
  gateway = await startChildGateway({ config: config() })
})

afterEach(async () => {
  await gateway.close()
  await upstream.close()
})

async function costs(count: number): Promise<string[]> {
  const found: string[] = []
  for (let index = 0; index < count; index++)
    found.push((await gateway.chat()).headers['x-sluice-cost'] ?? '')
  return found
}

async function killAndStart(amount?: number): Promise<void> {
  await gateway.close({ keepFolder: true })
  gateway = await startChildGateway({ config: config(amount), folder: gateway.folder })
}

test('after a kill the rest of a balance is left, and no more', async () => {
  expect(await costs(2)).toEqual(['0 CNY', '0 CNY'])
  await killAndStart()
  // 10 of 15 tokens are left: the input is paid, and the output is billed.
  expect(await costs(2)).toEqual(['0.00004 CNY', '0.00006 CNY'])
  await killAndStart()
  expect(await costs(1)).toEqual(['0.00006 CNY'])
  await killAndStart(100)
  expect(await costs(1)).toEqual(['0 CNY'])
})

test('the bill names the balance that paid, and list and contract stay as they are', async () => {
  const { headers } = await gateway.chat()
  const detail = await gateway.detail(headers['x-request-id'] ?? '')
  expect(detail.attempts[0]?.cost).toMatchObject({
    amount: '0',
    list: '0.00006',
    contract: '0.00006',
    free_quota: '0.00006',
    package: '0',
  })
  expect(detail.attempts[0]?.cost?.lines.at(-1)).toMatchObject({
    item: 'free_quota',
    quantity: 15,
    balance: 'new',
  })
})
