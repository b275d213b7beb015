// What the journal writes of a request is what was booked, field by field.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AttemptRow, RequestDetail } from '#core/ledger.ts'
import type { Nano } from '#core/money.ts'
import { parseRequest } from '#store/row-json.ts'
import { detailText, parseEntry } from '#store/sqlite/entry-text.ts'
import { arbitraryRows, attemptRow, openAttempt, openRequest, requestRow } from '../support/ledger-rows.ts'

const SEED = 411
const RUNS = 200
const AMOUNT_NANO_MAX = (2n ** 53n - 1n) as Nano

function reread({ request, attempts }: RequestDetail): RequestDetail {
  return parseEntry(request.id, request.timeMs, detailText({ request, attempts }))
}

const cost = attemptRow({}).cost
const usage = attemptRow({}).usage
const PAID = { item: 'package', quantity: 9, price: '-0.1', amount: '-0.1', balance: 'pack' } as const

test.each<[string, Partial<AttemptRow>]>([
  ['all fields', {}],
  ['no price', { cost: null }],
  ['a balance that paid', { cost: cost === null ? null : { ...cost, lines: [...cost.lines, PAID] } }],
  ['a bill without lines', { cost: cost === null ? null : { ...cost, lines: [] } }],
  [
    'the largest amounts',
    { cost: cost === null ? null : { ...cost, amountNano: AMOUNT_NANO_MAX, nativeNano: AMOUNT_NANO_MAX } },
  ],
  ['what is rarely used', { usage: { ...usage, other: { serviceTier: 'batch', searchCalls: 2 } } }],
  ['an explicit cache', { usage: { ...usage, explicitCache: true } }],
  ['a cache that is said to be implicit', { usage: { ...usage, explicitCache: false } }],
  [
    'an estimate and its bound',
    { usageSource: 'estimated', estimateError: { inputTokens: 120, outputTokens: 131_072 } },
  ],
  ['a usage that contradicts itself', { usageDoubt: 'total' }],
  [
    'a bound that is about time too',
    { usageSource: 'recovered', estimateError: { inputTokens: 0, outputTokens: 7, gpuMs: 61_000 } },
  ],
  ['both', { estimateError: { inputTokens: 0, outputTokens: 7 }, usageDoubt: 'behind' }],
  ['nothing from the upstream', { responseModel: null, upstreamRequestId: null, ttftMs: null }],
  ['quotes, line ends and other scripts', { responseModel: '"\\\n\t\u2028', upstreamRequestId: '豆包 🫘' }],
])('an attempt with %s is read as it was written', (_name, fields) => {
  const attempts = [attemptRow({ outcome: 'timeout' }), attemptRow({ attempt: 2, ...fields })]
  const request = requestRow({ attempts: 2 })
  expect(reread({ request, attempts })).toEqual({ request, attempts })
})

test('the words that a vendor counts are not written', () => {
  const said = attemptRow({ usage: { ...usage, other: { characters: 4, text: 'my secret' } } })
  const request = requestRow({})
  expect(detailText({ request, attempts: [said] })).not.toContain('secret')
  expect(reread({ request, attempts: [said] }).attempts[0]?.usage.other).toEqual({ characters: 4 })
})

test('rows of before users were kept are read as those of nobody', () => {
  const text = detailText({ request: requestRow({ user: null }), attempts: [attemptRow({ user: null })] })
  const old = text.replace('}],null],[', '}]],[').replace(/,null\],\[200,/, '],[200,')
  expect(old.length).toBe(text.length - ',null'.length)
  const { request, attempts } = parseEntry('r1', requestRow({}).timeMs, old)
  expect(request).toEqual(requestRow({ user: null }))
  expect(attempts).toEqual([attemptRow({ user: null })])
  const shipped = JSON.stringify({ ...requestRow({}), user: undefined, costNano: '1' })
  expect(parseRequest(shipped).user).toBeNull()
})

test('a running request is read as it was written', () => {
  const detail = { request: openRequest({}), attempts: [openAttempt({})] }
  expect(reread(detail)).toEqual(detail)
})

test('a request that was refused before its body was read is read as it was written', () => {
  const request = requestRow({
    key: null,
    model: null,
    decision: null,
    costNano: null,
    error: 'rate_limited',
    outcome: 'refused',
    attempts: 0,
    tags: {},
  })
  expect(reread({ request, attempts: [] })).toEqual({ request, attempts: [] })
})

test(`rows of all kinds are read as they were written (seed ${SEED})`, () => {
  fc.assert(
    fc.property(arbitraryRows(6), (rows) => {
      const request = requestRow({ id: 'r1' })
      const { key, tags, user, model } = request
      const attempts = rows.flatMap((entry) =>
        entry.kind === 'attempt'
          ? [{ ...entry.row, requestId: 'r1', key: key ?? '', tags, user, model: model ?? '' }]
          : [],
      )
      expect(reread({ request, attempts })).toEqual({ request, attempts })
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

test('a decision of before it gave its reasons has none', () => {
  const decision =
    '["quick","price",false,[["a/x","0.001",300,20,"cheapest"]],[["b/y","capability","tools"]]]'
  const head = `["demo",{},"m","chat",true,"CNY",${decision},null]`
  const { request } = parseEntry('r1', 1, `[${head},[200,"success",null,1,5,10]]`)
  expect(request.decision).toEqual({
    policy: 'quick',
    policyVersion: null,
    sort: 'price',
    value: null,
    explored: false,
    propensity: 1,
    candidates: [
      {
        target: 'a/x',
        account: null,
        estimatedCost: '0.001',
        pSlo: null,
        ttftMs: 300,
        tokensPerSecond: null,
        cachedTokens: 0,
        samples: 20,
        roomCost: null,
        utility: null,
        reason: 'cheapest',
      },
    ],
    runnerUp: null,
    excluded: [{ target: 'b/y', reason: 'capability', detail: 'tools' }],
    counterfactuals: [],
    sloRelaxed: false,
    later: [],
  })
})
