import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { REQUEST_BODY_BYTES_MAX } from '#core/limits.ts'
import type { Provider } from '#core/provider.ts'
import { loadSettings, noProviderEnabled } from '#settings/load.ts'
import { formatProblems } from '#settings/problems.ts'
import { config, digest, load, problemsOf, providers, settingsOf, vendor } from './fixtures.ts'

/** What only the planner reads, as it is where nobody says otherwise. */
const UNPLANNED = {
  maxPrice: null,
  preferredMaxLatency: null,
  preferredMinThroughput: null,
  affinity: 'priced',
  explore: { maxShare: 0.05 },
  hedge: { enabled: false, maxExtraCost: 0.05, maxShare: 0.05 },
} as const

describe('a small configuration', () => {
  const settings = settingsOf(config())

  test('takes the documented defaults', () => {
    expect(settings).toMatchObject({
      server: {
        host: '127.0.0.1',
        port: 8787,
        drainMs: 30_000,
        bodyBytesMax: REQUEST_BODY_BYTES_MAX,
        bodyIdleMs: 60_000,
        bodyMsMax: 300_000,
      },
      admin: { token: null },
      metrics: { public: false },
      store: 'sqlite:data/sluice.db',
      ledger: { retentionMs: 400 * 86_400_000, durability: 'process' },
      currency: 'CNY',
      prices: [],
      keys: [],
    })
    expect(settings.models.get('assistant')).toEqual({
      name: 'assistant',
      policy: 'default',
      targets: [
        {
          id: 'main/small',
          provider: 'main',
          model: 'small',
          weight: 1,
          priority: 0,
          contextWindow: null,
          capabilities: null,
        },
      ],
    })
  })

  test('has the built-in default policy', () => {
    expect(settings.policies.get('default')).toEqual({
      name: 'default',
      version: expect.any(String),
      sort: 'value',
      slo: { ttftMs: null, ttftMsPer1kInput: 0, tpotMs: null, attainment: 0.95, value: 'auto' },
      ...UNPLANNED,
      onNoCandidate: 'best_value',
      retry: { attempts: 3, onStatusCodes: [408, 429, 500, 502, 503, 504], respectRetryAfter: true },
      outlierDetection: { consecutive5xx: 3, baseEjectionMs: 5_000, maxEjectionMs: 60_000 },
      dataPolicy: null,
      onModeration: 'stop',
      timeouts: { connectMs: 2_000, ttftMs: null, idleMs: 60_000, totalMs: 600_000 },
    })
  })

  test('is frozen to its leaves, but for the folders of providers', () => {
    const main = settings.providers.get('main')
    expect(Object.isFrozen(settings)).toBe(true)
    expect(Object.isFrozen(settings.server)).toBe(true)
    expect(Object.isFrozen(main)).toBe(true)
    expect(Object.isFrozen(settings.models.get('assistant')?.targets[0])).toBe(true)
    expect(Object.isFrozen(settings.policies.get('default')?.retry.onStatusCodes)).toBe(true)
    expect(Object.isFrozen(main?.provider)).toBe(false)
  })
})

test('YAML and JSON say the same', () => {
  const yaml =
    'providers: { main: { use: vendor, api_key: secret-of-vendor } }\nmodels: { assistant: { targets: [main/small] } }'
  expect(settingsOf(yaml)).toEqual(settingsOf(config()))
})

test('every setting in force arrives where the pipeline reads it', () => {
  const settings = settingsOf({
    server: {
      host: '0.0.0.0',
      port: 0,
      drain_ms: 1,
      body_bytes_max: 100,
      body_idle_ms: 4,
      body_ms_max: 5,
      abandoned: { drain_ms: 2, bytes_max: 3, drains_max: 0 },
    },
    admin: { token: 'admin-token' },
    metrics: { public: true },
    store: 'rediss://:password@redis.example:6380/1',
    currency: 'USD',
    fx: { CNY: '0.14' },
    providers: {
      main: {
        use: 'vendor',
        api_key: 'k',
        base_url: 'https://x.intl.vendor.example/v1/',
        allow_private: false,
        on_client_abort: 'estimate',
      },
      lab: { use: 'hosted', base_url: 'http://127.0.0.1:9000/v1', allow_private: true, region: 'lab' },
    },
    prices: {
      'lab/*': { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '0.8', output: '2' }] },
    },
    models: {
      assistant: {
        policy: 'own',
        targets: [
          {
            target: 'lab/a/b:c',
            weight: 0.5,
            priority: -1,
            context_window: 128_000,
            capabilities: ['tools', 'vision'],
            region: 'lab-2',
            retention: 'none',
            trains_on_data: false,
            filing_no: 'Beijing-1',
          },
        ],
      },
    },
    policies: {
      own: {
        sort: 'weighted',
        slo: { ttft_ms: 1500 },
        on_no_candidate: 'reject',
        retry: { attempts: 10, on_status_codes: [500], respect_retry_after: false },
        outlier_detection: { consecutive_5xx: 1, base_ejection_ms: 2, max_ejection_ms: 3 },
        data_policy: { region: ['lab', 'cn'], retention: '30d', trains_on_data: false, filing_no: true },
        on_moderation: { allow: ['lab'] },
        timeouts: { connect_ms: 4, ttft_ms: 5, idle_ms: 6, total_ms: 7 },
      },
    },
    keys: [
      { name: 'web', key: 'sk-0123456789', models: ['assistant', 'lab/*', 'main/x'], tags: { app: 'web' } },
    ],
  })
  expect(settings).toMatchObject({
    server: {
      host: '0.0.0.0',
      port: 0,
      drainMs: 1,
      bodyBytesMax: 100,
      bodyIdleMs: 4,
      bodyMsMax: 5,
      abandoned: { drainMs: 2, bytesMax: 3, drainsMax: 0 },
    },
    admin: { token: 'admin-token' },
    metrics: { public: true },
    store: 'rediss://:password@redis.example:6380/1',
    currency: 'USD',
    prices: [
      {
        pattern: 'lab/*',
        entry: {
          model: '*',
          currency: 'CNY',
          unit: 'per_million_tokens',
          tiers: [{ input: '0.8', output: '2' }],
        },
      },
    ],
    keys: [
      {
        name: 'web',
        digest: digest('sk-0123456789'),
        models: ['assistant', 'lab/*', 'main/x'],
        tags: { app: 'web' },
      },
    ],
    notices: [],
  })
  expect(settings.fx).toEqual(
    new Map([['CNY', [{ rate: 140_000n, fromMs: -Infinity, toMs: Infinity, since: null }]]]),
  )
  expect(settings.providers.get('main')).toEqual({
    name: 'main',
    provider: vendor,
    apiKey: 'k',
    accounts: [],
    baseUrl: 'https://x.intl.vendor.example/v1',
    region: 'intl',
    allowPrivate: false,
    onClientAbort: 'estimate',
    data: { region: 'intl', retentionMs: null, trainsOnData: null, filingNo: null },
    enabled: true,
  })
  expect(settings.providers.get('lab')).toMatchObject({
    apiKey: null,
    accounts: [],
    region: 'lab',
    onClientAbort: null,
    enabled: true,
  })
  expect(settings.models.get('assistant')?.targets).toEqual([
    {
      id: 'lab/a/b:c',
      provider: 'lab',
      model: 'a/b:c',
      weight: 0.5,
      priority: -1,
      contextWindow: 128_000,
      capabilities: ['tools', 'vision'],
    },
  ])
  expect(settings.targetData).toEqual(
    new Map([['lab/a/b:c', { region: 'lab-2', retentionMs: 0, trainsOnData: false, filingNo: 'Beijing-1' }]]),
  )
  expect(settings.policies.get('own')).toEqual({
    name: 'own',
    version: expect.any(String),
    sort: 'weighted',
    slo: { ttftMs: 1500, ttftMsPer1kInput: 0, tpotMs: null, attainment: 0.95, value: 'auto' },
    ...UNPLANNED,
    onNoCandidate: 'reject',
    retry: { attempts: 10, onStatusCodes: [500], respectRetryAfter: false },
    outlierDetection: { consecutive5xx: 1, baseEjectionMs: 2, maxEjectionMs: 3 },
    dataPolicy: {
      regions: ['lab', 'cn'],
      retentionMsMax: 30 * 24 * 3_600_000,
      trainsOnData: false,
      filingNos: 'any',
    },
    onModeration: ['lab'],
    timeouts: { connectMs: 4, ttftMs: 5, idleMs: 6, totalMs: 7 },
  })
})

test('a policy called default stands in for the built-in one', () => {
  const settings = settingsOf(config({ policies: { default: { sort: 'latency' } } }))
  expect(settings.policies.get('default')?.sort).toBe('latency')
})

describe('a region that is set', () => {
  const PRICED = { currency: 'CNY', unit: 'per_million_tokens', tiers: [{ input: '1', output: '2' }] }
  const withRegion = (region: string, more: object = {}) => ({
    ...config(),
    providers: { main: { use: 'vendor', api_key: 'k', region } },
    ...more,
  })
  const loadWith = (text: object, listed: readonly string[]) =>
    loadSettings({ text: JSON.stringify(text), providers, env: {}, digest, priceRegions: () => listed })

  test('must be one of the folder’s or of its price list, with the nearest one named', () => {
    const result = loadWith(withRegion('intll'), ['cn', 'intl', 'us'])
    expect('problems' in result ? result.problems : []).toEqual([
      {
        path: 'providers.main.region',
        message: 'Vendor has no such region',
        found: '"intll"',
        allowed: 'cn, intl, us',
        nearest: 'intl',
      },
    ])
    expect(loadWith(withRegion('us'), ['us'])).toHaveProperty('settings')
  })

  test('may be that of a price of the configuration', () => {
    const price = { ...PRICED, region: 'eu' }
    expect(loadWith(withRegion('eu', { prices: { 'main/*': price } }), ['cn'])).toHaveProperty('settings')
    expect(loadWith(withRegion('eu', { prices: { 'main/*': PRICED } }), ['cn'])).toHaveProperty('problems')
  })
})

test.each([
  { name: 'the folder when there is no address', provider: {}, region: 'cn' },
  { name: 'the host', provider: { base_url: 'https://intl.vendor.example' }, region: 'intl' },
  { name: 'a host below it', provider: { base_url: 'https://a.b.intl.vendor.example/v1' }, region: 'intl' },
  {
    name: 'the folder when only the end of the host looks alike',
    provider: { base_url: 'https://evilvendor.example' },
    region: 'cn',
  },
  {
    name: 'the configuration before all',
    provider: { base_url: 'https://intl.vendor.example', region: 'cn' },
    region: 'cn',
  },
])('the region comes from $name', ({ provider, region }) => {
  const settings = settingsOf(config({ providers: { main: { use: 'vendor', api_key: 'k', ...provider } } }))
  expect(settings.providers.get('main')?.region).toBe(region)
})

describe('a provider whose key is empty', () => {
  const text = config({
    providers: {
      main: { use: 'vendor', api_key: '${VENDOR_KEY:-}' },
      bare: { use: 'vendor' },
      lab: { use: 'hosted', base_url: 'https://lab.example' },
    },
    models: { assistant: { targets: ['main/small', 'lab/x'] }, lonely: { targets: ['bare/small'] } },
    keys: [{ name: 'web', key: 'sk-0123456789' }],
  })

  test('is disabled and named, and so are its targets', () => {
    const settings = settingsOf(text)
    expect([...settings.providers.values()].map(({ name, enabled }) => [name, enabled])).toEqual([
      ['main', false],
      ['bare', false],
      ['lab', true],
    ])
    expect(settings.notices).toEqual([
      'provider "main" is disabled: api_key is empty (set VENDOR_KEY)',
      'provider "bare" is disabled: api_key is empty (set providers.bare.api_key)',
      'target "main/small" is disabled with its provider (models: assistant)',
      'target "bare/small" is disabled with its provider (models: lonely)',
      'model "lonely" has no enabled target: it answers 503',
    ])
    expect(noProviderEnabled(settings)).toBeNull()
  })

  test('leaves nothing to serve when it is the only one', () => {
    const alone = config({ providers: { main: { use: 'vendor', api_key: '${VENDOR_KEY:-}' } } })
    expect(noProviderEnabled(settingsOf(alone))).toContain('set VENDOR_KEY')
    expect(noProviderEnabled(settingsOf({ providers: {}, models: {} }))).toContain('add one under providers')
  })
})

describe('the environment', () => {
  test.each([
    { text: '${A}', env: { A: 'x' }, value: 'x' },
    { text: 'a-${A}-${B:-b}-c', env: { A: 'x' }, value: 'a-x-b-c' },
    { text: '${A:-b}', env: { A: '' }, value: 'b' },
    { text: '${A:-}x', env: {}, value: 'x' },
    { text: '$${A}', env: { A: 'x' }, value: '${A}' },
    { text: '${A}', env: { A: '${B}', B: 'x' }, value: '${B}' },
    { text: '${A:-b:-c}', env: {}, value: 'b:-c' },
    { text: '$A $', env: { A: 'x' }, value: '$A $' },
  ])('makes $text with $env into $value', ({ text, env, value }) => {
    const settings = settingsOf(
      config({ keys: [{ name: 'n', key: 'k'.repeat(12), tags: { t: text } }] }),
      env,
    )
    expect(settings.keys[0]?.tags['t']).toBe(value)
  })

  test('also gives numbers and booleans', () => {
    const text = config({
      server: { port: '${PORT:-9000}' },
      metrics: { public: '${OPEN}' },
      models: { a: { targets: [{ target: 'main/small', weight: '${WEIGHT}' }] } },
    })
    const settings = settingsOf(text, { OPEN: 'true', WEIGHT: '0.5' })
    expect(settings.server.port).toBe(9000)
    expect(settings.metrics.public).toBe(true)
    expect(settings.models.get('a')?.targets[0]?.weight).toBe(0.5)
  })

  test('goes over the file', () => {
    const env = {
      SLUICE_HOST: '::1',
      SLUICE_PORT: '9000',
      SLUICE_STORE: 'memory:',
      SLUICE_ADMIN_TOKEN: 'from-env',
      SLUICE_LOG_LEVEL: 'debug',
    }
    const text = config({
      server: { host: '0.0.0.0', port: 1 },
      store: 'sqlite:a.db',
      admin: { token: 'file' },
    })
    expect(settingsOf(text, env)).toMatchObject({
      server: { host: '::1', port: 9000 },
      store: 'memory:',
      admin: { token: 'from-env' },
    })
    expect(settingsOf(text, { SLUICE_PORT: '' }).server.port).toBe(1)
  })

  test('is checked like the file', () => {
    const env = {
      SLUICE_HOST: 'http://x',
      SLUICE_PORT: '70000',
      SLUICE_STORE: 'mysql:x',
      SLUICE_ADMIN_TOKEN: 'a b',
      SLUICE_LOG_LEVEL: 'loud',
    }
    const paths = problemsOf(config(), env).map((problem) => problem.path)
    expect(paths.sort()).toEqual([
      'env SLUICE_ADMIN_TOKEN',
      'env SLUICE_HOST',
      'env SLUICE_LOG_LEVEL',
      'env SLUICE_PORT',
      'env SLUICE_STORE',
    ])
  })
})

describe('config/sluice.yaml', () => {
  const path = join(import.meta.dirname, '../../../config/sluice.yaml')
  // The real folders are tested elsewhere; here only their names count.
  const named = (id: string, provider: Provider): Provider => ({ ...provider, id })
  const folders = new Map(
    ['doubao', 'qwen', 'ernie', 'deepseek'].map((id) => [id, named(id, vendor)] as const),
  )

  test('is valid', () => {
    const text = readFileSync(path, 'utf8')
    const settings = settingsOf(text, { SLUICE_KEY: 'sk-choose-your-own', DASHSCOPE_API_KEY: 'k' }, folders)
    expect(settings.providers.get('qwen')?.enabled).toBe(true)
    expect(settings.keys).toHaveLength(1)
  })

  test('says what to set when SLUICE_KEY is not', () => {
    const text = readFileSync(path, 'utf8')
    const problems = problemsOf(text, {}, folders)
    expect(formatProblems(problems)).toBe(
      'keys[0].key: the environment variable SLUICE_KEY is not set (found ${SLUICE_KEY}; allowed: set SLUICE_KEY, or write ${SLUICE_KEY:-default})',
    )
  })
})

describe('whatever the text holds', () => {
  test('loading never throws on random JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const result = load(text)
        expect('settings' in result || result.problems.length > 0).toBe(true)
      }),
    )
  })

  test('loading never throws on random values at the places of a configuration', () => {
    const names = [
      'use',
      'api_key',
      'base_url',
      'region',
      'target',
      'targets',
      'policy',
      'tiers',
      'input',
      'currency',
      'unit',
      'slo',
      'ttft_ms',
      'sort',
      'on_moderation',
      'allow',
      'name',
      'key',
      'models',
      'tags',
      '__proto__',
      'constructor',
    ]
    const leaf = fc.oneof(
      fc.constantFrom(
        'vendor',
        'main/small',
        '${A}',
        '${',
        '$${',
        'https://u:p@h/?q',
        'http://[::1]',
        '0.8',
        'CNY',
        'stop',
      ),
      fc.string(),
      fc.double(),
      fc.constant(null),
      fc.boolean(),
    )
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...names), tie('tree'), { maxKeys: 5 }),
      ),
    }))
    const section = fc.oneof(tree, fc.dictionary(fc.constantFrom('main', 'lab/x', 'a b', 'USD'), tree))
    const whole = fc.dictionary(
      fc.constantFrom('providers', 'models', 'policies', 'prices', 'keys', 'fx', 'server', 'store', 'admin'),
      section,
    )
    fc.assert(
      fc.property(whole, (value) => {
        const text = JSON.stringify(value)
        const result = load(text, { A: 'x' })
        if ('problems' in result) formatProblems(result.problems)
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    { name: 'deep nesting', text: '['.repeat(20_000) },
    { name: 'a cycle of anchors', text: 'providers: &a { x: *a, y: *a }' },
    { name: 'a bomb of aliases', text: bomb() },
    { name: 'nothing', text: '' },
    { name: 'a comment', text: '# nothing' },
    { name: 'a bare word', text: 'hello' },
    { name: 'a list', text: '[1]' },
  ])('$name is a problem and no crash', ({ text }) => {
    expect(loadSettings({ text, providers, env: {}, digest })).toHaveProperty('problems')
  })
})

function bomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let level = 1; level < 9; level++) {
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    )
  }
  return lines.join('\n')
}

test('a contract without tiers goes over the list’s price, in the books’ currency', () => {
  const settings = settingsOf(
    config({
      prices: {
        'main/*': {
          discounts: [{ discount: '0.85', effective_from: '2026-01-01' }],
          balances: [{ id: 'pack', kind: 'package', unit: 'tokens', amount: 1000 }],
        },
      },
    }),
  )
  expect(settings.prices).toEqual([
    {
      pattern: 'main/*',
      entry: {
        model: '*',
        currency: 'CNY',
        unit: 'per_million_tokens',
        tiers: [],
        discounts: [{ discount: '0.85', effective_from: '2026-01-01' }],
        balances: [{ id: 'pack', kind: 'package', unit: 'tokens', amount: 1000 }],
      },
    },
  ])
})
