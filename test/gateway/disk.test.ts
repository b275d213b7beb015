// A gateway whose disk is full, read-only or locked by somebody else (RELIABILITY.md 80, 82, 88).

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import {
  type ChildGateway,
  eventually,
  KEY,
  startChildGateway,
  startSluice,
  untilPrinted,
} from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts'

const STRICT_KEY = 'sk-strict-0123456789'
const probe = mountSmallDisk(1)
probe?.remove()

let upstream: RawUpstream
let disk: SmallDisk | null = null
let gateway: ChildGateway | null = null

beforeEach(async () => {
  upstream = await startRawUpstream(answer('hello'))
})

afterEach(async () => {
  await gateway?.close()
  gateway = null
  disk?.remove()
  disk = null
  await upstream.close()
})

const config = (): Record<string, unknown> =>
  configOf({
    providers: { a: upstream.baseUrl },
    over: {
      keys: [
        { name: 'tester', key: KEY },
        { name: 'strict', key: STRICT_KEY, max_budget: '10', budget_mode: 'strict' },
      ],
    },
  })

async function startIn(folder: string): Promise<ChildGateway> {
  const store = join(folder, 'sluice.db')
  gateway = await startChildGateway({
    config: config(),
    env: { SLUICE_STORE: `sqlite:${store}`, SLUICE_JOURNAL: store },
  })
  return gateway
}

const readiness = async (on: ChildGateway): Promise<Record<string, unknown>> =>
  (await ask(`${on.url}/readyz`)).json

describe.skipIf(probe === null)('a disk', () => {
  test('that is full keeps ordinary requests going and strict ones out, and loses nothing', async () => {
    disk = mountSmallDisk(4)
    const running = await startIn(disk?.path ?? '')
    const answered = [(await running.chat()).headers['x-request-id'] ?? '']
    disk?.fill(0)
    // What is open already may still have room in its last page.
    let refused = await running.chat({}, { key: STRICT_KEY })
    await eventually(async () => {
      if (refused.status === 503) return true
      answered.push(refused.headers['x-request-id'] ?? '')
      const got = await running.chat()
      expect(got.status).toBe(200)
      answered.push(got.headers['x-request-id'] ?? '')
      refused = await running.chat({}, { key: STRICT_KEY })
      return refused.status === 503
    }, 'the disk is full')
    expect(refused.error.code).toBe('store_unavailable')
    for (let index = 0; index < 3; index++) {
      const got = await running.chat()
      expect(got.status).toBe(200)
      answered.push(got.headers['x-request-id'] ?? '')
    }
    const before = upstream.requests.length
    expect((await running.chat({}, { key: STRICT_KEY })).status).toBe(503)
    expect(upstream.requests).toHaveLength(before)
    expect(await readiness(running)).toEqual({ status: 'ready', store: 'disk_full' })
    disk?.relieve()
    await eventually(async () => (await readiness(running))['store'] === undefined, 'the disk is well again')
    const strict = await running.chat({}, { key: STRICT_KEY })
    expect(strict.status).toBe(200)
    answered.push(strict.headers['x-request-id'] ?? '')
    await running.kill('SIGKILL')
    const again = await startIn(disk?.path ?? '')
    for (const id of answered) expect((await again.detail(id)).outcome).toBe('success')
    const { total } = (await again.admin('/usage?group_by=key')) as { total: { attempts: number } }
    // Two strict requests were opened and not sent.
    expect(total.attempts).toBe(answered.length + 2)
  })

  test('that is read-only stops the start with its path', async () => {
    disk = mountSmallDisk(1)
    disk?.setReadOnly()
    const path = join(disk?.path ?? '', 'sluice.db')
    const configGateway = await startChildGateway({ config: config() })
    gateway = configGateway
    const { output, exited } = startSluice(['serve', '--config', join(configGateway.folder, 'sluice.yaml')], {
      SLUICE_STORE: `sqlite:${path}`,
      SLUICE_PORT: '0',
    })
    expect(await exited).toBe(1)
    expect(output()).toContain(path)
    expect(output()).toContain('cannot open')
  })
})

test('a database that somebody else locks holds up no request, and has every row afterwards', async () => {
  gateway = await startChildGateway({ config: config() })
  const other = new DatabaseSync(join(gateway.folder, 'sluice.db'))
  other.exec('BEGIN IMMEDIATE')
  const ids: string[] = []
  for (let index = 0; index < 5; index++) ids.push((await gateway.chat()).headers['x-request-id'] ?? '')
  await eventually(
    async () => (await readiness(gateway as ChildGateway))['store'] === 'locked',
    'the lock is seen',
  )
  other.exec('ROLLBACK')
  other.close()
  await eventually(
    async () => (await readiness(gateway as ChildGateway))['store'] === undefined,
    'the lock is gone',
  )
  const { total } = (await gateway.admin('/usage')) as { total: { attempts: number } }
  expect(total.attempts).toBe(5)
  for (const id of ids) expect((await gateway.detail(id)).outcome).toBe('success')
})

test('two gateways with databases of their own and one journal: the second is refused', async () => {
  gateway = await startChildGateway({ config: config() })
  const second = startSluice(['serve', '--config', join(gateway.folder, 'sluice.yaml')], {
    SLUICE_STORE: `sqlite:${join(gateway.folder, 'other.db')}`,
    SLUICE_JOURNAL: join(gateway.folder, 'journal.db'),
    SLUICE_PORT: '0',
  })
  await untilPrinted(second.output, second.exited, /(used by another Sluice process)/)
  expect(await second.exited).toBe(1)
  expect((await gateway.chat()).status).toBe(200)
})
