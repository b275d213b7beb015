import { createHmac } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keyedDigest, Pepper } from '#runtime/node/pepper.ts'

test('a keyed digest is HMAC-SHA-256, whatever the lengths', () => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 2_000 }), fc.string({ maxLength: 64 }))
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.array(text, { maxLength: 4 }),
      (key, texts) => {
        const digest = keyedDigest(key)
        // One after the other over the same buffers: nothing of the last may be left in the next.
        for (const one of texts) expect(digest(one)).toBe(createHmac('sha256', key).update(one).digest('hex'))
      },
    ),
    { numRuns: 300 },
  )
})

describe('a pepper', () => {
  let folder: string
  const fileOf = (store: string): string | null =>
    store === 'memory:' ? null : join(folder, `${store}.secret`)

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-pepper-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('is the secret that is told', () => {
    const pepper = new Pepper(fileOf)
    expect(pepper.digest('key', 'told', 'a')).toBe(keyedDigest('told')('key'))
    expect(existsSync(join(folder, 'a.secret'))).toBe(false)
  })

  test('is made once, written when the store is open, and read the next time', () => {
    const first = new Pepper(fileOf)
    const digest = first.digest('key', null, 'a')
    expect(existsSync(join(folder, 'a.secret'))).toBe(false)
    first.keep('a')
    expect(statSync(join(folder, 'a.secret')).mode & 0o777).toBe(0o600)
    expect(new Pepper(fileOf).digest('key', null, 'a')).toBe(digest)
    expect(new Pepper(fileOf).digest('key', null, 'b')).not.toBe(digest)
  })

  test('of the store that is open holds, whatever a changed configuration says', () => {
    const pepper = new Pepper(fileOf)
    pepper.keep('a')
    expect(pepper.own('b')).toBe(pepper.own('a'))
  })

  test('that all share takes the place of the own one, here and in its file', () => {
    const pepper = new Pepper(fileOf)
    pepper.keep('a')
    pepper.replace('shared')
    expect(pepper.own('a')).toBe('shared')
    expect(readFileSync(join(folder, 'a.secret'), 'utf8')).toBe('shared\n')
  })

  test('of a store that forgets is kept nowhere', () => {
    const pepper = new Pepper(fileOf)
    pepper.keep('memory:')
    expect(pepper.own('memory:')).toMatch(/^[0-9a-f]{64}$/)
    expect(new Pepper(fileOf).own('memory:')).not.toBe(pepper.own('memory:'))
  })

  test('has a name that says nothing of it', () => {
    const pepper = new Pepper(fileOf)
    expect(pepper.name('one', 'a')).toMatch(/^[0-9a-f]{8}$/)
    expect(pepper.name('one', 'a')).not.toBe(pepper.name('two', 'a'))
  })

  test('whose file cannot be read is no reason to make another', () => {
    writeFileSync(join(folder, 'not-a-folder'), '')
    const pepper = new Pepper(() => join(folder, 'not-a-folder', 'x'))
    expect(() => pepper.own('a')).toThrow()
  })
})
