// What a single Redis can do to the ledger that is kept in it, row by row of the fault matrix: rows wait, and each
// counts once.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StoreUnavailableError } from '#store/errors.ts'
import { createInstanceClaim, type OtherHolder } from '#store/redis/instance-claim.ts'
import { lookAtRedis } from '#store/redis/probe.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { realClock } from '../support/real-clock.ts'
import { freePort, type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'
import { openShipping, type Shipping } from '../support/shipping.ts'
import { temporaryFolder } from '../support/sqlite-ledger.ts'

const SEED = 20_261_125

let server: RedisServer
let proxy: FaultProxy | null
let shipping: Shipping | null
let folder: ReturnType<typeof temporaryFolder>

beforeEach(async () => {
  folder = temporaryFolder()
  proxy = null
  shipping = null
  server = await startRedis({ appendOnly: true, folder: folder.path })
})

afterEach(async () => {
  await shipping?.close()
  await proxy?.stop()
  server.resume()
  await server.stop()
  folder.remove()
})

const tell = (command: string): Promise<string> => sendRedisCommand(server.url, command)

function ship(url = server.url): Shipping {
  shipping = openShipping({ url })
  return shipping
}

async function shipOverProxy(): Promise<{ readonly through: FaultProxy; readonly rows: Shipping }> {
  const through = await startFaultProxy(server.port, SEED)
  proxy = through
  return { through, rows: ship(`redis://127.0.0.1:${through.port}`) }
}

const troublesOf = (rows: Shipping): ReadonlySet<string> =>
  new Set(rows.states.flatMap(({ error }) => (error instanceof StoreUnavailableError ? [error.trouble] : [])))

const isDown = (state: { readonly isUp: boolean }): boolean => !state.isUp

test('fault 64: with no Redis at the start rows wait, and ship when it is there', async () => {
  const port = await freePort()
  const rows = ship(`redis://127.0.0.1:${port}`)
  rows.write(30)
  await rows.until(isDown, 'it is noticed')
  expect(troublesOf(rows)).toEqual(new Set(['disconnected']))
  await server.stop()
  server = await startRedis({ port })
  await rows.expectAllOnce()
})

test('fault 66: a frozen Redis is unanswered, no command stays behind, and what it had taken counts once', async () => {
  const rows = ship()
  rows.write(30)
  await rows.expectAllOnce()
  server.pause()
  rows.write(30)
  await rows.until(isDown, 'it is noticed')
  expect(troublesOf(rows)).toContain('unanswered')
  rows.write(30)
  server.resume()
  await rows.expectAllOnce()
})

test('fault 67: a slow Redis is waited for within the deadline, and beyond it nothing is doubled', async () => {
  const { through, rows } = await shipOverProxy()
  through.delayReplies(50)
  rows.write(60)
  await rows.expectAllOnce()
  expect(troublesOf(rows).size).toBe(0)
  // Each batch is applied, and its answer comes when nobody waits for it any more.
  through.delayReplies(700)
  rows.write(20)
  await rows.until(isDown, 'it is noticed')
  through.delayReplies(0)
  await rows.expectAllOnce()
})

test('fault 68: replies that are lost after they were applied double nothing', async () => {
  const { through, rows } = await shipOverProxy()
  through.dropReplies(0.3)
  for (let round = 0; round < 5; round += 1) {
    const { lostReplies } = through
    rows.write(60)
    await rows.until(() => through.lostReplies > lostReplies, 'a reply is lost')
  }
  through.dropReplies(0)
  await rows.expectAllOnce()
})

test('fault 68: connections that are reset under load double nothing', async () => {
  const { through, rows } = await shipOverProxy()
  const load = rows.load()
  for (let round = 0; round < 10; round += 1) {
    const { connections } = through
    await rows.until(() => rows.states.length > 0, 'it ships')
    through.reset()
    await rows.until(() => through.connections > connections, 'it comes back')
  }
  await load.stop()
  await rows.expectAllOnce()
})

test('fault 70: a full Redis refuses a batch before its first row, and takes it whole when there is room', async () => {
  const rows = ship()
  rows.write(10)
  await rows.expectAllOnce()
  const before = await tell('DBSIZE')
  await tell('CONFIG SET maxmemory 1mb')
  rows.write(30)
  await rows.until(isDown, 'it is noticed')
  expect(troublesOf(rows)).toEqual(new Set(['full']))
  expect(await tell('DBSIZE')).toBe(before)
  await tell('CONFIG SET maxmemory 0')
  await rows.expectAllOnce()
})

describe('fault 71: a Redis that may lose what it has is seen', () => {
  test.each([
    ['evicts', 'CONFIG SET maxmemory-policy allkeys-lru', 'maxmemory-policy allkeys-lru'],
    ['forgets', 'CONFIG SET appendonly no', 'appendonly no and no save'],
  ] as const)('it %s', async (risk, command, found) => {
    const { connection } = ship()
    expect([...(await lookAtRedis(connection)).risks]).toEqual([])
    await tell(command)
    const { risks, unseen } = await lookAtRedis(connection)
    expect([...risks.keys()]).toEqual([risk])
    expect(risks.get(risk)).toBe(`${found} on 127.0.0.1:${server.port}`)
    expect(unseen).toBeNull()
  })

  test('and where nobody may look, that is said', async () => {
    await tell('ACL SETUSER default -config')
    const { connection } = ship()
    const { risks, unseen } = await lookAtRedis(connection)
    expect(risks.size).toBe(0)
    expect(unseen).toContain("'config|get'")
  })
})

test('fault 73: scripts that are flushed all the time are sent again, and nobody notices', async () => {
  const rows = ship()
  let isOver = false
  const flushing = (async () => {
    while (!isOver) await tell('SCRIPT FLUSH')
  })()
  const load = rows.load()
  for (let round = 0; round < 20; round += 1) {
    // Many at once, as one pipeline.
    const answers = Array.from({ length: 20 }, () =>
      rows.connection.script('probe-3', ['{a}:1', '{a}:2', '{a}:3'], []),
    )
    for (const answer of await Promise.all(answers)) expect(answer).toBeTypeOf('number')
  }
  await load.stop()
  isOver = true
  await flushing
  await rows.expectAllOnce()
  expect(troublesOf(rows).size).toBe(0)
})

describe('fault 74: what the server forbids is said in plain words', () => {
  test.each([
    ['-eval -evalsha', "'evalsha' command"],
    ['-eval', "'eval' command"],
    ['-xadd', "'xadd' command"],
    ['resetkeys ~other:*', 'one of the keys'],
    ['resetkeys ~{sluice}*', 'one of the keys'],
  ])('%s', async (rules, words) => {
    await tell(`ACL SETUSER ledger on >secret ~* +@all ${rules}`)
    const { connection } = ship(`redis://ledger:secret@127.0.0.1:${server.port}`)
    const error = await lookAtRedis(connection).catch((cause: unknown) => cause)
    expect(error).toMatchObject({ trouble: 'forbidden' })
    expect(String(error)).toContain(words)
    expect(String(error)).toContain('+@scripting')
  })

  test('the rights that it names are enough', async () => {
    const rules =
      '~{sluice}* ~{org:* ~{provider:* ~{target:* +@read +@write -@dangerous +@scripting +@connection +time +info +config|get'
    await tell(`ACL SETUSER ledger on >secret ${rules}`)
    const rows = ship(`redis://ledger:secret@127.0.0.1:${server.port}`)
    expect((await lookAtRedis(rows.connection)).unseen).toBeNull()
    rows.write(5)
    await rows.expectAllOnce()
  })

  test.each([
    ['a wrong password', 'redis://ledger:other@', 'does not accept the user and password'],
    ['no password', 'redis://', 'asks for a password'],
  ])('%s', async (_, user, words) => {
    await tell('ACL SETUSER ledger on >secret ~* +@all')
    await tell('ACL SETUSER default resetpass >theirs')
    const { connection } = ship(`${user}127.0.0.1:${server.port}`)
    const error = await lookAtRedis(connection).catch((cause: unknown) => cause)
    expect(error).toMatchObject({ trouble: 'forbidden' })
    expect(String(error)).toContain(words)
    expect(String(error)).not.toContain('other')
  })
})

test('fault 78: the name of an instance runs out by the clock of Redis, whatever clocks the instances have', async () => {
  const { connection } = ship()
  const answers: (OtherHolder | null)[] = []
  const claimOf = (owner: string, skewMs: number) =>
    createInstanceClaim({
      connection,
      instance: 'one',
      epoch: 1,
      owner,
      label: `machine ${owner}`,
      // Asked anew each time, and five minutes off.
      clock: { monotonicMs: () => realClock.monotonicMs() * 1e6 + skewMs },
      onAnswer: (other) => answers.push(other),
    })
  const [first, second] = [claimOf('a', -300_000), claimOf('b', 300_000)]
  expect(await first.mayShip()).toBe(true)
  expect(await second.mayShip()).toBe(false)
  expect(answers.at(-1)).toMatchObject({ label: 'machine a' })
  expect(answers.at(-1)?.leftMs).toBeGreaterThan(0)
  await tell('PEXPIRE {sluice}:instance:one 1')
  await expect.poll(() => second.mayShip(), { timeout: 10_000 }).toBe(true)
  expect(await first.mayShip()).toBe(false)
  // Only who has it gives it back.
  await first.release()
  expect(await first.mayShip()).toBe(false)
  await second.release()
  expect(await first.mayShip()).toBe(true)
})

test('fault 79: a Redis that is loading its data is unavailable, and takes rows when it has', async () => {
  const rows = ship()
  rows.write(600)
  await rows.expectAllOnce()
  await server.kill()
  // It looks up from its loading every thousand commands.
  const slowly = ['--key-load-delay', '300']
  rows.write(10)
  server = await startRedis({
    port: server.port,
    folder: folder.path,
    appendOnly: true,
    mayLoad: true,
    args: slowly,
  })
  await rows.until(() => troublesOf(rows).has('loading'), 'it says that it is loading')
  await tell('CONFIG SET key-load-delay 0')
  await rows.expectAllOnce()
})
