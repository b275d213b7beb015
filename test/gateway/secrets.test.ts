// Keys and prompts stay where they belong: not in logs, metrics, reports, nor in the files of the ledger.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { answer, contentEvent, errorAnswer, ROLE_EVENT } from '../support/chat-bytes.ts'
import { ADMIN_TOKEN, type ChildGateway, KEY, startChildGateway } from '../support/gateway.ts'
import { configOf, UPSTREAM_KEY } from '../support/gateway-config.ts'
import { ask } from '../support/http-client.ts'
import { type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'

const PROMPT = 'the-prompt-canary-4711'
const ANSWER = 'the-answer-canary-4711'
const WRONG_KEY = 'sk-wrong-canary-0123456789'

let upstream: RawUpstream
let gateway: ChildGateway

beforeAll(async () => {
  upstream = await startRawUpstream((request) => {
    const model = String(request.json['model'])
    if (model === 'echo') return errorAnswer(401, { message: `bad key ${request.headers['authorization']}` })
    if (model === 'cut') return { steps: [ROLE_EVENT, contentEvent(ANSWER)], ending: 'fin' }
    return answer(ANSWER)(request)
  })
  gateway = await startChildGateway({
    config: configOf({ providers: { up: upstream.baseUrl } }),
    env: { SLUICE_LOG_LEVEL: 'debug' },
  })
})

afterAll(async () => {
  await gateway.close()
  await upstream.close()
})

test('no key, prompt or answer is found in logs, metrics, reports and files', async () => {
  const messages = [{ role: 'user', content: PROMPT }]
  const ids: string[] = []
  for (const model of ['m', 'up/echo', 'up/cut', 'none', 'm']) {
    for (const stream of [false, true]) {
      const got = await gateway.chat({ model, messages, stream })
      ids.push(got.headers['x-request-id'] ?? '')
    }
  }
  await gateway.chat({ messages }, { key: WRONG_KEY })
  await gateway.chat({}, { body: `{"model":"m","messages":"${PROMPT}"` })
  await ask(`${gateway.url}/admin/v1/usage`, { key: WRONG_KEY })
  const reports = [
    await gateway.admin('/usage?group_by=model,key,target'),
    await gateway.admin('/requests?limit=500'),
  ]
  for (const id of ids) reports.push(await gateway.detail(id))
  const metrics = await gateway.metrics()
  await gateway.kill('SIGTERM')
  const files = readdirSync(gateway.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'sluice.yaml')
    .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), 'latin1')] as const)
  expect(files.length).toBeGreaterThan(0)
  expect(gateway.output()).toContain('request.ended')
  const places = [
    ['the log', gateway.output()],
    ['the metrics', metrics],
    ['the reports', JSON.stringify(reports)],
    ...files,
  ] as const
  for (const [place, text] of places) {
    for (const secret of [KEY, UPSTREAM_KEY, WRONG_KEY, ADMIN_TOKEN, PROMPT, ANSWER])
      expect(text.includes(secret), `${secret} in ${place}`).toBe(false)
  }
})
