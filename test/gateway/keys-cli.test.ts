// `sluice keys` against a running gateway: what it prints, and with which code it ends.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { answer } from '../support/chat-bytes.ts'
import { ADMIN_TOKEN, type LocalGateway, startLocalGateway, startSluice } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { closedPort, type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

let upstream: RawUpstream
let gateway: LocalGateway

beforeAll(async () => {
  upstream = await startRawUpstream(answer('hello'))
  gateway = await startLocalGateway({
    config: configOf({ providers: { a: upstream.baseUrl }, over: { teams: { growth: {} } } }),
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

async function run(...args: string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const env = { SLUICE_URL: gateway.url, SLUICE_ADMIN_TOKEN: ADMIN_TOKEN }
  const sluice = startSluice(['keys', ...args], env)
  const code = await sluice.exited
  return { code, output: sluice.output() }
}

const SECRET = /^sk-sluice-[0-9A-Za-z]{38}$/m

const secretIn = (output: string): string => SECRET.exec(output)?.[0] ?? ''

test('a key is made, shown, changed, rotated, revoked and deleted', async () => {
  const made = await run(
    ...['create', 'web', '--team', 'growth', '--models', 'm,a/*', '--tags', 'app=shop,env=live'],
    ...['--max-budget', '5', '--budget-duration', 'month', '--rpm', '600', '--ip-ranges', '127.0.0.0/8'],
  )
  expect(made.code, made.output).toBe(0)
  const secret = secretIn(made.output)
  expect((await gateway.chat({ max_tokens: 20 }, { key: secret })).status).toBe(200)

  const shown = await run('show', 'web')
  for (const word of ['growth', 'm, a/*', 'app=shop env=live', '600', 'active', '127.0.0.0/8'])
    expect(shown.output).toContain(word)
  expect(shown.output).not.toContain(secret.slice(14))

  const changed = await run(
    'update',
    'web',
    '--rpm',
    '700',
    '--clear',
    'max-budget,budget_duration',
    '--json',
  )
  expect(JSON.parse(changed.output)).toMatchObject({ rpm: 700, max_budget: null, team: 'growth', version: 2 })
  const stale = await run('update', 'web', '--rpm', '1', '--version', '1')
  expect([stale.code, stale.output.includes('version 2')]).toEqual([1, true])

  const rotated = await run('rotate', 'web', '--overlap', '0')
  expect((await gateway.chat({ max_tokens: 20 }, { key: secret })).status).toBe(401)
  const next = secretIn(rotated.output)
  expect((await gateway.chat({ max_tokens: 20 }, { key: next })).status).toBe(200)

  const list = await run('list')
  expect(list.output.split('\n').filter((line) => line !== '')).toEqual([
    expect.stringMatching(/^NAME +STATUS +SOURCE +TEAM/),
    expect.stringMatching(/^tester +active +config +- /),
    expect.stringMatching(/^web +active +store +growth +- +700 +- +m, a\/\*/),
  ])
  const revoked = await run('revoke', 'web')
  expect([revoked.code, revoked.output]).toEqual([0, 'key "web" is revoked\n'])
  expect((await gateway.chat({}, { key: next })).status).toBe(401)
  expect((await run('delete', 'web')).code).toBe(0)
  const all = JSON.parse((await run('list', '--json')).output) as { data: { name: string }[] }
  expect(all.data.map(({ name }) => name)).toEqual(['tester'])
})

test('what is required of data is said in words', async () => {
  const made = await run(
    ...['create', 'careful', '--region', 'cn,eu', '--retention', 'none', '--trains-on-data', 'false'],
    ...['--filing-no', 'any', '--json'],
  )
  expect(JSON.parse(made.output)).toMatchObject({
    key: expect.stringMatching(SECRET),
    data_policy: { region: ['cn', 'eu'], retention: 'none', trains_on_data: false, filing_no: true },
  })
})

test('what the gateway refuses ends with 1, and says every problem', async () => {
  const got = await run('create', 'bad', '--team', 'grwth', '--max-budget', 'much')
  expect(got.code).toBe(1)
  for (const word of ['team', '"grwth"', 'did you mean "growth"', 'max_budget', 'invalid_request'])
    expect(got.output).toContain(word)
  expect((await run('show', 'nobody')).output).toContain('there is no key "nobody"')
  expect((await run('revoke', 'tester')).output).toContain('configuration file')
  const wrong = await run('list', '--token', 'wrong-token-0123456789')
  expect([wrong.code, wrong.output.includes('admin token')]).toEqual([1, true])
})

test('a gateway that is not there is said to be so', async () => {
  const url = `http://127.0.0.1:${await closedPort()}`
  const got = await run('list', '--url', url)
  expect(got.code).toBe(1)
  expect(got.output).toContain(`no gateway answers at ${url} (ECONNREFUSED)`)
})

test.each([
  [[]],
  [['make']],
  [['create']],
  [['create', 'a', 'b']],
  [['create', 'a', '--colour', 'red']],
  [['create', 'a', '--rpm', 'many']],
  [['create', 'a', '--tags', 'app']],
  [['create', 'a', '--trains-on-data', 'no']],
  [['update', 'a']],
  [['update', 'a', '--rpm', '1', '--version', 'x']],
])('%j is wrong use', async (args) => {
  const got = await run(...args)
  expect(got.code).toBe(2)
  expect(got.output).toContain('usage: sluice keys')
})

test('--help explains itself with an example', async () => {
  const got = await run('--help')
  expect([got.code, got.output.includes('example: sluice keys create')]).toEqual([0, true])
})
