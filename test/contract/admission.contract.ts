// What admission promises wherever limits are kept: the same cases for the memory of one process and for purses in Redis.

import { describe, expect, test } from 'vitest'
import type { BudgetPeriod, Claim, Grant, Refusal, Scope } from '#core/admission.ts'
import type { AdmissionDesk } from '#store/admission/desk.ts'
import { budgetOf, claimOf, nano, scopeOf } from '../unit/store/admission/support.ts'

/** One instance, whose purses know what `spent` says of the time before. */
export interface AdmissionBench {
  readonly desk: AdmissionDesk
  close(): Promise<void>
}

export type OpenBench = (
  scopes: readonly Scope[],
  spent?: Readonly<Record<string, bigint>>,
) => Promise<AdmissionBench>

const HOLD_MS = 660_000

export interface Admitted {
  readonly grant: Grant
  readonly refusal: Refusal | null
}

/** Asks as a request does: again while what it lacks may come. */
async function admit(
  desk: AdmissionDesk,
  callers: readonly Scope[],
  claim: Claim,
  targetScopes: readonly Scope[] = [],
  grant: Grant = desk.open('request', callers),
): Promise<Admitted> {
  const nowMs = Date.now()
  const ask = { targetScopes, claim, atMs: nowMs, untilMs: nowMs + HOLD_MS }
  for (;;) {
    const refusal = grant.begin(ask)
    const refill = refusal?.cause === 'lease' ? grant.refill(ask) : null
    if (refill === null) return { grant, refusal }
    await refill
  }
}

function end({ grant }: Admitted, costNano: number | bigint, tokens = 1): void {
  grant.settle(nano(costNano), tokens)
  grant.close()
}

const HOUR_MS = 3_600_000

const PERIODS: readonly BudgetPeriod[] = [
  { kind: 'life' },
  { kind: 'fixed', lengthMs: 30 * 24 * HOUR_MS },
  { kind: 'calendar', unit: 'month' },
  { kind: 'calendar', unit: 'day', timeZone: 'America/New_York' },
  { kind: 'rolling', lengthMs: 24 * HOUR_MS },
]

export function admissionContract(name: string, open: OpenBench): void {
  async function on(
    scopes: readonly Scope[],
    run: (desk: AdmissionDesk) => Promise<void>,
    spent: Readonly<Record<string, bigint>> = {},
  ): Promise<void> {
    const bench = await open(scopes, spent)
    try {
      await run(bench.desk)
    } finally {
      await bench.close()
    }
  }

  describe(`admission: ${name}`, () => {
    test('of eight first requests at once against a budget for one, one passes', async () => {
      const key = scopeOf('key', { budget: budgetOf(100) })
      await on([key], async (desk) => {
        const all = await Promise.all(Array.from({ length: 8 }, () => admit(desk, [key], claimOf(100))))
        expect(all.filter(({ refusal }) => refusal === null)).toHaveLength(1)
        const refused = all.find(({ refusal }) => refusal !== null)
        expect(refused?.refusal).toMatchObject({
          limit: 'budget',
          allowed: 100n,
          used: 0n,
          held: 100n,
          asked: 100n,
        })
      })
    })

    test('a refusal takes nothing of any scope', async () => {
      const key = scopeOf('key', { limits: { rpm: 5, tpm: 100, concurrency: 5 }, budget: budgetOf(100) })
      const team = scopeOf('team', { budget: budgetOf(10) })
      const target = scopeOf('target', { limits: { rpm: 1 } })
      await on([key, team, target], async (desk) => {
        const { refusal } = await admit(desk, [key, team], claimOf(20, 7), [target])
        expect(refusal).toMatchObject({ scope: team, limit: 'budget' })
        expect(desk.state.heldNano).toBe(0n)
        // All of it is there for one that fits.
        for (let index = 0; index < 5; index += 1) {
          const got = await admit(desk, [key, team], claimOf(2, 20), index === 0 ? [target] : [])
          expect(got.refusal).toBeNull()
        }
        expect((await admit(desk, [key], claimOf(1))).refusal).toMatchObject({
          scope: key,
          limit: 'concurrency',
        })
      })
    })

    test('settling twice charges once, and what was held beyond it comes free', async () => {
      const key = scopeOf('key', { budget: budgetOf(100) })
      await on([key], async (desk) => {
        const admitted = await admit(desk, [key], claimOf(60))
        end(admitted, 40)
        end(admitted, 40)
        expect(desk.state.heldNano).toBe(0n)
        expect((await admit(desk, [key], claimOf(61))).refusal).toMatchObject({ limit: 'budget', asked: 61n })
        expect((await admit(desk, [key], claimOf(60))).refusal).toBeNull()
      })
    })

    test('an empty purse lets nothing in, not even what costs nothing', async () => {
      const key = scopeOf('key', { budget: budgetOf(100) })
      await on([key], async (desk) => {
        expect((await admit(desk, [key], claimOf(0))).refusal).toBeNull()
        end(await admit(desk, [key], claimOf(100)), 100)
        expect((await admit(desk, [key], claimOf(0))).refusal).toMatchObject({ limit: 'budget' })
      })
    })

    test.each(PERIODS)('what the ledger says of a period counts: $kind', async (period) => {
      const key = scopeOf('key', { budget: budgetOf(100, period) })
      await on(
        [key],
        async (desk) => {
          expect((await admit(desk, [key], claimOf(31))).refusal).toMatchObject({
            limit: 'budget',
            used: 70n,
          })
          expect((await admit(desk, [key], claimOf(30))).refusal).toBeNull()
          const state = desk.budgetState(key)
          expect(state).toMatchObject({ spentNano: 70n, heldNano: 30n })
          const hasEnd = period.kind === 'fixed' || period.kind === 'calendar'
          expect(state?.resetAtMs === null).toBe(!hasEnd)
          if (hasEnd) expect(state?.resetAtMs).toBeGreaterThan(Date.now())
        },
        { 'key:one': 70n },
      )
    })

    test('requests of any 60 seconds are counted, and how long to wait is said', async () => {
      const key = scopeOf('key', { limits: { rpm: 5 } })
      await on([key], async (desk) => {
        const all = await Promise.all(Array.from({ length: 20 }, () => admit(desk, [key], claimOf(0))))
        expect(all.filter(({ refusal }) => refusal === null)).toHaveLength(5)
        const refused = all.find(({ refusal }) => refusal !== null)?.refusal
        expect(refused).toMatchObject({ limit: 'rpm', allowed: 5n, used: 5n, asked: 1n })
        expect(refused?.retryAfterMs).toBeGreaterThan(50_000)
        expect(refused?.retryAfterMs).toBeLessThan(63_000)
        expect(desk.rates([key]).requests).toMatchObject({ limit: 5, remaining: 0 })
      })
    })

    test('tokens are counted as claimed, and as used once that is known', async () => {
      const key = scopeOf('key', { limits: { tpm: 1_000 } })
      await on([key], async (desk) => {
        const first = await admit(desk, [key], claimOf(0, 900))
        expect((await admit(desk, [key], claimOf(0, 200))).refusal).toMatchObject({
          limit: 'tpm',
          asked: 200n,
        })
        end(first, 0, 10)
        expect((await admit(desk, [key], claimOf(0, 980))).refusal).toBeNull()
        expect((await admit(desk, [key], claimOf(0, 20))).refusal).toMatchObject({ limit: 'tpm' })
        expect((await admit(desk, [key], claimOf(0, 1_001))).refusal).toMatchObject({ retryAfterMs: null })
      })
    })

    test('places are taken while requests run, and an attempt beside another one takes none', async () => {
      const key = scopeOf('key', { limits: { concurrency: 2, rpm: 100 } })
      await on([key], async (desk) => {
        const first = await admit(desk, [key], claimOf(0))
        const second = await admit(desk, [key], claimOf(0))
        expect((await admit(desk, [key], claimOf(0))).refusal).toMatchObject({
          limit: 'concurrency',
          used: 2n,
        })
        const beside = first.grant.fork()
        expect((await admit(desk, [key], claimOf(0), [], beside)).refusal).toBeNull()
        beside.close()
        end(second, 0)
        expect((await admit(desk, [key], claimOf(0))).refusal).toBeNull()
      })
    })

    test('amounts beyond 2^53 are exact to the last nano', async () => {
      const amount = 2n ** 62n + 1n
      const key = scopeOf('key', { budget: budgetOf(amount) })
      await on(
        [key],
        async (desk) => {
          expect((await admit(desk, [key], claimOf(4n))).refusal).toMatchObject({
            used: amount - 3n,
            allowed: amount,
          })
          expect((await admit(desk, [key], claimOf(3n))).refusal).toBeNull()
        },
        { 'key:one': amount - 3n },
      )
    })

    test('what all budgets still have is told for the tightest', async () => {
      const key = scopeOf('key', { budget: budgetOf(100) })
      const team = scopeOf('team', { budget: budgetOf(60) })
      await on([key, team], async (desk) => {
        await admit(desk, [key, team], claimOf(10))
        expect(desk.affordableNano([key, team])).toBe(50n)
        expect(desk.affordableNano([key])).toBe(90n)
      })
    })
  })
}
