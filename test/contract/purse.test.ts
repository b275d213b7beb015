// PEERS 33 (litellm #36926, #40050): what a budget counts is what its rows in the ledger say, whatever happens in
// whatever order, with the stages of the pipeline and the store as they are.

import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NO_USAGE } from '#core/usage.ts'
import { type AdmittedCall, admitAttempt, releaseAttempt, settleAttempt } from '#pipeline/admit.ts'
import type { AttemptEnd } from '#pipeline/attempt-end.ts'
import type { Deps, Exchange } from '#pipeline/context.ts'
import { readCall } from '#pipeline/ingress.ts'
import { InputGauge } from '#pipeline/input-gauge.ts'
import { openLane } from '#pipeline/lane.ts'
import type { TargetFacts } from '#pipeline/live.ts'
import { OutputGauge } from '#pipeline/output-gauge.ts'
import { bookEnd, bookOpen, requestRow } from '#pipeline/settle.ts'
import { AdmissionDesk } from '#store/admission/desk.ts'
import { createMetrics } from '#telemetry/prometheus.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'
import { attemptEnd, encode, FakeClock, liveWith } from '../unit/pipeline/support.ts'
import { vendor } from '../unit/settings/fixtures.ts'

const price = (input: string, output: string) => ({
  currency: 'CNY',
  unit: 'per_million_tokens',
  tiers: [{ input, output }],
})

const live = liveWith([vendor], {
  unpriced: 'bound',
  providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
  models: { m: { targets: ['main/priced', 'main/unknown', 'main/pictures'] } },
  prices: {
    'main/priced': price('2', '8'),
    // Chat answers count none: what was held is charged.
    'main/pictures': { currency: 'CNY', unit: 'per_image', tiers: [{ price: '0.0001' }] },
  },
  teams: { growth: { max_budget: '0.02' } },
  keys: [
    { name: 'one', key: 'sk-test-0123456789', team: 'growth', max_budget: '0.01', budget_mode: 'strict' },
    { name: 'two', key: 'sk-test-9876543210', team: 'growth' },
  ],
})
const targets = (live.settings.models.get('m')?.targets ?? []).map((target) => live.factsOf(target))
const keys = live.settings.keys

interface Step {
  readonly who: number
  readonly what: 'begin' | 'end' | 'abort' | 'fail' | 'close' | 'wait'
  readonly target: number
  readonly input: number
  readonly output: number
}

const step: fc.Arbitrary<Step> = fc.record({
  who: fc.nat(5),
  what: fc.constantFrom('begin', 'begin', 'end', 'abort', 'fail', 'close', 'wait'),
  target: fc.nat(2),
  input: fc.nat(200),
  output: fc.nat(60),
})

interface Running {
  readonly exchange: Exchange
  attempt: { readonly admitted: AdmittedCall; readonly facts: TargetFacts; readonly open: never } | null
}

function endOf({ what, input, output }: Step): AttemptEnd {
  const usage = what === 'end' ? { ...NO_USAGE, inputTokens: input, outputTokens: output } : null
  const failure = {
    kind: 'server',
    status: 500,
    vendorCode: null,
    vendorMessage: '',
    retryAfterMs: null,
  } as const
  const end = attemptEnd(usage, { ttftMs: 1, durationMs: 5, committed: what !== 'fail' })
  return {
    ...end,
    outcome: what === 'end' ? 'success' : what === 'abort' ? 'cancelled' : 'failed',
    failure: what === 'fail' ? (failure as never) : null,
    state: { ...end.state, content: what !== 'fail', outputBytes: output },
    httpStatus: what === 'fail' ? 500 : 200,
  }
}

test('PEERS 33: the counter of a budget is the sum of its rows, after any interleaving', async () => {
  const folder = temporaryFolder()
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const ledger = openLedger(join(folder.path, `ledger-${runs++}.db`))
      const clock = new FakeClock()
      const desk = new AdmissionDesk(clock)
      for (const key of keys) for (const scope of desk.unseeded(key.scopes)) desk.seed(scope, [])
      const deps = {
        clock,
        journal: ledger.journal,
        metrics: createMetrics(),
        admission: desk,
        gauge: new InputGauge(),
        outputGauge: new OutputGauge(),
      } as unknown as Deps
      const running = new Map<number, Running>()
      let requests = 0
      for (const next of steps) await take(deps, running, next, () => `r${requests++}`)
      for (const who of running.keys()) await take(deps, running, { ...END, who }, () => '')
      const sums = await sumsIn(ledger.store)
      for (const scope of new Map(keys.flatMap((key) => key.scopes).map((one) => [one.id, one])).values())
        expect(desk.budgetState(scope)).toMatchObject({ spentNano: sums.get(scope.id) ?? 0n, heldNano: 0n })
      expect(desk.state).toMatchObject({ heldNano: 0n, overshootNano: 0n })
      ledger.close()
    }),
    { numRuns: 40 },
  )
  folder.remove()
})

const END = { what: 'close', target: 0, input: 0, output: 0 } as const

async function take(
  deps: Deps,
  running: Map<number, Running>,
  next: Step,
  nextId: () => string,
): Promise<void> {
  if (next.what === 'wait') return (deps.clock as FakeClock).advance(next.input * 10)
  const key = keys[next.who % keys.length]
  const known = running.get(next.who)
  const exchange = known?.exchange ?? open(deps, nextId(), key)
  const one: Running = known ?? { exchange, attempt: null }
  running.set(next.who, one)
  if (next.what === 'begin') {
    if (one.attempt !== null) return
    const facts = targets[next.target] as TargetFacts
    const body = { model: 'm', max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] }
    const call = readCall('chat', encode(JSON.stringify(body)))
    const admitted = admitAttempt(deps, exchange, exchange.lane, call, facts, live.policy('default'))
    if (admitted.refused !== null) return
    // Now and then a dialect has no words for a request: nothing is sent.
    if (next.input % 9 === 0) return releaseAttempt(exchange.lane)
    const row = await bookOpen(deps, exchange, exchange.lane, admitted.call, facts, 'first', admitted.atMs)
    one.attempt = { admitted, facts, open: row as never }
    return
  }
  if (one.attempt !== null) {
    const { admitted, facts, open: row } = one.attempt
    const ended = endOf(next.what === 'close' ? { ...next, what: 'abort' } : next)
    const booked = bookEnd(deps, exchange, exchange.lane, admitted.call, facts, row, ended)
    settleAttempt(deps, exchange.lane, booked)
    // Told twice, charged once.
    settleAttempt(deps, exchange.lane, booked)
    one.attempt = null
  }
  if (next.what !== 'close') return
  exchange.lane.grant?.close()
  running.delete(next.who)
  const row = requestRow(exchange, deps.clock.monotonicMs(), 200, 'success', null)
  await new Promise<void>((resolve) => deps.journal.request(row, () => resolve()))
}

function open(deps: Deps, id: string, key: (typeof keys)[number] | undefined): Exchange {
  return {
    id,
    live,
    key,
    api: 'chat',
    model: 'm',
    call: null,
    decision: null,
    lane: openLane(),
    limitHeaders: {},
    attempts: [],
    attemptsStarted: 0,
    startedAtMs: deps.clock.nowMs(),
    startedMs: deps.clock.monotonicMs(),
  } as unknown as Exchange
}

async function sumsIn(store: ReturnType<typeof openLedger>['store']): Promise<ReadonlyMap<string, bigint>> {
  const sums = new Map<string, bigint>()
  for (const [kind, group] of [
    ['key', 'key'],
    ['team', 'tag:team'],
  ] as const) {
    const { rows } = await store.usage({ groupBy: [group], bucket: null, fromMs: null, toMs: null })
    for (const row of rows) sums.set(`${kind}:${row.group[0]}`, row.costNano)
  }
  return sums
}
