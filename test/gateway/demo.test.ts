// The demo's configuration, as `npm run demo` runs it: its simulators, and the gateway in this process.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Gateway, startGateway } from '#runtime/node/gateway.ts'
import { readProviderFolders } from '#runtime/node/providers.ts'
import { readConfig } from '#runtime/node/read-config.ts'
import { defaultDemoSimulators } from '#simulator/config.ts'
import { type Simulator, startSimulator } from '#simulator/simulate.ts'
import { ask, contentOf } from '../support/http-client.ts'

const CONFIG = join(import.meta.dirname, '../../config/demo.yaml')
const KEY = 'sk-sluice-demo'
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

test('the demo configuration is whole without the demo around it', async () => {
  const live = await readConfig(CONFIG, {}, await readProviderFolders())
  expect(live.settings.providers.size).toBe(5)
})

describe('a fresh demo', () => {
  let folder: string
  let simulators: readonly Simulator[]
  let gateway: Gateway

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-demo-test-'))
    const env: Record<string, string> = {
      SLUICE_STORE: `sqlite:${join(folder, 'sluice.db')}`,
      SLUICE_PORT: '0',
    }
    simulators = await Promise.all(
      Object.entries(defaultDemoSimulators()).map(async ([name, config]) => {
        const simulator = await startSimulator({ ...config, port: 0 })
        env[`SLUICE_DEMO_${name.toUpperCase()}`] = simulator.baseUrl
        return simulator
      }),
    )
    gateway = await startGateway({ configPath: CONFIG, env, log: SILENT })
  })

  afterEach(async () => {
    await gateway.close()
    for (const simulator of simulators) await simulator.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test.each([false, true])('answers a picture sent to `assistant` (stream: %s)', async (stream) => {
    const content = [
      { type: 'text', text: 'What is in this picture?' },
      { type: 'image_url', image_url: { url: PIXEL } },
    ]
    const body = { model: 'assistant', stream, messages: [{ role: 'user', content }] }
    const answer = await ask(`${gateway.url}/v1/chat/completions`, { key: KEY, body })
    expect(answer.status, answer.text).toBe(200)
    expect(answer.headers['x-sluice-target']).toBe('doubao/doubao-seed-1-6-flash-250828')
    expect(stream ? contentOf(answer.text) : answer.text).toContain('image')
  })

  test.each([
    { name: 'that its provider does not know', model: 'doubao/doubao-seed-1-6-flash', attempts: '1' },
    { name: 'that has no price', model: 'doubao/doubao-seed-1-6-flsh-250828', attempts: '0' },
  ])('finds no mistyped model $name, and names the nearest', async ({ model, attempts }) => {
    const body = { model, messages: [{ role: 'user', content: 'hi' }] }
    const answer = await ask(`${gateway.url}/v1/chat/completions`, { key: KEY, body })
    expect(answer.status, answer.text).toBe(404)
    expect(answer.error).toMatchObject({ code: 'model_not_found', param: 'model' })
    expect(answer.error.message).toContain('did you mean "doubao/doubao-seed-1-6-flash-250828"')
    expect(answer.headers['x-sluice-attempts']).toBe(attempts)
    expect(answer.headers['x-should-retry']).toBe('false')
  })

  test('calls a configured target that its provider does not serve an upstream error, by whatever name', async () => {
    await simulators[0]?.configure({ faults: [{ fault: 'model_unavailable' }] })
    const body = {
      model: 'doubao/doubao-seed-1-6-flash-250828',
      messages: [{ role: 'user', content: 'hi' }],
    }
    const answer = await ask(`${gateway.url}/v1/chat/completions`, { key: KEY, body })
    expect([answer.status, answer.error.code]).toEqual([502, 'upstream_error'])
  })
})
