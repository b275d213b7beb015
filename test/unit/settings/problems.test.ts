import { describe, expect, test } from 'vitest'
import { nearestName } from '#settings/nearest.ts'
import { formatProblems } from '#settings/problems.ts'
import { config, problemsOf } from './fixtures.ts'

const provider = (changes: object): object =>
  config({ providers: { main: { use: 'vendor', api_key: 'k', ...changes } } })
const policy = (changes: object): object => config({ policies: { p: changes } })
const price = (changes: object, pattern = 'main/small'): object =>
  config({
    prices: {
      [pattern]: { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '1' }], ...changes },
    },
  })
const target = (entry: unknown): object => config({ models: { a: { targets: [entry] } } })
const key = (changes: object): object => config({ keys: [{ name: 'web', key: 'sk-0123456789', ...changes }] })
const band = (changes: object): object =>
  price({
    time_bands: [
      {
        timezone: 'Asia/Shanghai',
        days: 'all',
        start: '00:30',
        end: '08:30',
        tiers: [{ input: '1' }],
        ...changes,
      },
    ],
  })

interface Case {
  readonly name: string
  readonly text: object
  readonly path: string
  /** Parts of the line. */
  readonly says: readonly string[]
}

const CASES: readonly Case[] = [
  // Shape.
  {
    name: 'an unknown setting',
    text: config({ modles: {} }),
    path: 'modles',
    says: ['unknown setting', 'did you mean "models"?'],
  },
  {
    name: 'an unknown setting further in',
    text: policy({ retry: { atempts: 2 } }),
    path: 'policies.p.retry.atempts',
    says: ['did you mean "attempts"?'],
  },
  {
    name: 'an unknown setting of a target',
    text: target({ target: 'main/small', wieght: 1 }),
    path: 'models.a.targets[0].wieght',
    says: ['did you mean "weight"?'],
  },
  { name: 'a missing section', text: { providers: {} }, path: 'models', says: ['is required'] },
  {
    name: 'a missing setting',
    text: config({ models: { a: {} } }),
    path: 'models.a.targets',
    says: ['is required', 'a list'],
  },
  { name: 'an empty setting', text: config({ server: null }), path: 'server', says: ['has no value'] },
  {
    name: 'a wrong type',
    text: config({ server: { port: 'high' } }),
    path: 'server.port',
    says: ['wrong type', 'found "high"', 'an integer from 0 to 65535'],
  },
  {
    name: 'a wrong type in a list of targets',
    text: target(5),
    path: 'models.a.targets[0]',
    says: ['found 5', 'a string', 'or a mapping of target'],
  },
  {
    name: 'a port beyond the range',
    text: config({ server: { port: 65_536 } }),
    path: 'server.port',
    says: ['out of range', 'found 65536'],
  },
  {
    name: 'a port that is no integer',
    text: config({ server: { port: 1.5 } }),
    path: 'server.port',
    says: ['found 1.5'],
  },
  {
    name: 'a negative duration',
    text: config({ server: { drain_ms: -1 } }),
    path: 'server.drain_ms',
    says: ['out of range'],
  },
  {
    name: 'a duration of zero',
    text: policy({ timeouts: { idle_ms: 0 } }),
    path: 'policies.p.timeouts.idle_ms',
    says: ['an integer from 1'],
  },
  {
    name: 'a duration beyond timers',
    text: policy({ timeouts: { total_ms: 2 ** 31 } }),
    path: 'policies.p.timeouts.total_ms',
    says: ['out of range'],
  },
  {
    name: 'a weight of zero',
    text: target({ target: 'main/small', weight: 0 }),
    path: 'models.a.targets[0].weight',
    says: ['a number above 0'],
  },
  {
    name: 'an unknown capability',
    text: target({ target: 'main/small', capabilities: ['tool'] }),
    path: 'models.a.targets[0].capabilities[0]',
    says: ['did you mean "tools"?'],
  },
  {
    name: 'an unknown sort',
    text: policy({ sort: 'prise' }),
    path: 'policies.p.sort',
    says: ['value | price | latency | throughput | weighted | priority', 'did you mean "price"?'],
  },
  {
    name: 'an unknown word for moderation',
    text: policy({ on_moderation: 'sotp' }),
    path: 'policies.p.on_moderation',
    says: ['did you mean "stop"?'],
  },
  {
    name: 'too many attempts',
    text: policy({ retry: { attempts: 11 } }),
    path: 'policies.p.retry.attempts',
    says: ['from 1 to 10'],
  },
  {
    name: 'a model without targets',
    text: config({ models: { a: { targets: [] } } }),
    path: 'models.a.targets',
    says: ['at least one'],
  },
  // The environment.
  {
    name: 'an unset variable',
    text: provider({ api_key: '${NOPE}' }),
    path: 'providers.main.api_key',
    says: ['variable NOPE is not set'],
  },
  {
    name: 'an unclosed reference',
    text: provider({ api_key: '${NOPE' }),
    path: 'providers.main.api_key',
    says: ['malformed reference'],
  },
  {
    name: 'a reference to no name',
    text: provider({ api_key: '${1-}' }),
    path: 'providers.main.api_key',
    says: ['malformed reference'],
  },
  // Providers.
  {
    name: 'an unknown folder',
    text: provider({ use: 'vender' }),
    path: 'providers.main.use',
    says: ['found "vender"', 'did you mean "vendor"?'],
  },
  {
    name: 'a provider without a folder',
    text: config({ providers: { main: {} } }),
    path: 'providers.main.use',
    says: ['is required'],
  },
  {
    name: 'a provider with a slash',
    text: config({ providers: { main: { use: 'vendor' }, 'a/b': { use: 'vendor' } } }),
    path: 'providers["a/b"]',
    says: ['is no name for a provider'],
  },
  {
    name: 'a folder without an address',
    text: config({ providers: { main: { use: 'hosted' } } }),
    path: 'providers.main.base_url',
    says: ['is required'],
  },
  {
    name: 'a folder without an address for this model',
    text: config({ providers: { main: { use: 'formatted' } } }),
    path: 'providers.main.base_url',
    says: ['is required'],
  },
  {
    name: 'an address that is none',
    text: provider({ base_url: 'api.example' }),
    path: 'providers.main.base_url',
    says: ['is no URL'],
  },
  {
    name: 'an address of another scheme',
    text: provider({ base_url: 'ftp://api.example' }),
    path: 'providers.main.base_url',
    says: ['no http or https URL'],
  },
  {
    name: 'an address with credentials',
    text: provider({ base_url: 'https://user:pass@api.example' }),
    path: 'providers.main.base_url',
    says: ['holds credentials'],
  },
  {
    name: 'an address with a query',
    text: provider({ base_url: 'https://api.example/v1?key=secret' }),
    path: 'providers.main.base_url',
    says: ['has a query'],
  },
  {
    name: 'a key no header can carry',
    text: provider({ api_key: 'abc\n' }),
    path: 'providers.main.api_key',
    says: ['header', 'a string of 4 characters'],
  },
  // Models and targets.
  {
    name: 'a target of an unknown provider',
    text: target('mian/small'),
    path: 'models.a.targets[0]',
    says: ['no provider "mian"', 'did you mean "main/small"?'],
  },
  {
    name: 'a mapping with a target of an unknown provider',
    text: target({ target: 'mian/small' }),
    path: 'models.a.targets[0].target',
    says: ['did you mean "main/small"?'],
  },
  {
    name: 'a target without a provider',
    text: target('small'),
    path: 'models.a.targets[0]',
    says: ['must read PROVIDER/MODEL'],
  },
  {
    name: 'a target without a model',
    text: target('main/'),
    path: 'models.a.targets[0]',
    says: ['must read PROVIDER/MODEL'],
  },
  {
    name: 'a target with white space',
    text: target('main/a b'),
    path: 'models.a.targets[0]',
    says: ['must read PROVIDER/MODEL'],
  },
  {
    name: 'a target twice',
    text: config({ models: { a: { targets: ['main/s', { target: 'main/s' }] } } }),
    path: 'models.a.targets[1].target',
    says: ['twice'],
  },
  {
    name: 'an unknown policy',
    text: config({ models: { a: { policy: 'quik', targets: ['main/s'] } }, policies: { quick: {} } }),
    path: 'models.a.policy',
    says: ['did you mean "quick"?'],
  },
  {
    name: 'a model name with white space',
    text: config({ models: { 'a b': { targets: ['main/s'] } } }),
    path: 'models["a b"]',
    says: ['no name for a model'],
  },
  {
    name: 'a model name with a routing suffix',
    text: config({ models: { 'a:nitro': { targets: ['main/s'] } } }),
    path: 'models["a:nitro"]',
    says: ['suffix'],
  },
  {
    name: 'a model name that hides a target',
    text: config({ models: { 'main/x': { targets: ['main/s'] } } }),
    path: 'models["main/x"]',
    says: ['hides a target'],
  },
  // Policies.
  {
    name: 'ejections that shrink',
    text: policy({ outlier_detection: { base_ejection_ms: 9, max_ejection_ms: 8 } }),
    path: 'policies.p.outlier_detection.max_ejection_ms',
    says: ['below base_ejection_ms'],
  },
  {
    name: 'moderation by an unknown provider',
    text: policy({ on_moderation: { allow: ['mian'] } }),
    path: 'policies.p.on_moderation.allow[0]',
    says: ['did you mean "main"?'],
  },
  {
    name: 'a status code that is no error',
    text: policy({ retry: { on_status_codes: [200] } }),
    path: 'policies.p.retry.on_status_codes[0]',
    says: ['from 400 to 599'],
  },
  // Money.
  {
    name: 'a price as a number',
    text: price({ tiers: [{ input: 0.8 }] }),
    path: 'prices["main/small"].tiers[0].input',
    says: ['put it in quotes'],
  },
  {
    name: 'a negative price',
    text: price({ tiers: [{ input: '-1' }] }),
    path: 'prices["main/small"].tiers[0].input',
    says: ['malformed', 'a decimal number in quotes'],
  },
  {
    name: 'a price of seven places',
    text: price({ tiers: [{ input: '0.1234567' }] }),
    path: 'prices["main/small"].tiers[0].input',
    says: ['six decimal places'],
  },
  {
    name: 'a tier without a price',
    text: price({ tiers: [{ input_tokens_up_to: 5 }] }),
    path: 'prices["main/small"].tiers[0]',
    says: ['has no price'],
  },
  {
    name: 'a tier that is never reached',
    text: price({ tiers: [{ input: '1' }, { input_tokens_up_to: 5, input: '1' }] }),
    path: 'prices["main/small"].tiers[1]',
    says: ['never reached'],
  },
  {
    name: 'no tiers',
    text: price({ tiers: [] }),
    path: 'prices["main/small"].tiers',
    says: ['at least one'],
  },
  {
    name: 'another unit',
    text: price({ unit: 'per_token' }),
    path: 'prices["main/small"].unit',
    says: ['per_million_tokens'],
  },
  {
    name: 'a price without a unit',
    text: price({ unit: undefined }),
    path: 'prices["main/small"].unit',
    says: ['is missing', 'discounts or balances alone'],
  },
  {
    name: 'a discount above the list price',
    text: price({ discounts: [{ discount: '1.1' }] }),
    path: 'prices["main/small"].discounts[0].discount',
    says: ['more than the list price'],
  },
  {
    name: 'a discount that is over before it holds',
    text: price({
      discounts: [{ discount: '0.9', effective_from: '2026-02-01', effective_to: '2026-01-01' }],
    }),
    path: 'prices["main/small"].discounts[0].effective_to',
    says: ['not after'],
  },
  {
    name: 'a balance of nothing',
    text: price({ balances: [{ id: 'free', kind: 'free_quota', unit: 'tokens', amount: 0 }] }),
    path: 'prices["main/small"].balances[0].amount',
    says: ['above 0'],
  },
  {
    name: 'a price of an unknown provider',
    text: price({}, 'mian/*'),
    path: 'prices["mian/*"]',
    says: ['did you mean "main/*"?'],
  },
  {
    name: 'a price pattern inside a name',
    text: price({}, 'main/sm*'),
    path: 'prices["main/sm*"]',
    says: ['PROVIDER/MODEL or PROVIDER/*'],
  },
  {
    name: 'a price in a currency without a rate',
    text: price({ currency: 'USD' }),
    path: 'prices["main/small"].currency',
    says: ['no rate for USD'],
  },
  {
    name: 'a currency that is none',
    text: price({ currency: 'yuan' }),
    path: 'prices["main/small"].currency',
    says: ['an ISO 4217 code'],
  },
  {
    name: 'a rate as a number',
    text: config({ fx: { USD: 7.1 } }),
    path: 'fx.USD',
    says: ['put it in quotes'],
  },
  {
    name: 'a rate that is no decimal',
    text: config({ fx: { USD: '7,1' } }),
    path: 'fx.USD',
    says: ['malformed'],
  },
  {
    name: 'two rates for one instant',
    text: config({ fx: { USD: [{ rate: '7.1' }, { rate: '7.2', effective_from: '2026-10-01' }] } }),
    path: 'fx.USD[1].effective_from',
    says: ['overlaps [0], which holds for ever', '"2026-10-01"'],
  },
  {
    name: 'no rate between two',
    text: config({
      fx: {
        USD: [
          { rate: '7.2', effective_from: '2026-10-02' },
          { rate: '7.1', effective_to: '2026-10-01' },
        ],
      },
    }),
    path: 'fx.USD[0].effective_from',
    says: ['leaves a gap after [1], which ends at 2026-10-01'],
  },
  {
    name: 'a rate that ends before it begins',
    text: config({
      fx: { USD: [{ rate: '7.1', effective_from: '2026-10-01', effective_to: '2026-09-01' }] },
    }),
    path: 'fx.USD[0].effective_to',
    says: ['not after effective_from'],
  },
  {
    name: 'a dated rate of zero',
    text: config({ fx: { USD: [{ rate: '0' }] } }),
    path: 'fx.USD[0].rate',
    says: ['above 0'],
  },
  {
    name: 'a dated rate as a number',
    text: config({ fx: { USD: [{ rate: 7.1 }] } }),
    path: 'fx.USD[0].rate',
    says: ['put it in quotes'],
  },
  { name: 'no rates', text: config({ fx: { USD: [] } }), path: 'fx.USD', says: ['out of range'] },
  { name: 'a rate of zero', text: config({ fx: { USD: '0' } }), path: 'fx.USD', says: ['above 0'] },
  {
    name: 'a rate of the books',
    text: config({ fx: { CNY: '1' } }),
    path: 'fx.CNY',
    says: ['currency of the books'],
  },
  {
    name: 'a free quota since no date',
    text: config({
      providers: { main: { use: 'vendor', api_key: 'secret-of-vendor', free_quota: 'soon' } },
    }),
    path: 'providers.main.free_quota',
    says: ['is no date'],
  },
  {
    name: 'two balances of one name',
    text: config({
      prices: Object.fromEntries(
        [1, 2].map((amount) => [
          `main/m${amount}`,
          { balances: [{ id: 'pack', kind: 'package', unit: 'tokens', amount }] },
        ]),
      ),
    }),
    path: 'prices["main/m2"].balances[0].id',
    says: ['names another balance before'],
  },
  {
    name: 'an unknown time zone of the books',
    text: config({ time_zone: 'Asia/Shanghia' }),
    path: 'time_zone',
    says: ['no time zone', 'an IANA name'],
  },
  {
    name: 'an unknown time zone',
    text: band({ timezone: 'Asia/Shanghia' }),
    path: 'prices["main/small"].time_bands[0].timezone',
    says: ['no time zone'],
  },
  {
    name: 'a time of day that is none',
    text: band({ start: '24:00' }),
    path: 'prices["main/small"].time_bands[0].start',
    says: ['HH:MM'],
  },
  {
    name: 'an empty band',
    text: band({ start: '08:30' }),
    path: 'prices["main/small"].time_bands[0].end',
    says: ['is the start'],
  },
  {
    name: 'a day that does not exist',
    text: price({ effective_from: '2026-13-01' }),
    path: 'prices["main/small"].effective_from',
    says: ['no date'],
  },
  {
    name: 'dates in the wrong order',
    text: price({ effective_from: '2026-02-01', effective_to: '2026-01-01' }),
    path: 'prices["main/small"].effective_to',
    says: ['not after'],
  },
  // Keys.
  {
    name: 'a short key',
    text: key({ key: 'sk-01234567' }),
    path: 'keys[0].key',
    says: ['too short', 'a string of 11 characters'],
  },
  {
    name: 'a key with white space',
    text: key({ key: 'sk-0123 456789' }),
    path: 'keys[0].key',
    says: ['header'],
  },
  {
    name: 'a key as a number',
    text: key({ key: 123456789012 }),
    path: 'keys[0].key',
    says: ['put it in quotes', 'found a number'],
  },
  {
    name: 'a key of an unknown model',
    text: key({ models: ['asistant'] }),
    path: 'keys[0].models[0]',
    says: ['did you mean "assistant"?'],
  },
  {
    name: 'a key of all models of an unknown provider',
    text: key({ models: ['mian/*'] }),
    path: 'keys[0].models[0]',
    says: ['did you mean "main/*"?'],
  },
  // Stores.
  {
    name: 'an unknown store',
    text: config({ store: 'sqlit:a.db' }),
    path: 'store',
    says: ['no store', 'did you mean "sqlite:"?'],
  },
  {
    name: 'a store without a place',
    text: config({ store: 'redis://' }),
    path: 'store',
    says: ['not whole'],
  },
  {
    name: 'sentinels without the name of their master',
    text: config({ store: 'redis-sentinel://a:1,b:2' }),
    path: 'store',
    says: ['names no master', 'redis-sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME'],
  },
  {
    name: 'a port that cannot be',
    text: config({ store: 'redis-cluster://a:1,b:70000' }),
    path: 'store',
    says: ['port of host 2', '65535'],
  },
  {
    name: 'a retention without its unit',
    text: config({ ledger: { retention: '400' } }),
    path: 'ledger.retention',
    says: ['400'],
  },
  {
    name: 'a durability that there is not',
    text: config({ ledger: { durability: 'powr' } }),
    path: 'ledger.durability',
    says: ['process | power', 'did you mean "power"?'],
  },
  {
    name: 'an archive that there is not',
    text: config({ ledger: { archive: 'maybe' } }),
    path: 'ledger.archive',
    says: ['auto | on | off'],
  },
  {
    name: 'rows that stay without a unit',
    text: config({ ledger: { redis_rows: '3600' } }),
    path: 'ledger.redis_rows',
    says: ['3600'],
  },
  {
    name: 'a host with a port',
    text: config({ server: { host: 'http://localhost' } }),
    path: 'server.host',
    says: ['no host'],
  },
]

test.each(CASES)('$name is a problem at $path', ({ text, path, says }) => {
  const problems = problemsOf(text)
  const lines = formatProblems(problems)
  expect(problems.map((problem) => problem.path)).toEqual([path])
  for (const part of says) expect(lines).toContain(part)
  expect(lines.split('\n')).toHaveLength(1)
})

test.each([
  'http://localhost:8000/v1',
  'http://api.localhost.',
  'http://127.0.0.1',
  'http://2130706433',
  'http://0x7f.1',
  'http://10.1.2.3',
  'http://100.64.0.1',
  'http://169.254.169.254/latest',
  'http://172.31.255.255',
  'http://192.168.1.1',
  'http://0.0.0.0',
  'http://[::1]:8000',
  'http://[::]',
  'http://[fd00::1]',
  'http://[fe80::1]',
  'http://[::ffff:127.0.0.1]',
  'http://[64:ff9b::7f00:1]',
  'http://[2002:7f00:1::]',
])('%s needs allow_private', (url) => {
  const text = (allow: boolean): object => provider({ base_url: url, allow_private: allow })
  expect(problemsOf(text(false)).map((problem) => problem.allowed)).toEqual([
    'a public host, or allow_private: true beside it',
  ])
  expect(problemsOf(text(true))).toEqual([])
})

test.each([
  'https://api.example/v1',
  'http://11.0.0.1',
  'http://172.32.0.1',
  'http://100.128.0.1',
  'http://[2606:4700::1]',
  'http://localhost.example',
  'http://vllm:8000',
])('%s needs no leave', (url) => {
  expect(problemsOf(provider({ base_url: url }))).toEqual([])
})

test('a folder whose format has an address needs no base_url', () => {
  const text = config({
    providers: { main: { use: 'formatted' } },
    models: { a: { targets: ['main/old-1'] } },
  })
  expect(problemsOf(text)).toEqual([])
})

test('a model may be called like the one target it has', () => {
  expect(problemsOf(config({ models: { 'main/x': { targets: ['main/x'] } } }))).toEqual([])
})

test('names and keys of keys may stand once only', () => {
  const entry = { name: 'web', key: 'sk-0123456789' }
  const problems = problemsOf(config({ keys: [entry, entry] }))
  expect(problems.map((problem) => [problem.path, problem.message])).toEqual([
    ['keys[1].name', 'is that of keys[0].name too'],
    ['keys[1].key', 'is that of keys[0].key too'],
  ])
})

test('problems of shape and of sense are reported together, at their places', () => {
  const problems = problemsOf({
    sever: {},
    server: { port: 'x' },
    providers: { main: { use: 'vender' }, other: { use: 'vendor', api_kee: 'k' } },
    models: {
      a: { policy: 'nope', targets: [1, 'main/small', 'mian/small', { target: 'main/b', weight: 0 }] },
    },
    keys: [{ name: 'x' }, { name: 'y', key: 'short', models: ['b'] }],
    store: 'mysql://x',
  })
  expect(problems.map((problem) => problem.path).sort()).toEqual(
    [
      'sever',
      'server.port',
      'providers.main.use',
      'providers.other.api_kee',
      'models.a.policy',
      'models.a.targets[0]',
      'models.a.targets[2]',
      'models.a.targets[3].weight',
      'keys[0].key',
      'keys[1].key',
      'keys[1].models[0]',
      'store',
    ].sort(),
  )
})

test('syntax errors of YAML name line and column', () => {
  const problems = problemsOf('server: { port: 1 }\nserver: { port: 2 }\nmodels: [')
  expect(problems.map((problem) => problem.path)).toContain('line 2, column 1')
  expect(problems.every((problem) => problem.message.startsWith('not valid YAML'))).toBe(true)
})

test('each unset variable is named', () => {
  const problems = problemsOf(provider({ api_key: '${ONE}${TWO}' }))
  expect(problems.map((problem) => problem.message)).toEqual([
    'the environment variable ONE is not set',
    'the environment variable TWO is not set',
  ])
})

test('no problem shows a secret', () => {
  const secret = 'hush-hush'
  const problems = problemsOf(
    {
      admin: { token: `${secret} x` },
      store: `postgres://u:${secret}@h/db`,
      providers: {
        main: { use: 'vendor', api_key: `${secret}\n`, base_url: `https://u:${secret}@h/?k=${secret}` },
      },
      models: { a: { targets: ['main/x'] } },
      keys: [
        { name: 'a', key: secret },
        { name: 'b', key: '${KEY}' },
        { name: 'c', key: { secret } },
      ],
    },
    { KEY: secret, SLUICE_ADMIN_TOKEN: `${secret} y`, SLUICE_STORE: `foo://${secret}` },
  )
  expect(problems.length).toBeGreaterThanOrEqual(7)
  expect(formatProblems(problems)).not.toContain(secret)
})

describe('the nearest name', () => {
  test.each([
    ['modles', 'models'],
    ['MODELS', 'models'],
    ['model', 'models'],
    ['zzzzzz', null],
    ['x', null],
  ])('of %s is %s', (word, nearest) => {
    expect(nearestName(word, ['providers', 'models', 'keys'])).toBe(nearest)
  })
})
