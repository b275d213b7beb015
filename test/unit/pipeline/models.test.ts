import { describe, expect, test } from 'vitest'
import { GatewayError } from '#core/errors.ts'
import type { KeySettings } from '#core/settings.ts'
import type { Live } from '#pipeline/live.ts'
import { isAllowed, listModels, resolveModel } from '#pipeline/models.ts'
import { hosted, vendor } from '../settings/fixtures.ts'
import { liveWith } from './support.ts'

const live: Live = liveWith([vendor, hosted], {
  providers: {
    main: { use: 'vendor', api_key: 'secret-of-vendor' },
    off: { use: 'vendor', api_key: '' },
    local: { use: 'hosted', base_url: 'http://127.0.0.1:8000/v1', allow_private: true },
  },
  models: {
    assistant: { targets: ['main/small', 'local/qwen/qwen3-8b'], policy: 'quick' },
    fast: { targets: ['off/small', 'main/small'] },
    long: { targets: ['main/large'] },
  },
  policies: { quick: { sort: 'latency' } },
})

const key = (models: readonly string[] | null): KeySettings => ({
  name: 'demo',
  providers: null,
  dataPolicies: [],
  ipRanges: [],
  expiresAtMs: null,
  models,
  tags: {},
  team: null,
  organisation: null,
  scopes: [],
})
const ALL = key(null)

function refusalOf(name: string, of: KeySettings): { code: string; message: string; param: string | null } {
  try {
    resolveModel(live, of, name)
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, message: error.message, param: error.param }
    throw error
  }
  throw new Error(`${name} was let through`)
}

describe('a model name', () => {
  test('of the configuration stands for its targets under its policy', () => {
    const { targets, policy } = resolveModel(live, ALL, 'assistant')
    expect(targets.map((target) => target.id)).toEqual(['main/small', 'local/qwen/qwen3-8b'])
    expect(policy).toMatchObject({ name: 'quick', sort: 'latency' })
  })

  test('PROVIDER/MODEL names a target directly, split at the first slash', () => {
    const { targets, policy } = resolveModel(live, ALL, 'local/deepseek-ai/DeepSeek-V3')
    expect(targets).toMatchObject([{ provider: 'local', model: 'deepseek-ai/DeepSeek-V3' }])
    expect(policy.name).toBe('default')
  })

  test.each(['', '/x', 'main/', 'nobody/x', 'main', 'assistant/', '__proto__', 'constructor/x'])(
    '%j is not found',
    (name) => expect(refusalOf(name, ALL)).toMatchObject({ code: 'model_not_found', param: 'model' }),
  )

  test.each([
    { name: 'assistent', near: '"assistant"' },
    { name: 'FAST', near: '"fast"' },
    { name: 'main-small', near: '"main/small"' },
    { name: 'qwen3-8b', near: '"local/qwen/qwen3-8b"' },
  ])('that is nearly right gets a hint: $name', ({ name, near }) => {
    expect(refusalOf(name, ALL).message).toContain(`did you mean ${near}`)
  })

  test('that is like none is told where the names are', () => {
    expect(refusalOf('zzzzzzzzzzzz', ALL).message).toContain('GET /v1/models')
  })

  test('hints name only what the key may use', () => {
    expect(refusalOf('assistent', key(['long'])).message).not.toContain('assistant')
  })

  test('of any length makes a short message', () => {
    expect(refusalOf('x'.repeat(100_000), ALL).message.length).toBeLessThan(300)
  })
})

describe('a key’s list of models', () => {
  test.each([
    { models: ['assistant'], name: 'assistant', allowed: true },
    { models: ['assistant'], name: 'fast', allowed: false },
    { models: ['assistant'], name: 'main/small', allowed: false },
    { models: ['main/*'], name: 'main/small', allowed: true },
    { models: ['main/*'], name: 'main/a/b', allowed: true },
    { models: ['main/*'], name: 'mainly/small', allowed: false },
    { models: ['main/*'], name: 'local/small', allowed: false },
    { models: ['main/small'], name: 'main/small', allowed: true },
    { models: ['main/small'], name: 'main/small-2', allowed: false },
    { models: [], name: 'assistant', allowed: false },
    { models: null, name: 'anything', allowed: true },
  ])('$models and $name: $allowed', ({ models, name, allowed }) => {
    expect(isAllowed(key(models), name)).toBe(allowed)
  })

  test('refuses with 403 what exists, naming what is allowed', () => {
    const refusal = refusalOf('fast', key(['assistant', 'main/*']))
    expect(refusal).toMatchObject({ code: 'model_not_allowed', param: 'model' })
    expect(refusal.message).toContain('assistant, main/*')
    expect(refusalOf('local/x', key(['main/*'])).code).toBe('model_not_allowed')
  })
})

describe('the list of models', () => {
  const ids = (of: KeySettings): string[] => listModels(live, of).map((model) => model.id)

  test('holds the configuration’s models, then its enabled targets, each once', () => {
    expect(ids(ALL)).toEqual(['assistant', 'fast', 'long', 'main/small', 'local/qwen/qwen3-8b', 'main/large'])
  })

  test('holds what the key may use', () => {
    expect(ids(key(['long', 'main/*']))).toEqual(['long', 'main/small', 'main/large'])
    expect(ids(key([]))).toEqual([])
  })

  test('says whose they are', () => {
    expect(listModels(live, key(['long', 'local/*']))).toEqual([
      { id: 'long', ownedBy: 'sluice' },
      { id: 'local/qwen/qwen3-8b', ownedBy: 'local' },
    ])
  })
})
