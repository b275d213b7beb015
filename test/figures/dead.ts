// Figure: what is overspent while Redis is dead.
//   npm run figures -- dead [--seconds 60]
// Three gateways on one soft budget that is nearly spent; Redis is killed for a minute under load and comes back. Spent
// beyond the budget, as a share of it, and whether all of it is in the ledger and in the purse.
// Prints one JSON line for each figure; exits with 1 when one is missed.

import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { answer } from '../support/chat-bytes.ts'
import { type ChildGateway, eventually } from '../support/gateway.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'
import { startThree } from './three.ts'
import { atMost } from './windows.ts'

/** 10 × 2 / 10⁶ + 5 × 8 / 10⁶ */
const COST = 0.00006
const BUDGET = 0.06
const CALLERS = 3
const PAUSE_MS = 20

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } })
  const upstream = await startRawUpstream(answer('ok'))
  const three = await startThree(upstream, { max_budget: String(BUDGET) })
  const [gateway] = three.gateways
  if (gateway === undefined) throw new Error('there are three')
  let served = await callAll(three.gateways, 0.9 * BUDGET, Number.POSITIVE_INFINITY)
  await three.redis.kill()
  const endMs = Date.now() + Number(values.seconds) * 1000
  const lost = await callAll(three.gateways, Number.POSITIVE_INFINITY, endMs)
  served += lost
  await three.restart()
  served += await callAll(three.gateways, Number.POSITIVE_INFINITY, Date.now() + 5_000)
  const wanted = (served * COST).toFixed(9)
  let [booked, purse] = ['', '']
  await eventually(async () => {
    const usage = await gateway.admin('/usage').catch(() => null)
    if (usage === null) return false
    booked = Number((usage['total'] as { cost: string }).cost).toFixed(9)
    const { data } = (await gateway.admin('/budgets')) as { data: { budget: { spent: string } }[] }
    purse = Number(data[0]?.budget.spent).toFixed(9)
    return booked === wanted && purse === wanted
  }, 'ledger and purse say what was served').catch(() => undefined)
  const figures = [
    atMost('overspent_share', Number(Math.max(0, served * COST - BUDGET).toFixed(9)) / BUDGET, 0.01),
    atMost('served_and_not_booked_cny', Math.abs(Number(wanted) - Number(booked)), 0),
    atMost('booked_and_not_in_the_purse_cny', Math.abs(Number(booked) - Number(purse)), 0),
  ]
  console.error(`${lost} served while Redis was dead, ${served} in all; booked ${booked}, purse ${purse}`)
  for (const figure of figures) console.log(JSON.stringify(figure))
  await three.close()
  await upstream.close()
  return figures.every((figure) => figure.pass) ? 0 : 1
}

/** Until so much is spent, or time is up. Returns how many were served. */
async function callAll(gateways: readonly ChildGateway[], spend: number, endMs: number): Promise<number> {
  let served = 0
  await Promise.all(
    gateways.flatMap((gateway) =>
      Array.from({ length: CALLERS }, async () => {
        while (served * COST < spend && Date.now() < endMs) {
          const { status } = await gateway.chat({ max_tokens: 20 })
          if (status === 200) served += 1
          await wait(PAUSE_MS)
        }
      }),
    ),
  )
  return served
}

process.exitCode = await main()
