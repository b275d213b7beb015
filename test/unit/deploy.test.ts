// What deploy/ names must exist: variables in the code or the configuration, files in the tree.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { configSchema } from '#settings/schema.ts'

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'deploy')
const files = readdirSync(folder)
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

interface Service {
  readonly command?: readonly string[]
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly stop_grace_period?: string
}

const compose = parse(read('compose.yaml')) as {
  readonly services: { readonly sluice: Service; readonly redis: Service }
  readonly volumes: Readonly<Record<string, unknown>>
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>
}

/** All that the program or its shipped configuration reads from the environment. */
function knownText(): string {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(root, 'src', path), 'utf8'))
  return [...sources, readFileSync(join(root, 'config/sluice.yaml'), 'utf8')].join('\n')
}

describe('every file', () => {
  const known = knownText()

  test.each(files)('%s names only environment variables that are read', (name) => {
    const named = new Set(read(name).match(/\b(SLUICE_[A-Z_]+|[A-Z]+_API_KEY)\b/g))
    expect([...named].filter((variable) => !new RegExp(`\\b${variable}\\b`).test(known))).toEqual([])
  })

  test('is named by the page that says how it is used', () => {
    const page = read('README.md')
    const unnamed = files.filter((name) => name !== 'README.md' && !name.endsWith('.dockerignore'))
    expect(unnamed.filter((name) => !page.includes(name))).toEqual([])
  })

  test('is linked to by paths that exist', () => {
    const links = [...read('README.md').matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1] ?? '')
    expect(links).not.toEqual([])
    expect(links.filter((link) => !existsSync(join(folder, link)))).toEqual([])
  })
})

describe('Dockerfile', () => {
  const lines = read('Dockerfile').split('\n')
  const sources = lines
    .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
    .flatMap((line) => line.split(/\s+/).slice(1, -1))

  test('copies what exists and what its ignore file lets through', () => {
    const ignore = read('Dockerfile.dockerignore').split('\n')
    expect(sources).toEqual(expect.arrayContaining(['package-lock.json', 'src', 'providers', 'config']))
    expect(sources.filter((source) => !existsSync(join(root, source)))).toEqual([])
    expect(ignore).toContain('*')
    expect(sources.filter((source) => !ignore.includes(`!${source}`))).toEqual([])
  })

  test('runs the pinned Node as a user without rights', () => {
    const command = lines.find((line) => line.startsWith('CMD ')) ?? ''
    const [node, script, name] = JSON.parse(command.slice(4)) as string[]
    expect(node).toBe('node_modules/.bin/node')
    expect(manifest.dependencies['node']).toMatch(/^24\./)
    expect(existsSync(join(root, script ?? ''))).toBe(true)
    expect(name).toBe('serve')
    expect(lines).toContain('USER node')
  })

  test('asks /livez whether it lives', () => {
    expect(read('Dockerfile')).toMatch(/^HEALTHCHECK .*\\\n.*\/livez/m)
  })
})

describe('compose.yaml', () => {
  const { sluice, redis } = compose.services

  test('keeps what Redis holds: appended to a file, never evicted', () => {
    const command = redis.command ?? []
    const settingOf = (option: string): string | undefined => command[command.indexOf(option) + 1]
    expect(settingOf('--maxmemory-policy')).toBe('noeviction')
    expect(settingOf('--appendonly')).toBe('yes')
  })

  test('builds from files that exist and points the gateway at its Redis', () => {
    const context = join(folder, sluice.build?.context ?? '')
    expect(existsSync(join(context, sluice.build?.dockerfile ?? ''))).toBe(true)
    expect(new URL(sluice.environment?.['SLUICE_STORE'] ?? '').hostname).toBe('redis')
  })

  test('mounts folders that exist and volumes that are declared', () => {
    const mounted = [...(sluice.volumes ?? []), ...(redis.volumes ?? [])].map(
      (entry) => entry.split(':')[0] ?? '',
    )
    expect(mounted).toHaveLength(3)
    const missing = mounted.filter((source) =>
      source.startsWith('.') ? !existsSync(join(folder, source)) : !(source in compose.volumes),
    )
    expect(missing).toEqual([])
  })

  test('waits for running streams longer than the gateway does', () => {
    const { drain_ms: drainMs } = configSchema.shape.server.parse({})
    expect(sluice.stop_grace_period).toMatch(/^\d+s$/)
    expect(Number.parseInt(sluice.stop_grace_period ?? '', 10) * 1000).toBeGreaterThan(drainMs)
  })
})

describe('sluice.service', () => {
  const settings = new Map<string, string[]>()
  for (const line of read('sluice.service').split('\n')) {
    if (line === '' || line.startsWith('#') || /^\[\w+\]$/.test(line)) continue
    const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? []
    settings.set(key, [...(settings.get(key) ?? []), value])
  }

  test('consists of settings', () => {
    expect(settings.has('')).toBe(false)
    expect([...settings.keys()]).toEqual(expect.arrayContaining(['ExecStart', 'EnvironmentFile', 'WantedBy']))
  })

  test('starts the pinned Node with a script that exists', () => {
    const [node, script, name] = settings.get('ExecStart')?.[0]?.split(' ') ?? []
    expect(node).toBe(`${settings.get('WorkingDirectory')?.[0]}/node_modules/.bin/node`)
    expect(existsSync(join(root, script ?? ''))).toBe(true)
    expect(name).toBe('serve')
  })

  test('waits for running streams longer than the gateway does', () => {
    const { drain_ms: drainMs } = configSchema.shape.server.parse({})
    expect(Number(settings.get('TimeoutStopSec')?.[0]) * 1000).toBeGreaterThan(drainMs)
  })

  test('keeps its files where the unit may write', () => {
    const state = `/var/lib/${settings.get('StateDirectory')?.[0]}/`
    const paths = settings
      .get('Environment')
      ?.filter((line) => /^SLUICE_(STORE|JOURNAL)=/.test(line))
      .map((line) => line.replace(/^\w+=(sqlite:)?/, ''))
    expect(paths).toHaveLength(2)
    expect(paths?.filter((path) => !path.startsWith(state))).toEqual([])
  })
})

test('prometheus.yaml scrapes the path that the gateway serves, with the token that it asks for', () => {
  const { scrape_configs: jobs } = parse(read('prometheus.yaml')) as {
    readonly scrape_configs: readonly {
      readonly metrics_path: string
      readonly authorization: { readonly type: string; readonly credentials_file: string }
    }[]
  }
  expect(jobs).toHaveLength(1)
  expect(jobs[0]?.authorization.type).toBe('Bearer')
  const routes = readFileSync(join(root, 'src/http/operations.ts'), 'utf8')
  expect(routes).toContain(`app.get('${jobs[0]?.metrics_path}'`)
})
