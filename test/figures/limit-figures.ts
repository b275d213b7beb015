// Figures of limits, over one gateway or several that share them: what a strict budget overshoots, what any 60 seconds hold
// of a rate, and how much of it is used when there is always somebody who waits.

import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { eventually, type TestGateway } from '../support/gateway.ts'
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
/** Who waits at the limit, over all gateways; each asks again when its time has come. */
const CALLERS = 24

export interface Limited {
  readonly gateways: readonly TestGateway[]
  close(): Promise<void>
}

export interface LimitFigureOptions {
  /** Of a run without options. */
  readonly seconds: number
  readonly rounds: number
  /** `limits`: of the one key that all use. */
  readonly start: (upstream: RawUpstream, limits: object) => Promise<Limited>
}

/** Prints one JSON line for each figure. Returns the exit code: 1 when one is missed. */
export async function limitFigures({ seconds, rounds, start }: LimitFigureOptions): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: String(seconds) },
      rounds: { type: 'string', default: String(rounds) },
    },
  })
  const figures = [
    await overshoot(start, Number(values.rounds)),
    ...(await rates(start, Number(values.seconds))),
  ]
  for (const figure of figures) console.log(JSON.stringify(figure))
  return figures.every((figure) => figure.pass) ? 0 : 1
}

async function overshoot(start: LimitFigureOptions['start'], rounds: number): Promise<Figure> {
  let worst = 0
  for (let round = 0; round < rounds; round += 1) {
    const budget = 0.02 * (round + 1)
    const upstream = await startRawUpstream((request) => answerOf(request, boundOf(request)))
    const limited = await start(upstream, { max_budget: String(budget), budget_mode: 'strict' })
    const { gateways } = limited
    await Promise.all(
      Array.from({ length: 1_000 }, (_, index) =>
        gateways[index % gateways.length]?.chat({ max_tokens: 20 + (index % 7) * 20 }),
      ),
    )
    const cost = await costOf(firstOf(limited))
    console.error(`budget ${budget}: ${cost} spent`)
    worst = Math.max(worst, cost - budget)
    await limited.close()
    await upstream.close()
  }
  return atMost('strict_budget_overshoot_cny', Math.max(0, worst), 0)
}

/** When all of it is counted. */
async function costOf(gateway: TestGateway): Promise<number> {
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

async function rates(start: LimitFigureOptions['start'], seconds: number): Promise<readonly Figure[]> {
  const requests = await saturate(start, { rpm: RPM }, seconds)
  const tokens = await saturate(start, { tpm: TPM }, seconds)
  const one = (): number => 1
  const tokensOf = (billed: Billed): number => billed.tokens
  return [
    atMost('requests_in_any_60_s', most(requests, one), RPM),
    atLeast('share_of_rpm_admitted', shareOf(requests, one, RPM)),
    atMost('tokens_in_any_60_s', most(tokens, tokensOf), TPM),
    atLeast('share_of_tpm_admitted', shareOf(tokens, tokensOf, TPM)),
  ]
}

async function saturate(
  start: LimitFigureOptions['start'],
  limits: object,
  seconds: number,
): Promise<readonly Billed[]> {
  const upstream = await startRawUpstream(async (request) => {
    await wait(20 + (request.body.length % 80))
    return answerOf(request, Math.ceil(boundOf(request) / 2))
  })
  const limited = await start(upstream, limits)
  const { gateways } = limited
  const endMs = Date.now() + seconds * 1000
  await Promise.all(
    Array.from({ length: CALLERS }, async (_, index) => {
      const gateway = gateways[index % gateways.length]
      if (gateway !== undefined) await callUntil(gateway, endMs, index)
    }),
  )
  const first = firstOf(limited)
  await costOf(first)
  const billed = await billedBy(first)
  await limited.close()
  await upstream.close()
  return billed
}

function firstOf({ gateways: [first] }: Limited): TestGateway {
  if (first === undefined) throw new Error('there is a gateway')
  return first
}
