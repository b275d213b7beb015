// Leases and charges of several instances against a small model, with replies that get lost, crashes, and a Redis that
// forgets: what is spent and what is lent never exceed the amount, and in the end each purse says what its rows say.

import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Scope } from '#core/admission.ts'
import type { PursePort } from '#store/admission/lease-words.ts'
import { createRedisPurses } from '#store/redis/purses.ts'
import { FleetInstance, RowLedger } from '../support/fleet-instances.ts'
import { type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { budgetOf, claimOf, scopeOf } from '../unit/store/admission/support.ts'

let redis: RedisServer
let port: PursePort

beforeAll(async () => {
  redis = await startRedis()
  port = createRedisPurses({ url: redis.url, commandTimeoutMs: 2_000 })
})

afterAll(async () => {
  port.close()
  await redis.stop()
})

/** Some replies are lost when what they answer has been done. */
function lossy(to: PursePort, chance: () => boolean): PursePort {
  const lose = async <Reply>(reply: Promise<Reply>): Promise<Reply> => {
    const got = await reply
    if (chance()) throw new Error('the reply was lost')
    return got
  }
  return {
    lease: (tag, ask) => lose(to.lease(tag, ask)),
    charge: (tag, ask) => lose(to.charge(tag, ask)),
    found: (tag, founding) => lose(to.found(tag, founding)),
    state: (tag) => to.state(tag),
    spent: (tag, purses) => to.spent(tag, purses),
    close: () => {},
  }
}

async function fieldOf(tag: string, hash: string, field: string): Promise<bigint> {
  const client = await sendRedisCommand(redis.url, `HGET "{${tag}}:${hash}" "${field}"`)
  return BigInt(client.split('\r\n')[1] ?? '0')
}

/** Beyond 2^60, so that a float would lose a thousand of them. */
const HUGE = 2n ** 61n + 12_345n
const UNIT = 2n ** 52n + 1n

const KEY = { key: 'k', tags: { team: 't' }, target: 'p/m' }

function scopesWith(amount: bigint): { key: Scope; team: Scope; target: Scope } {
  return {
    key: scopeOf('key', { name: 'k', budget: budgetOf(amount) }),
    team: scopeOf('team', { name: 't', budget: budgetOf(amount * 2n), limits: { concurrency: 8 } }),
    target: scopeOf('target', { name: 'p/m', budget: budgetOf(amount) }),
  }
}

const WAITED_MS = 10

type Step = readonly [kind: number, instance: number, size: number]

describe.each([
  ['amounts beyond 2^60', HUGE, UNIT * 20n],
  ['a purse of a few attempts', 1_000n, 7n],
])('%s', (_name, amount, unit) => {
  test('spent and lent stay within the amount, and sums are exact, whatever is lost on the way', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(11), fc.nat(2), fc.integer({ min: 1, max: 20 })), {
          minLength: 20,
          maxLength: 60,
        }),
        fc.infiniteStream(fc.nat(9)),
        async (steps: readonly Step[], losses) => {
          await sendRedisCommand(redis.url, 'FLUSHALL')
          const { key, team, target } = scopesWith(amount)
          const all = [key, team, target]
          const ledger = new RowLedger()
          let isLossy = true
          const parts = {
            ledger,
            scopes: () => all,
            port: lossy(port, () => isLossy && losses.next().value === 0),
          }
          const instances = ['a', 'b', 'c'].map((name) => new FleetInstance(name, parts))
          const beginnings: Promise<boolean>[] = []
          let total = 0n
          for (const [kind, at, size] of steps) {
            const instance = instances[at]
            if (instance === undefined) continue
            const cost = BigInt(size) * unit
            if (kind < 5) {
              const begun = instance.begin([key, team], [target], claimOf(cost))
              beginnings.push(begun)
              // Some wait for what others may give back; meanwhile the rest goes on.
              await Promise.race([begun, wait(WAITED_MS)])
            } else if (kind < 8) instance.end(cost, KEY)
            else if (kind === 8) await instance.ship(size)
            else if (kind === 9) instance.turn()
            else if (kind === 10) instance.crash(KEY)
            else await wait(size)
            for (const [tag, scope] of [
              ['org:', key],
              ['org:', team],
              ['target:p/m', target],
            ] as const) {
              const spent = await fieldOf(tag, 'purse', `s 0 ${scope.id}`)
              const lent = await fieldOf(tag, 'purse', `b ${scope.id}`)
              expect(spent + lent).toBeLessThanOrEqual(scope.budget?.amountNano ?? 0n)
            }
          }
          await Promise.all(beginnings)
          isLossy = false
          for (const instance of instances) {
            while (instance.running > 0) instance.end(unit, KEY)
            for (let round = 0; round < 200 && !instance.areAllShipped; round += 1) await instance.ship(50)
            expect(instance.areAllShipped).toBe(true)
          }
          total = ledger.spent('key:k')
          expect(total).toBeLessThanOrEqual(amount)
          expect(await fieldOf('org:', 'purse', 's 0 key:k')).toBe(total)
          expect(await fieldOf('org:', 'purse', 's 0 team:t')).toBe(total)
          expect(await fieldOf('target:p/m', 'purse', 's 0 target:p/m')).toBe(total)
          // A word from each that its rows are told frees what those before it were lent.
          for (const instance of instances) {
            for (const tag of ['org:', 'target:p/m']) {
              const line = instance.keeper.lineOf(tag)
              do await line.say()
              while (line.isLost)
            }
          }
          for (const instance of instances) await instance.keeper.close(2_000)
          for (const [tag, scope] of [
            ['org:', key],
            ['org:', team],
            ['target:p/m', target],
          ] as const)
            expect(await fieldOf(tag, 'purse', `b ${scope.id}`)).toBe(0n)
        },
      ),
      { numRuns: 25, seed: Number(process.env['SEED'] ?? 20261125), endOnFailure: true },
    )
  })
})
