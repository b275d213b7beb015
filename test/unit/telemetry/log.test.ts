import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLog, type LogLevel } from '#telemetry/log.ts'
import { redactText } from '#telemetry/redact.ts'

type Json = Record<string, unknown>

function open(level: LogLevel = 'debug') {
  const lines: string[] = []
  return {
    lines,
    log: createLog({ level, write: (line) => lines.push(line), nowMs: () => 1_700_000_000_000 }),
  }
}

function logged(fields: Readonly<Record<string, unknown>>): { line: string; body: Json } {
  const { lines, log } = open()
  log.info('event.seen', fields)
  const [line = ''] = lines
  return { line, body: JSON.parse(line) as Json }
}

const SECRETS = [
  'sk-proj-abcdefgh12345678',
  'sk-0123456789abcdef',
  'Bearer 6f9619ff-8b86-d011-b42d-00c04fc964ff',
  'bce-v3/ALTAK-abcdefg/0123456789abcdef',
  'eyJhbGciOiJIUzI1NiJ9.eyJhcGlfa2V5IjoiYSJ9.c2lnbmF0dXJl',
  'redis://user:hunter2secret@10.0.0.1:6379/0',
  'https://aip.baidubce.com/rpc/chat?access_token=24.abcdef0123456789.2592000',
  'https://aip.baidubce.com/oauth/2.0/token?grant_type=client_credentials&client_id=abc&client_secret=s3cr3t-s3cr3t',
] as const
const HIDDEN = /abcdefgh|0123456789abcdef|6f9619ff|ALTAK-abc|eyJhcGlf|hunter2|s3cr3t|24\.abc/

describe('secrets', () => {
  test.each(SECRETS)('%s is not written, wherever it stands', (secret) => {
    const error = new Error(`failed with ${secret}`, { cause: new Error(secret) })
    const places = [
      { message: `the key ${secret} is wrong` },
      { deep: [{ list: new Map([[secret, new Set([secret])]]) }] },
      { [`key ${secret}`]: 1 },
      { error },
      { quoted: JSON.stringify({ key: secret }) },
      { header: `"${secret}"` },
    ]
    for (const fields of places) expect(logged(fields).line).not.toMatch(HIDDEN)
  })

  test.each([
    'api_key',
    'apiKey',
    'x-api-key',
    'Authorization',
    'password',
    'secret',
    'token',
    'access_token',
    'client_secret',
    'cookie',
  ])('a field named %s is not written, whatever it looks like', (name) => {
    expect(logged({ [name]: 'plain-words' }).line).not.toContain('plain-words')
    expect(logged({ headers: { [name]: 'plain-words' } }).line).not.toContain('plain-words')
  })

  test.each(['input_tokens', 'tokens', 'key', 'keys', 'secret_count'])(
    'a field named %s is no secret',
    (name) => {
      expect(logged({ [name]: 'plain-words' }).line).toContain('plain-words')
    },
  )

  test('text that only looks like a key stays', () => {
    for (const text of [
      'risk-assessment',
      'task-12345678901',
      'ask-me-anything',
      'qwen/qwen3-8b',
      'req_0123',
      'http://host:80/x?page=2',
    ])
      expect(redactText(text)).toBe(text)
  })

  test('enough is left of a key to tell which kind it was', () => {
    expect(redactText('with sk-0123456789abcdef here')).toBe('with sk-*** here')
  })
})

describe('a line', () => {
  test('is one JSON object with its head first', () => {
    const { line } = logged({ a: 1 })
    expect(line).toBe('{"time":"2023-11-14T22:13:20.000Z","level":"info","event":"event.seen","a":1}')
  })

  test('cannot have its head forged by a field', () => {
    expect(logged({ event: 'other', level: 'debug', time: 'x' }).body).toMatchObject({
      event: 'event.seen',
      level: 'info',
    })
  })

  test('is one line and bounded, whatever the fields hold; nothing throws', () => {
    const value = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withNullPrototype: true,
      withSparseArray: true,
    })
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), (fields) => {
        const { line } = logged(fields)
        expect(line).not.toMatch(/[\n\r]/)
      }),
      { seed: 131, numRuns: 120 },
    )
  })

  test('says what JSON has no word for', () => {
    const cyclic: Json = {}
    cyclic['self'] = cyclic
    expect(
      logged({ n: Number.NaN, big: 10n ** 30n, bytes: new Uint8Array(5), fn: () => 1, none: undefined }).body,
    ).toMatchObject({
      n: 'NaN',
      big: '1000000000000000000000000000000',
      bytes: '[5 bytes]',
      fn: '[function]',
    })
    expect(logged({ cyclic }).line.length).toBeLessThan(1_000)
    expect(logged({ error: new TypeError('bad', { cause: 'why' }) }).body).toMatchObject({
      error: { name: 'TypeError', message: 'bad', cause: 'why' },
    })
  })

  test('is bounded in every direction', () => {
    const wide = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`k${index}`, index]))
    let deep: unknown = 'end'
    for (let level = 0; level < 10_000; level++) deep = { deep }
    expect(logged({ text: 'x'.repeat(1_000_000) }).line.length).toBeLessThan(5_000)
    expect(logged({ wide }).line.length).toBeLessThan(60_000)
    expect(logged({ deep }).line.length).toBeLessThan(500)
    expect(logged({ list: Array.from({ length: 100_000 }, () => 0) }).line.length).toBeLessThan(10_000)
  })

  test('with a getter that throws says that it could not be logged', () => {
    const hostile = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('boom sk-0123456789abcdef')
      },
    })
    const { body, line } = logged({ hostile })
    expect(body).toMatchObject({ event: 'event.seen', unloggable: expect.stringContaining('boom') })
    expect(line).not.toMatch(HIDDEN)
  })
})

test('lines below the level are not written', () => {
  const { lines, log } = open('warn')
  log.debug('a.b')
  log.info('a.b')
  log.warn('a.b')
  log.error('a.b')
  expect(lines.map((line) => (JSON.parse(line) as Json)['level'])).toEqual(['warn', 'error'])
})
