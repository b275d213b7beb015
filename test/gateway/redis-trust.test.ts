// What a gateway says of a Redis that cannot be trusted with money, and of another process under its own name.

import { cpSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import {
  eventually,
  type LocalGateway,
  startChildGateway,
  startLocalGateway,
  type TestGateway,
} from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { readScrape } from '../support/prometheus-text.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { type RedisServer, sendRedisCommand, startRedis } from '../support/redis-server.ts'

let upstream: RawUpstream
let server: RedisServer
let gateways: { close(): Promise<unknown> }[]

beforeEach(async () => {
  gateways = []
  upstream = await startRawUpstream(answer('ok'))
  server = await startRedis({ appendOnly: true })
})

afterEach(async () => {
  for (const gateway of gateways) await gateway.close()
  await server.stop()
  await upstream.close()
})

const tell = (command: string): Promise<string> => sendRedisCommand(server.url, command)

const inputOf = (store: string) => ({
  config: configOf({ providers: { up: upstream.baseUrl } }),
  env: { SLUICE_STORE: store },
})

async function start(store = server.url, folder?: string): Promise<LocalGateway> {
  const gateway = await startLocalGateway({ ...inputOf(store), ...(folder === undefined ? {} : { folder }) })
  gateways.push(gateway)
  return gateway
}

const metric = async (gateway: TestGateway, name: string, labels = {}): Promise<number> =>
  readScrape(await gateway.metrics()).sum(name, labels)

async function totalOf(gateway: TestGateway): Promise<number> {
  const { total } = (await gateway.admin('/usage')) as { readonly total: { readonly requests: number } }
  return total.requests
}

test('fault 71: an eviction policy and missing persistence are warned of, until they are mended', async () => {
  await tell('CONFIG SET maxmemory-policy allkeys-lru')
  await tell('CONFIG SET appendonly no')
  const gateway = await start()
  for (const [risk, found] of [
    ['evicts', 'maxmemory-policy allkeys-lru'],
    ['forgets', 'appendonly no'],
  ] as const) {
    const line = gateway.logs.find(
      ({ event, fields }) => event === 'store.at_risk' && fields['risk'] === risk,
    )
    expect(line).toMatchObject({ level: 'warn' })
    expect(line?.fields['found']).toContain(found)
    expect(await metric(gateway, 'sluice_store_risk', { risk })).toBe(1)
  }
  await tell('CONFIG SET maxmemory-policy noeviction')
  await tell('CONFIG SET appendonly yes')
  // Whoever changes it may restart it too: it is looked at when it is back.
  await tell('CLIENT KILL TYPE normal SKIPME yes')
  await eventually(
    async () => (await metric(gateway, 'sluice_store_risk')) === 0,
    'the risks are seen to be gone',
  )
  expect((await gateway.chat()).status).toBe(200)
})

describe('fault 74: a Redis that will not do ends the start with plain words', () => {
  test.each([
    [
      'commands that are not allowed',
      'ledger on >secret ~* +@all -evalsha',
      'ledger:secret@',
      "'evalsha' command",
    ],
    [
      'commands of scripts that are not allowed',
      'ledger on >secret ~* +@all -hset',
      'ledger:secret@',
      "'hset' command",
    ],
    ['keys that are not allowed', 'ledger on >secret ~other:* +@all', 'ledger:secret@', '~{sluice}*'],
    [
      'a wrong password',
      'ledger on >secret ~* +@all',
      'ledger:other@',
      'does not accept the user and password',
    ],
  ])('%s', async (_, rules, user, words) => {
    await tell(`ACL SETUSER ${rules}`)
    const store = `redis://${user}127.0.0.1:${server.port}`
    const error = await start(store).catch((cause: unknown) => cause)
    expect(String(error)).toContain('Redis')
    expect(String(error)).toContain(words)
  })

  test('and rights that are taken away later are said in the log, while rows wait', async () => {
    await tell('ACL SETUSER ledger on >secret ~* +@all')
    const gateway = await start(`redis://ledger:secret@127.0.0.1:${server.port}`)
    expect((await gateway.chat()).status).toBe(200)
    await tell('ACL SETUSER ledger -evalsha')
    expect((await gateway.chat()).status).toBe(200)
    await eventually(() => gateway.logs.some(({ event }) => event === 'store.down'), 'it is noticed')
    const line = gateway.logs.find(({ event }) => event === 'store.down')
    expect(line?.fields['message']).toContain("'evalsha' command")
    expect(line?.fields['message']).toContain('+@scripting')
    await tell('ACL SETUSER ledger +evalsha')
    await eventually(async () => (await totalOf(gateway)) === 2, 'the rows are there')
  })
})

test('a journal that was copied ships from one process at a time, and loses and doubles nothing', async () => {
  const first = await start()
  for (let index = 0; index < 3; index += 1) await first.chat()
  await eventually(async () => (await totalOf(first)) === 3, 'the first has shipped')
  await first.chat()
  // As it lies there, with a process on it: what is copied is what has not been shipped yet, or has.
  await eventually(async () => (await totalOf(first)) === 4, 'the first has shipped all')
  const copy = mkdtempSync(join(tmpdir(), 'sluice-copy-'))
  cpSync(first.folder, copy, { recursive: true, filter: (path) => !path.endsWith('.lock') })
  const second = await start(server.url, copy)
  await second.chat()
  await eventually(
    async () => (await metric(second, 'sluice_store_instance_taken')) === 1,
    'the second says that the name is taken',
  )
  const line = second.logs.find(({ event }) => event === 'instance.taken')
  expect(line).toMatchObject({ level: 'error' })
  expect(line?.fields['holder']).toContain(`process ${process.pid}`)
  expect(line?.fields['message']).toContain('SLUICE_JOURNAL')
  expect(await metric(first, 'sluice_store_instance_taken')).toBe(0)
  await first.chat()
  await eventually(async () => (await totalOf(first)) === 5, 'the first goes on shipping')
  await eventually(async () => (await metric(second, 'sluice_journal_rows')) === 2, 'rows of the second wait')
  await first.close()
  await eventually(async () => (await totalOf(second)) === 6, 'the second ships when the first has ended')
  expect(second.logs.map(({ event }) => event)).toContain('instance.held')
  expect(await metric(second, 'sluice_store_instance_taken')).toBe(0)
})

test('copies of a journal that run one after the other never give two rows one name', async () => {
  const first = await startChildGateway(inputOf(server.url))
  gateways.push(first)
  await first.chat()
  await first.kill('SIGTERM')
  const copy = mkdtempSync(join(tmpdir(), 'sluice-copy-'))
  cpSync(first.folder, copy, { recursive: true })
  // Both go on from the same row.
  const again = await startChildGateway({ ...inputOf(server.url), folder: first.folder })
  gateways.push(again)
  for (let index = 0; index < 2; index += 1) await again.chat()
  await again.kill('SIGTERM')
  const copied = await startChildGateway({ ...inputOf(server.url), folder: copy })
  gateways.push(copied)
  for (let index = 0; index < 3; index += 1) await copied.chat()
  await eventually(async () => (await totalOf(copied)) === 6, 'all are in the ledger')
})

test('a process that was killed leaves its name to the next one on the same files, at once', async () => {
  const first = await startChildGateway(inputOf(server.url))
  gateways.push(first)
  await first.chat()
  await eventually(async () => (await totalOf(first)) === 1, 'the first has shipped')
  await first.kill('SIGKILL')
  // It still has it, by the clock of Redis.
  const left = Number((await tell(`PTTL ${await nameInRedis()}`)).slice(1))
  expect(left).toBeGreaterThan(0)
  const second = await startChildGateway({ ...inputOf(server.url), folder: first.folder })
  gateways.push(second)
  await second.chat()
  await eventually(async () => (await totalOf(second)) === 2, 'the second ships')
  expect(await metric(second, 'sluice_store_instance_taken')).toBe(0)
})

async function nameInRedis(): Promise<string> {
  return (await tell('KEYS {sluice}:instance:*')).split('\r\n')[2] ?? ''
}
