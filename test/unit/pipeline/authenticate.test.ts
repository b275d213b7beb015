import { describe, expect, test } from 'vitest'
import { GatewayError } from '#core/errors.ts'
import { authenticate } from '#pipeline/authenticate.ts'
import type { Deps } from '#pipeline/context.ts'
import { headerText } from '#pipeline/head.ts'
import { KeyRing } from '#pipeline/key-ring.ts'
import { compileStoredKey } from '#settings/stored-keys.ts'
import { config, digest, vendor } from '../settings/fixtures.ts'
import { liveWith } from './support.ts'

const live = liveWith([vendor], { ...config(), keys: [{ name: 'demo', key: 'sk-demo-0123456789' }] })
const ring = new KeyRing(compileStoredKey, () => 0)
ring.checked(true)
const deps = { digestKey: digest, keys: ring } as unknown as Deps
const asker = (authorization: string | null) => ({
  authorization,
  peer: () => ({ address: '127.0.0.1', forwardedFor: null }),
})

describe('the key of a request', () => {
  test.each(['Bearer sk-demo-0123456789', 'bearer sk-demo-0123456789', 'BEARER   sk-demo-0123456789 '])(
    '%j is known',
    (authorization) => expect(authenticate(deps, live, asker(authorization), 0).name).toBe('demo'),
  )

  test.each([
    null,
    '',
    'Bearer',
    'Bearer ',
    'sk-demo-0123456789',
    'Basic sk-demo-0123456789',
    'Bearer sk-demo-012345678',
    'Bearer sk-demo-01234567890',
    'Bearer SK-DEMO-0123456789',
    'Bearer sk-demo-0123456789 x',
    `Bearer ${digest('sk-demo-0123456789')}`,
  ])('%j is a 401 that does not repeat it', (authorization) => {
    try {
      authenticate(deps, live, asker(authorization), 0)
      expect.unreachable()
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      expect(error.code).toBe('invalid_api_key')
      expect(error.message).not.toContain('demo')
    }
  })
})

test('a name in a header is what a header may hold', () => {
  expect(headerText('qwen/通义 "x"\r\nset-cookie: a')).toMatch(/^[\x20-\x7e]*$/)
  expect(headerText('plain/model-1')).toBe('plain/model-1')
  expect(headerText('模'.repeat(10_000)).length).toBeLessThanOrEqual(1_000)
})

test.each(['main/😀', 'main/\ud83d', '\ude00x'])(
  'a name as strange as %j does not break the head of an answer',
  (name) => {
    expect(headerText(name)).toMatch(/^[\x20-\x7e]+$/)
  },
)
