// Figures: limits over three instances on one Redis.
//   npm run figures -- replicas [--seconds 130] [--rounds 3]
// Strict budget: a thousand requests at once on one key, spread over the three, against an upstream that answers as long as
// it may. Rates: what any 60 seconds contain of the requests and tokens that were billed, and how much of the limit is used
// when there is always somebody who waits. Prints one JSON line for each figure; exits with 1 when one is missed.

import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { eventually } from '../support/gateway.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'
import { startThree, type Three } from './three.ts'
import {
  answerOf,
  atLeast,
  atMost,
  type Billed,
  billedBy,
  boundOf,
  callUntil,
  type Figure,
  most,
  shareOf,
} from './windows.ts'

const RPM = 600
const TPM = 60_000
/** Who waits at the limit, at each instance. */
const CALLERS = 8

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { seconds: { type: 'string', default: '130' }, rounds: { type: 'string', default: '3' } },
  })
  const figures = [await overshoot(Number(values.rounds)), ...(await rates(Number(values.seconds)))]
  for (const figure of figures) console.log(JSON.stringify(figure))
  return figures.every((figure) => figure.pass) ? 0 : 1
}

async function overshoot(rounds: number): Promise<Figure> {
  let worst = 0
  for (let round = 0; round < rounds; round += 1) {
    const budget = 0.02 * (round + 1)
    const upstream = await startRawUpstream((request) => answerOf(request, boundOf(request)))
    const three = await startThree(upstream, { max_budget: String(budget), budget_mode: 'strict' })
    await Promise.all(
      Array.from({ length: 1_000 }, (_, index) =>
        three.gateways[index % 3]?.chat({ max_tokens: 20 + (index % 7) * 20 }),
      ),
    )
    const cost = await costOf(three)
    console.error(`budget ${budget}: ${cost} spent`)
    worst = Math.max(worst, cost - budget)
    await three.close()
    await upstream.close()
  }
  return atMost('strict_budget_overshoot_cny', Math.max(0, worst), 0)
}

/** When all of it is counted. */
async function costOf({ gateways: [gateway] }: Three): Promise<number> {
  if (gateway === undefined) throw new Error('there are three')
  let last = ''
  await eventually(async () => {
    const { total } = (await gateway.admin('/usage')) as { total: { cost: string } }
    const isSame = total.cost === last
    last = total.cost
    if (!isSame) await wait(1_500)
    return isSame
  }, 'all is counted')
  return Number(last)
}

async function rates(seconds: number): Promise<readonly Figure[]> {
  const requests = await saturate({ rpm: RPM }, seconds)
  const tokens = await saturate({ tpm: TPM }, seconds)
  const one = (): number => 1
  const tokensOf = (billed: Billed): number => billed.tokens
  return [
    atMost('requests_in_any_60_s', most(requests, one), RPM),
    atLeast('share_of_rpm_admitted', shareOf(requests, one, RPM)),
    atMost('tokens_in_any_60_s', most(tokens, tokensOf), TPM),
    atLeast('share_of_tpm_admitted', shareOf(tokens, tokensOf, TPM)),
  ]
}

async function saturate(limits: Record<string, number>, seconds: number): Promise<readonly Billed[]> {
  const upstream = await startRawUpstream(async (request) => {
    await wait(20 + (request.body.length % 80))
    return answerOf(request, Math.ceil(boundOf(request) / 2))
  })
  const three = await startThree(upstream, limits)
  const endMs = Date.now() + seconds * 1000
  await Promise.all(
    three.gateways.flatMap((gateway, at) =>
      Array.from({ length: CALLERS }, (_, index) => callUntil(gateway, endMs, at * CALLERS + index)),
    ),
  )
  await costOf(three)
  const [gateway] = three.gateways
  if (gateway === undefined) throw new Error('there are three')
  const billed = await billedBy(gateway)
  await three.close()
  await upstream.close()
  return billed
}

process.exitCode = await main()
