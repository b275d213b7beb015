// The signing of Zhipu's key, against Node's own HMAC.

import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Credential } from '#core/provider.ts'
import { provider } from '#providers/zhipu/provider.ts'

const credential = provider.credential as Credential & { kind: 'jwt' }
const NOW_MS = 1_788_315_333_000
const hmacSha256 = (key: string, data: string) =>
  new Uint8Array(createHmac('sha256', key).update(data).digest())

test('a key in two parts signs a token with times in milliseconds', () => {
  const signed = credential.sign('0a1b2c.s3cr3t-Key_', NOW_MS, hmacSha256)
  const [header = '', claims = '', signature = ''] = (signed?.token ?? '').split('.')
  expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({ alg: 'HS256', sign_type: 'SIGN' })
  expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toEqual({
    api_key: '0a1b2c',
    exp: NOW_MS + 3_600_000,
    timestamp: NOW_MS,
  })
  const expected = createHmac('sha256', 's3cr3t-Key_').update(`${header}.${claims}`).digest('base64url')
  expect(signature).toBe(expected)
  expect(signed?.expiresAtMs).toBe(NOW_MS + 3_600_000)
})

test.each(['sk-plain', '', '.half', 'half.', 'a.b.c'])(
  'a key of another form goes as it is: "%s"',
  (secret) => {
    expect(credential.sign(secret, NOW_MS, hmacSha256)).toBeNull()
  },
)

test('a stale token is renewed once', () => {
  expect(provider.errors.find((rule) => rule.code === '1003')).toMatchObject({ kind: 'auth', renew: true })
})
