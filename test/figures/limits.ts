// Figures of admission, on a real gateway with a real clock:
//   npm run figures -- limits [--seconds 180] [--rounds 5]
// Overshoot: 1,000 requests at once on one key under a strict budget, in front of an upstream that answers as long as it
// may. Rates: what any 60 seconds contain of the requests and tokens that an upstream billed, and how much of the limit
// is used when there is always somebody who waits. Prints one JSON line for each figure; exits with 1 when one is missed.

import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type ChildGateway, KEY, startChildGateway } from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { type RawUpstream, type SeenRequest, startRawUpstream } from '../support/raw-upstream.ts'

const WINDOW_MS = 60_000
const RPM = 600
const TPM = 60_000
/** Who waits at the limit; each asks again when its time has come. */
const CALLERS = 24
const SHARE_MIN = 0.85

/** What the upstream billed. */
interface Billed {
  readonly atMs: number
  readonly tokens: number
}

interface Figure {
  readonly name: string
  readonly value: number
  readonly wanted: string
  readonly pass: boolean
}

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

async function callUntil(gateway: ChildGateway, endMs: number, caller: number): Promise<void> {
  for (let turn = 0; Date.now() < endMs; turn += 1) {
    const words = 'word '.repeat(1 + ((caller * 7 + turn * 13) % 120))
    const got = await gateway.chat({
      messages: [{ role: 'user', content: words }],
      max_tokens: 50 + ((turn * 37) % 200),
    })
    if (got.status === 429) await wait(Math.min(1_000, Number(got.headers['retry-after'] ?? 1) * 1000))
  }
}

/** Each attempt of the ledger at the instant that it was let in. */
async function billedBy(gateway: ChildGateway): Promise<readonly Billed[]> {
  const billed: Billed[] = []
  let cursor: string | null = null
  do {
    const page = (await gateway.admin(
      `/requests?limit=500${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )) as { data: { id: string; outcome: string }[]; next_cursor: string | null }
    const served = page.data.filter((row) => row.outcome === 'success')
    for (let at = 0; at < served.length; at += 50) {
      const details = await Promise.all(served.slice(at, at + 50).map(({ id }) => gateway.detail(id)))
      for (const { attempts } of details) {
        for (const { started_at: startedAt, usage } of attempts) {
          const tokens = Number(usage['input_tokens']) + Number(usage['output_tokens'])
          billed.push({ atMs: Date.parse(String(startedAt)), tokens })
        }
      }
    }
    cursor = page.next_cursor
  } while (cursor !== null)
  return billed.sort((a, b) => a.atMs - b.atMs)
}

/** The most that any window holds. */
function most(billed: readonly Billed[], weigh: (billed: Billed) => number): number {
  let sum = 0
  let first = 0
  let highest = 0
  for (const last of billed) {
    sum += weigh(last)
    for (
      let head = billed[first];
      head !== undefined && head.atMs <= last.atMs - WINDOW_MS;
      head = billed[first]
    ) {
      sum -= weigh(head)
      first += 1
    }
    highest = Math.max(highest, sum)
  }
  return highest
}

/** Of what the limit would let in over the whole of the run, whose first window is full at once. */
function shareOf(billed: readonly Billed[], weigh: (billed: Billed) => number, limit: number): number {
  const [first, last] = [billed[0]?.atMs ?? 0, billed.at(-1)?.atMs ?? 0]
  // Whole windows only: the last one may have just begun.
  const windows = Math.max(1, Math.floor((last - first) / WINDOW_MS))
  const counted = billed.filter(({ atMs }) => atMs < first + windows * WINDOW_MS)
  return counted.reduce((sum, one) => sum + weigh(one), 0) / (windows * limit)
}

const atMost = (name: string, value: number, limit: number): Figure => ({
  name,
  value,
  wanted: `at most ${limit}`,
  pass: value <= limit,
})

const atLeast = (name: string, value: number): Figure => ({
  name,
  value: Number(value.toFixed(3)),
  wanted: `at least ${SHARE_MIN}`,
  pass: value >= SHARE_MIN,
})

function start(upstream: RawUpstream, limits: Record<string, unknown>): Promise<ChildGateway> {
  return startChildGateway({
    config: configOf({
      providers: { up: upstream.baseUrl },
      prices: { 'up/*': priceOf('2', '8') },
      over: { keys: [{ name: 'tester', key: KEY, ...limits }] },
    }),
  })
}

function boundOf(request: SeenRequest): number {
  const bound = request.json['max_tokens'] ?? request.json['max_completion_tokens']
  return typeof bound === 'number' ? bound : 100
}

/** One token for four bytes of input. */
function answerOf(request: SeenRequest, output: number) {
  const input = Math.ceil(request.body.length / 4)
  const body = {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'x',
    choices: [
      { index: 0, message: { role: 'assistant', content: 'as long as may be' }, finish_reason: 'length' },
    ],
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
  }
  return {
    headers: { 'content-type': 'application/json' },
    framing: 'length' as const,
    steps: [JSON.stringify(body)],
  }
}

process.exitCode = await main()
