// Purses, rates and places in Redis, a slot for each tag. What instances say to them stands in
// store/admission/lease-words.ts, what becomes of it in the scripts.

import type {
  ChargeAsk,
  ChargeReply,
  FoundedPurse,
  Founding,
  LeaseAsk,
  LeaseReply,
  PursePort,
  TagSpent,
  TagState,
} from '../admission/lease-words.ts'
import type { RedisClient } from './client.ts'
import { RedisConnection, type RedisConnectionOptions } from './connection.ts'
import { PURSE_KEYS } from './keys.ts'

/** On a connection of its own: what lends must not wait behind a report. Connects on first use. */
export function createRedisPurses(options: RedisConnectionOptions): PursePort {
  const connection = new RedisConnection(options)

  async function readState(tag: string, purses: readonly FoundedPurse[]): Promise<TagSpent> {
    const keys = PURSE_KEYS(tag)
    const read = async (ready: RedisClient): Promise<readonly [Error | null, unknown][]> => {
      const reads = ready.pipeline().hget(keys.purse, 'life').hgetall(keys.marks)
      for (const purse of purses) {
        if (purse.length === 4) reads.hget(keys.purse, `s ${purse[2]} ${purse[0]}`)
        else reads.hget(keys.windows, `t b ${purse[0]}`)
      }
      return (await reads.exec()) ?? []
    }
    const replies = await connection.run(read, undefined, keys.purse)
    const values = replies.map(([error, value]) => {
      if (error !== null) throw error
      return value
    })
    const [life, marks, ...spent] = values as [string | null, Record<string, string>, ...(string | null)[]]
    return {
      life: life ?? '',
      marks: new Map(Object.entries(marks).map(([session, mark]) => [session, Number(mark)])),
      spent: spent.map((nano, index) => nano ?? (purses[index]?.length === 5 ? '0' : null)),
    }
  }

  return {
    async lease(tag, ask: LeaseAsk): Promise<LeaseReply> {
      const { purse, lent, index, seen, answers, windows, marks } = PURSE_KEYS(tag)
      const keys = [purse, lent, index, seen, answers, windows, marks]
      const text = String(await connection.script('lease-7', keys, [JSON.stringify(ask)]))
      const reply = JSON.parse(text) as LeaseReply
      // Lua has one table for both, and writes an empty list as an object.
      return reply.outcome === 'lent' && !Array.isArray(reply.scopes) ? { ...reply, scopes: [] } : reply
    },
    async charge(tag, ask: ChargeAsk): Promise<ChargeReply> {
      const { purse, lent, index, seen, windows, marks } = PURSE_KEYS(tag)
      const { session, previous, last, isFirst, charges, draws } = ask
      const reply = await connection.script(
        'charge-6',
        [purse, lent, index, seen, windows, marks],
        [session, previous, last, isFirst ? '1' : '0', JSON.stringify(charges), JSON.stringify(draws)],
      )
      const [outcome, mark] = reply as [ChargeReply['outcome'], string]
      return { outcome, mark: Number(mark) }
    },
    async found(tag, founding: Founding): Promise<boolean> {
      const { purse, windows, marks } = PURSE_KEYS(tag)
      const { lifeBefore, life, quietMs } = founding
      const outcome = await connection.script(
        'found-3',
        [purse, windows, marks],
        [lifeBefore, life, quietMs, JSON.stringify(founding.purses), JSON.stringify(founding.marks)],
      )
      return outcome === 'founded'
    },
    async state(tag): Promise<TagState> {
      return readState(tag, [])
    },
    spent: readState,
    close: () => connection.close(),
  }
}
