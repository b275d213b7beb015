// A late request is sent to a second target, too: who wins answers once, who loses is aborted and booked, and nothing
// of it stays held. What hangs does so before its first byte, until the test lets it go.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { contentEvent, DONE, errorAnswer, ROLE_EVENT, streamEvents } from '../support/chat-bytes.ts'
import {
  eventually,
  KEY,
  type LocalGateway,
  type RequestDetail,
  startLocalGateway,
} from '../support/gateway.ts'
import { configOf, priceOf } from '../support/gateway-config.ts'
import { askAndLeave, type ClientStream, contentOf } from '../support/http-client.ts'
import { settled } from '../support/leaving.ts'
import { readScrape } from '../support/prometheus-text.ts'
import {
  type RawUpstream,
  type ScriptedAnswer,
  type SeenRequest,
  startRawUpstream,
} from '../support/raw-upstream.ts'

type Behaviour = (request: SeenRequest) => ScriptedAnswer | Promise<ScriptedAnswer>

const USAGE = { prompt_tokens: 12, completion_tokens: 5 }
/** Of the tests; each has targets of its own, since a hang is remembered. */
const NAMES = ['second-wins', 'first-wins', 'client-leaves', 'second-fails', 'both-fail', 'second-hangs']
const FAILING = errorAnswer(500, { message: 'down', type: 'server_error' })

let upstreams: Readonly<Record<'a' | 'b' | 'c', RawUpstream>>
let gateway: LocalGateway
/** What a target does; the others answer after 20 ms. */
const behaviours = new Map<string, Behaviour>()

const says =
  (word: string): Behaviour =>
  () => ({ steps: [20, ...streamEvents([word], USAGE)] })

async function start(provider: string): Promise<RawUpstream> {
  const usual = says(`by ${provider}`)
  return startRawUpstream((request) =>
    (behaviours.get(`${provider}/${String(request.json['model'])}`) ?? usual)(request),
  )
}

beforeAll(async () => {
  upstreams = { a: await start('a'), b: await start('b'), c: await start('c') }
  gateway = await startLocalGateway({
    config: configOf({
      providers: {
        a: upstreams.a.baseUrl,
        b: upstreams.b.baseUrl,
        c: upstreams.c.baseUrl,
      },
      // `a` first, `b` for a second one, `c` only where nothing else is left: far apart, whatever a busy machine does.
      prices: { 'a/*': priceOf('100', '100'), 'b/*': priceOf('300', '300'), 'c/*': priceOf('900', '900') },
      targets: ['a/x'],
      models: Object.fromEntries(
        NAMES.map((name) => [
          name,
          { policy: 'late', targets: [`a/${name}`, `b/${name}`, ...(name === 'both-fail' ? ['c/x'] : [])] },
        ]),
      ),
      over: {
        policies: {
          p: {},
          late: {
            sort: 'value',
            slo: { ttft_ms: 800, value: 0.2 },
            explore: { max_share: 0 },
            hedge: { enabled: true, max_share: 1, max_extra_cost: 1 },
            timeouts: { ttft_ms: 30_000 },
          },
        },
        keys: [{ name: 'tester', key: KEY, max_budget: '100', budget_mode: 'strict' }],
      },
    }),
  })
})

afterAll(async () => {
  await gateway.close()
  await Promise.all(Object.values(upstreams).map((upstream) => upstream.close()))
})

/** Both targets are known to be quick, so that a silence of the first one is news. */
async function train(model: string): Promise<void> {
  for (let round = 0; round < 30; round++) await gateway.chat({ model: `a/${model}`, stream: true })
  for (let round = 0; round < 10; round++) await gateway.chat({ model: `b/${model}`, stream: true })
}

interface Hang {
  /** The request that hangs. */
  readonly asked: Promise<SeenRequest>
  readonly release: (answer: ScriptedAnswer) => void
}

/** Takes the next request and says nothing, not even a head. */
function hang(target: string): Hang {
  const asked = Promise.withResolvers<SeenRequest>()
  const answer = Promise.withResolvers<ScriptedAnswer>()
  behaviours.set(target, (request) => {
    asked.resolve(request)
    return answer.promise
  })
  return { asked: asked.promise, release: answer.resolve }
}

const ask = (model: string): Promise<ClientStream> => gateway.chatStream({ model, max_tokens: 20 })

const rowsOf = ({ attempts }: RequestDetail) =>
  attempts.map(({ target, role, outcome }) => [target, role, outcome])

/** Every attempt costs something, the request what they cost together, and nothing is held any more. */
async function expectBooked(detail: RequestDetail): Promise<void> {
  const amounts = detail.attempts.map(({ cost }) => Number(cost?.amount))
  for (const amount of amounts) expect(amount).toBeGreaterThan(0)
  const sum = amounts.reduce((total, amount) => total + amount, 0)
  expect(Number(detail.cost)).toBeCloseTo(sum, 9)
  await expectNothingHeld()
}

async function expectNothingHeld(): Promise<void> {
  await settled(gateway)
  const { data } = (await gateway.admin('/budgets')) as {
    data: { id: string; budget: { held: string; spent: string } | null }[]
  }
  const budget = data.find(({ id }) => id === 'key:tester')?.budget
  expect(budget?.held).toBe('0')
  expect(readScrape(await gateway.metrics()).sum('sluice_holds_cny', {})).toBe(0)
  // The books agree with the purse.
  const { total } = (await gateway.admin('/usage?group_by=key')) as { total: { cost: string } }
  expect(total.cost).toBe(budget?.spent)
}

test('the second one answers, once, where the first hangs; the first is aborted and booked', async () => {
  const model = 'second-wins'
  await train(model)
  const { asked } = hang(`a/${model}`)
  const client = await ask(model)
  await client.ended
  expect(client.status).toBe(200)
  expect(client.headers).toMatchObject({ 'x-sluice-target': `b/${model}`, 'x-sluice-attempts': '2' })
  expect(contentOf(client.text())).toBe('by b')
  expect(client.text().split(DONE)).toHaveLength(2)
  await (await asked).whenAborted
  const detail = await gateway.detailOf(client)
  expect(rowsOf(detail)).toEqual([
    [`a/${model}`, 'first', 'cancelled'],
    [`b/${model}`, 'hedge', 'success'],
  ])
  expect(detail.decision).toMatchObject({
    chosen: `a/${model}`,
    later: [{ target: `b/${model}`, role: 'hedge' }],
  })
  await expectBooked(detail)
  expect(readScrape(await gateway.metrics()).sum('sluice_hedges_total', {})).toBe(1)
})

test('the first one may still answer first: then the second is the loser', async () => {
  const model = 'first-wins'
  await train(model)
  const first = hang(`a/${model}`)
  const second = hang(`b/${model}`)
  void second.asked.then(() => first.release({ steps: streamEvents(['late but first'], USAGE) }))
  const client = await ask(model)
  await client.ended
  expect(client.headers).toMatchObject({ 'x-sluice-target': `a/${model}`, 'x-sluice-attempts': '2' })
  expect(contentOf(client.text())).toBe('late but first')
  await (await second.asked).whenAborted
  const detail = await gateway.detailOf(client)
  expect(rowsOf(detail).toSorted()).toEqual([
    [`a/${model}`, 'first', 'success'],
    [`b/${model}`, 'hedge', 'cancelled'],
  ])
  await expectBooked(detail)
})

test('bytes without content win nothing: the one with the first word does', async () => {
  const model = 'second-hangs'
  await train(model)
  const first = hang(`a/${model}`)
  const second = hang(`b/${model}`)
  void second.asked.then(async () => {
    first.release({ steps: [ROLE_EVENT], ending: 'hang' })
    second.release({ steps: [ROLE_EVENT, 100, contentEvent('word'), ...streamEvents([], USAGE).slice(1)] })
  })
  const client = await ask(model)
  await client.ended
  expect(client.headers['x-sluice-target']).toBe(`b/${model}`)
  expect(contentOf(client.text())).toBe('word')
  await (await first.asked).whenAborted
  await expectBooked(await gateway.detailOf(client))
})

test('a client that leaves while both run leaves both: aborted and booked', async () => {
  const model = 'client-leaves'
  await train(model)
  const first = hang(`a/${model}`)
  const second = hang(`b/${model}`)
  const body = { model, stream: true, max_tokens: 20, messages: [{ role: 'user', content: 'Say hello.' }] }
  await askAndLeave(`${gateway.url}/v1/chat/completions`, { key: KEY, body }, second.asked)
  await Promise.all([first.asked, second.asked].map(async (asked) => (await asked).whenAborted))
  const { data } = (await gateway.admin('/requests?limit=1')) as { data: { id: string }[] }
  const detail = await gateway.detail(data[0]?.id ?? '')
  expect(detail).toMatchObject({ model, outcome: 'cancelled', status: 499 })
  expect(rowsOf(detail).toSorted()).toEqual([
    [`a/${model}`, 'first', 'cancelled'],
    [`b/${model}`, 'hedge', 'cancelled'],
  ])
  await expectBooked(detail)
})

test('a second one that fails at once changes nothing for the first', async () => {
  const model = 'second-fails'
  await train(model)
  const first = hang(`a/${model}`)
  let failed = 0
  behaviours.set(`b/${model}`, () => {
    failed++
    return FAILING
  })
  const asking = ask(model)
  await eventually(() => failed > 0, 'the second one was asked')
  first.release({ steps: streamEvents(['after all'], USAGE) })
  const client = await asking
  await client.ended
  expect(client.headers).toMatchObject({ 'x-sluice-target': `a/${model}`, 'x-sluice-attempts': '2' })
  expect(contentOf(client.text())).toBe('after all')
  const detail = await gateway.detailOf(client)
  expect(rowsOf(detail).toSorted()).toEqual([
    [`a/${model}`, 'first', 'success'],
    [`b/${model}`, 'hedge', 'server'],
  ])
  expect(failed).toBe(1)
  await expectNothingHeld()
})

test('where both fail the next target is asked, and neither of them again', async () => {
  const model = 'both-fail'
  await train(model)
  const first = hang(`a/${model}`)
  const second = hang(`b/${model}`)
  void second.asked.then(() => {
    second.release(FAILING)
    first.release(FAILING)
  })
  const client = await ask(model)
  await client.ended
  expect(client.headers).toMatchObject({ 'x-sluice-target': 'c/x', 'x-sluice-attempts': '3' })
  expect(contentOf(client.text())).toBe('by c')
  const detail = await gateway.detailOf(client)
  expect(rowsOf(detail).toSorted()).toEqual([
    [`a/${model}`, 'first', 'server'],
    [`b/${model}`, 'hedge', 'server'],
    ['c/x', 'fallback', 'success'],
  ])
  await expectNothingHeld()
})
