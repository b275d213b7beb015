// Figures of admission, on a real gateway with a real clock:
//   npm run figures -- limits [--seconds 180] [--rounds 5]
// Overshoot: 1,000 requests at once on one key under a strict budget, in front of an upstream that answers as long as it
// may. Rates: what any 60 seconds contain of the requests and tokens that an upstream billed, and how much of the limit
// is used when there is always somebody who waits. Prints one JSON line for each figure; exits with 1 when one is missed.

import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type ChildGateway, KEY, startChildGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
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
/** Who waits at the limit; each asks again when its time has come. */
const CALLERS = 24

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { seconds: { type: 'string', default: '180' }, rounds: { type: 'string', default: '5' } },
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
    const gateway = await start(upstream, { max_budget: String(budget), budget_mode: 'strict' })
    await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => gateway.chat({ max_tokens: 20 + (index % 7) * 20 })),
    )
    const { total } = (await gateway.admin('/usage?group_by=key')) as { total: { cost: string } }
    worst = Math.max(worst, Number(total.cost) - budget)
    await gateway.close()
    await upstream.close()
  }
  const value = Math.max(0, worst)
  return { name: 'strict_budget_overshoot_cny', value, wanted: '0', pass: value === 0 }
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
  const gateway = await start(upstream, limits)
  const endMs = Date.now() + seconds * 1000
  await Promise.all(Array.from({ length: CALLERS }, (_, index) => callUntil(gateway, endMs, index)))
  const billed = await billedBy(gateway)
  await gateway.close()
  await upstream.close()
  return billed
}

function start(upstream: RawUpstream, limits: Record<string, unknown>): Promise<ChildGateway> {
  return startChildGateway({
    config: configOf({
      providers: { up: upstream.baseUrl },
      prices: { 'up/*': priceOf('2', '8') },
      over: { keys: [{ name: 'tester', key: KEY, ...limits }] },
    }),
  })
}

process.exitCode = await main()
