// One machine's admission: all or nothing, holds as leases, money exactly once.

import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Grant, Scope } from '#core/admission.ts'
import { AdmissionDesk } from '#store/admission/desk.ts'
import { askOf, budgetOf, claimOf, deskWith, HandClock, LEASE_MS, nano, scopeOf } from './support.ts'

let clock: HandClock

beforeEach(() => {
  clock = new HandClock()
})

describe('budgets', () => {
  // litellm #40095, new-api #5690
  test('PEERS 27: of eight first requests at once against a budget for one, one passes', () => {
    const key = scopeOf('key', { budget: budgetOf(100) })
    const desk = deskWith(clock, [key])
    const refusals = Array.from({ length: 8 }, (_, index) =>
      desk.open(`r${index}`, [key]).begin(askOf(clock, claimOf(100))),
    )
    expect(refusals.filter((refusal) => refusal === null)).toHaveLength(1)
    expect(refusals[7]).toMatchObject({ limit: 'budget', allowed: 100n, used: 0n, held: 100n, asked: 100n })
  })

  test('a refusal takes nothing of any scope', () => {
    const key = scopeOf('key', { limits: { rpm: 5, tpm: 100, concurrency: 5 }, budget: budgetOf(100) })
    const team = scopeOf('team', { budget: budgetOf(10) })
    const target = scopeOf('target', { limits: { rpm: 1 } })
    const desk = deskWith(clock, [key, team, target])
    expect(desk.open('r', [key, team]).begin(askOf(clock, claimOf(20, 7), [target]))).toMatchObject({
      scope: team,
      limit: 'budget',
    })
    expect(desk.state.heldNano).toBe(0n)
    expect(desk.rates([key])).toMatchObject({ requests: { remaining: 5 }, tokens: { remaining: 100 } })
    expect(desk.rates([target])).toMatchObject({ requests: { remaining: 1 } })
    expect(desk.budgetState(key)).toMatchObject({ spentNano: 0n, heldNano: 0n })
  })

  // litellm #36926
  test('PEERS 32: settling twice charges once', () => {
    const key = scopeOf('key', { budget: budgetOf(100) })
    const desk = deskWith(clock, [key])
    const grant = desk.open('r', [key])
    grant.begin(askOf(clock, claimOf(60)))
    grant.settle(nano(40), 1)
    grant.settle(nano(40), 1)
    grant.close()
    grant.close()
    expect(desk.budgetState(key)).toMatchObject({ spentNano: 40n, heldNano: 0n })
  })

  // litellm #29493
  test('PEERS 31: a hold whose owner never comes back expires, and what was spent stays', () => {
    const key = scopeOf('key', { budget: budgetOf(100), limits: { concurrency: 1 } })
    const desk = deskWith(clock, [key])
    desk.open('lost', [key]).begin(askOf(clock, claimOf(100)))
    clock.advance(LEASE_MS - 1)
    expect(desk.open('r', [key]).begin(askOf(clock, claimOf(100)))).not.toBeNull()
    clock.advance(2_000)
    expect(desk.state.heldNano).toBe(0n)
    expect(desk.budgetState(key)).toMatchObject({ spentNano: 0n, heldNano: 0n })
    expect(desk.open('r', [key]).begin(askOf(clock, claimOf(100)))).toBeNull()
  })

  test('a hold that was extended lives on, and one that expired is still charged when its end comes', () => {
    const key = scopeOf('key', { budget: budgetOf(100) })
    const desk = deskWith(clock, [key])
    const grant = desk.open('long', [key])
    grant.begin(askOf(clock, claimOf(50)))
    grant.extend(clock.nowMs() + 2 * LEASE_MS)
    clock.advance(LEASE_MS + 2_000)
    expect(desk.state.heldNano).toBe(50n)
    clock.advance(LEASE_MS)
    expect(desk.state.heldNano).toBe(0n)
    grant.settle(nano(30), 1)
    grant.settle(nano(30), 1)
    grant.close()
    expect(desk.budgetState(key)).toMatchObject({ spentNano: 30n, heldNano: 0n })
  })

  test('a charge counts in the period in which its attempt started', () => {
    const key = scopeOf('key', { budget: budgetOf(100, { kind: 'fixed', lengthMs: 3_600_000 }) })
    const desk = deskWith(clock, [key])
    const grant = desk.open('r', [key])
    grant.begin(askOf(clock, claimOf(90)))
    const { resetAtMs } = desk.budgetState(key) ?? {}
    clock.advance((resetAtMs ?? 0) - clock.nowMs())
    grant.settle(nano(80), 1)
    expect(desk.budgetState(key)).toMatchObject({ spentNano: 0n, heldNano: 0n })
  })

  test('a rolling budget frees what is older than its length', () => {
    const hourMs = 3_600_000
    const key = scopeOf('key', { budget: budgetOf(100, { kind: 'rolling', lengthMs: 24 * hourMs }) })
    const desk = deskWith(clock, [key])
    const first = desk.open('a', [key])
    first.begin(askOf(clock, claimOf(70)))
    first.settle(nano(70), 1)
    clock.advance(12 * hourMs)
    const refusal = desk.open('b', [key]).begin(askOf(clock, claimOf(40)))
    expect(refusal?.limit).toBe('budget')
    clock.advance(refusal?.retryAfterMs ?? 0)
    expect(desk.open('c', [key]).begin(askOf(clock, claimOf(40)))).toBeNull()
  })

  test('a purse that the ledger has not filled lets nothing out', () => {
    const key = scopeOf('key', { budget: budgetOf(100) })
    const desk = new AdmissionDesk(clock)
    expect(desk.unseeded([key])).toEqual([key])
    expect(desk.open('r', [key]).begin(askOf(clock, claimOf(1)))).toMatchObject({ used: null })
    desk.seed(key, [{ amountNano: 99n, atMs: clock.nowMs() - 1 }])
    expect(desk.unseeded([key])).toEqual([])
    expect(desk.open('r', [key]).begin(askOf(clock, claimOf(2)))).toMatchObject({ used: 99n })
    expect(desk.open('r', [key]).begin(askOf(clock, claimOf(1)))).toBeNull()
  })

  test('another amount keeps what was spent, and another period asks the ledger', () => {
    const small = scopeOf('key', { budget: budgetOf(100) })
    const desk = deskWith(clock, [small])
    const grant = desk.open('r', [small])
    grant.begin(askOf(clock, claimOf(100)))
    grant.settle(nano(100), 1)
    const large = scopeOf('key', { budget: budgetOf(150) })
    expect(desk.unseeded([large])).toEqual([])
    expect(desk.open('r', [large]).begin(askOf(clock, claimOf(51)))).toMatchObject({ used: 100n })
    const daily = scopeOf('key', { budget: budgetOf(100, { kind: 'calendar', unit: 'day' }) })
    expect(desk.unseeded([daily])).toEqual([daily])
  })

  test('what is spent while the ledger is being asked stays in the new purse', () => {
    const before = scopeOf('key', { budget: budgetOf(100) })
    const desk = deskWith(clock, [before])
    const after = scopeOf('key', { budget: budgetOf(100, { kind: 'calendar', unit: 'day' }) })
    expect(desk.unseeded([after])).toEqual([after])
    const grant = desk.open('r', [before])
    expect(grant.begin(askOf(clock, claimOf(30)))).toBeNull()
    grant.settle(nano(30), 1)
    grant.close()
    desk.seed(after, [{ amountNano: 20n, atMs: clock.nowMs() }])
    expect(desk.budgetState(after)?.spentNano).toBe(50n)
  })

  test('a request that runs while its budget changes is charged in the new purse and frees its hold', () => {
    const before = scopeOf('key', { budget: budgetOf(100) })
    const desk = deskWith(clock, [before])
    const grant = desk.open('r', [before])
    grant.begin(askOf(clock, claimOf(60)))
    const after = scopeOf('key', { budget: budgetOf(100, { kind: 'rolling', lengthMs: 3_600_000 }) })
    desk.seed(after, [])
    desk.keep([after])
    expect(desk.budgetState(after)).toMatchObject({ spentNano: 0n, heldNano: 60n })
    grant.settle(nano(50), 1)
    grant.close()
    expect(desk.budgetState(after)).toMatchObject({ spentNano: 50n, heldNano: 0n })
  })

  test('the ledger corrects a quiet purse, and never one that moved meanwhile', () => {
    const key = scopeOf('key', { budget: budgetOf(100) })
    const desk = deskWith(clock, [key])
    const spend = (amount: number): void => {
      const grant = desk.open('r', [key])
      grant.begin(askOf(clock, claimOf(amount)))
      grant.settle(nano(amount), 1)
      grant.close()
    }
    spend(10)
    expect(desk.quietReading(key)).toBeNull()
    clock.advance(6_000)
    const stale = desk.quietReading(key)
    spend(5)
    if (stale !== null) desk.reseed(key, stale, [{ amountNano: 10n, atMs: clock.nowMs() }])
    expect(desk.budgetState(key)?.spentNano).toBe(15n)
    clock.advance(6_000)
    const quiet = desk.quietReading(key)
    if (quiet !== null) desk.reseed(key, quiet, [{ amountNano: 17n, atMs: clock.nowMs() }])
    expect(desk.budgetState(key)?.spentNano).toBe(17n)
  })
})

describe('rates', () => {
  test('requests run side by side up to the limit, and one that ends makes room', () => {
    const key = scopeOf('key', { limits: { concurrency: 2 } })
    const desk = deskWith(clock, [key])
    const grants = [desk.open('a', [key]), desk.open('b', [key])]
    for (const grant of grants) expect(grant.begin(askOf(clock, claimOf(0)))).toBeNull()
    expect(desk.open('c', [key]).begin(askOf(clock, claimOf(0)))).toMatchObject({ limit: 'concurrency' })
    grants[0]?.close()
    expect(desk.open('c', [key]).begin(askOf(clock, claimOf(0)))).toBeNull()
  })

  test('a request counts once for its caller and each attempt for its target', () => {
    const key = scopeOf('key', { limits: { rpm: 10 } })
    const target = scopeOf('target', { limits: { rpm: 10 } })
    const desk = deskWith(clock, [key, target])
    const grant = desk.open('r', [key])
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(grant.begin(askOf(clock, claimOf(0), [target]))).toBeNull()
      grant.settle(nano(0), 1)
    }
    expect(desk.rates([key]).requests?.remaining).toBe(9)
    expect(desk.rates([target]).requests?.remaining).toBe(7)
  })

  // wso2 #2932, litellm PR #11646
  test('a limit of tokens charges tokens, an upper bound first and what was used at the end', () => {
    const key = scopeOf('key', { limits: { tpm: 1_000 } })
    const desk = deskWith(clock, [key])
    const grant = desk.open('r', [key])
    grant.begin(askOf(clock, claimOf(0, 900)))
    expect(desk.open('s', [key]).begin(askOf(clock, claimOf(0, 200)))).toMatchObject({
      limit: 'tpm',
      allowed: 1_000n,
      used: 900n,
      asked: 200n,
    })
    grant.settle(nano(0), 300)
    expect(desk.rates([key]).tokens).toMatchObject({ limit: 1_000, remaining: 700 })
    expect(desk.open('s', [key]).begin(askOf(clock, claimOf(0, 200)))).toBeNull()
  })

  test('more tokens than were claimed are booked and counted as an overrun', () => {
    const key = scopeOf('key', { limits: { tpm: 1_000 } })
    const desk = deskWith(clock, [key])
    const grant = desk.open('r', [key])
    grant.begin(askOf(clock, claimOf(0, 100)))
    grant.settle(nano(0), 250)
    expect(desk.state.overrunTokens).toBe(150)
    expect(desk.rates([key]).tokens?.remaining).toBe(750)
  })

  test('what can never fit says that waiting does not help', () => {
    const key = scopeOf('key', { limits: { tpm: 100 } })
    const desk = deskWith(clock, [key])
    expect(desk.open('r', [key]).begin(askOf(clock, claimOf(0, 101)))).toMatchObject({ retryAfterMs: null })
  })
})

// litellm PR #38647
test('what is billed beyond the worst that was claimed is charged and counted, once', () => {
  const key = scopeOf('key', { budget: budgetOf(1_000) })
  const team = scopeOf('team', { budget: budgetOf(1_000) })
  const desk = deskWith(clock, [key, team])
  const within = desk.open('r', [key, team])
  within.begin(askOf(clock, claimOf(10, 1, 50)))
  within.settle(nano(50), 1)
  expect(desk.state.overrunNano).toBe(0n)
  const beyond = desk.open('s', [key, team])
  beyond.begin(askOf(clock, claimOf(10, 1, 50)))
  beyond.settle(nano(80), 1)
  beyond.settle(nano(80), 1)
  expect(desk.state.overrunNano).toBe(30n)
  expect(desk.budgetState(key)?.spentNano).toBe(130n)
  const unlimited = desk.open('t', [scopeOf('key', { name: 'two', limits: { rpm: 5 } })])
  unlimited.begin(askOf(clock, claimOf(0)))
  unlimited.settle(nano(80), 1)
  expect(desk.state.overrunNano).toBe(30n)
})

test('each budget says what its own running requests may cost beyond their holds', () => {
  const key = scopeOf('key', { budget: budgetOf(1_000) })
  const team = scopeOf('team', { budget: budgetOf(1_000) })
  const desk = deskWith(clock, [key, team])
  const bound = (scope: Scope) => desk.budgetState(scope)?.overshootNano
  const both = desk.open('r', [key, team])
  const one = desk.open('s', [team])
  both.begin(askOf(clock, claimOf(10, 1, 50)))
  one.begin(askOf(clock, claimOf(10, 1, 70)))
  expect([bound(key), bound(team)]).toEqual([40n, 100n])
  both.settle(nano(5), 1)
  expect([bound(key), bound(team)]).toEqual([0n, 60n])
  clock.advance(LEASE_MS + 2_000)
  expect([desk.state.overshootNano, bound(team)]).toEqual([0n, 0n])
})

test('the bound on overspending is what may come beyond the holds of running requests', () => {
  const key = scopeOf('key', { budget: budgetOf(1_000, { kind: 'life' }, false) })
  const desk = deskWith(clock, [key])
  const grants = Array.from({ length: 10 }, (_, index) => desk.open(`agent ${index}`, [key]))
  for (const grant of grants) expect(grant.begin(askOf(clock, claimOf(50, 1, 400)))).toBeNull()
  expect(desk.state).toMatchObject({ heldNano: 500n, overshootNano: 3_500n })
  for (const grant of grants) grant.close()
  expect(desk.state).toMatchObject({ heldNano: 0n, overshootNano: 0n })
})

// litellm #36926, #40050
test('after any interleaving nothing is overspent, nothing is half taken, and the purse is what was charged', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('begin'), who: fc.nat(7), cost: fc.nat(120) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('settle'), who: fc.nat(7), cost: fc.nat(150) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('close'), who: fc.nat(7), cost: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('wait'), who: fc.nat(1), cost: fc.nat(5_000) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      clock = new HandClock()
      const key = scopeOf('key', { budget: budgetOf(200), limits: { concurrency: 5 } })
      const team = scopeOf('team', { budget: budgetOf(300) })
      const desk = deskWith(clock, [key, team])
      const grants = new Map<number, { grant: Grant; scopes: readonly Scope[]; claim: number | null }>()
      let ofKey = 0
      let ofTeam = 0
      for (const { do: what, who, cost } of steps) {
        const scopes = who % 2 === 0 ? [key, team] : [team]
        const held = grants.get(who) ?? { grant: desk.open(String(who), scopes), scopes, claim: null }
        grants.set(who, held)
        if (what === 'wait') clock.advance(cost)
        else if (what === 'begin') {
          const isIn = held.grant.begin(askOf(clock, claimOf(cost))) === null
          held.claim = isIn ? cost : null
        } else if (what === 'close') {
          held.grant.close()
          held.claim = null
        } else {
          // The provider keeps the bound: no attempt costs more than was held for it.
          const charged = Math.min(cost, held.claim ?? 0)
          held.grant.settle(nano(charged), 1)
          held.grant.settle(nano(charged), 1)
          held.claim = null
          if (scopes.includes(key)) ofKey += charged
          ofTeam += charged
        }
        const states = [desk.budgetState(key), desk.budgetState(team)]
        expect(states.map((state) => state?.spentNano)).toEqual([BigInt(ofKey), BigInt(ofTeam)])
        expect(ofKey + Number(states[0]?.heldNano)).toBeLessThanOrEqual(200)
        expect(ofTeam + Number(states[1]?.heldNano)).toBeLessThanOrEqual(300)
      }
      // Half of them come back; the leases of the others end.
      for (const [who, { grant }] of grants) if (who < 4) grant.close()
      clock.advance(LEASE_MS + 2_000)
      expect(desk.state).toMatchObject({ heldNano: 0n, overshootNano: 0n })
      expect(desk.budgetState(key)?.heldNano).toBe(0n)
      expect(desk.budgetState(team)?.heldNano).toBe(0n)
    }),
  )
})
