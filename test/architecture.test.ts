// The import law of DESIGN.md 4, and the bounds that keep files readable.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')

interface Room {
  readonly path: string
  /** Rooms it may import, by their path prefix. */
  readonly may: readonly string[]
  readonly packages: readonly string[]
}

const PURE = ['src/core']
const ROOMS: readonly Room[] = [
  { path: 'src/core', may: [], packages: [] },
  { path: 'src/wire', may: PURE, packages: [] },
  { path: 'src/pricing', may: PURE, packages: [] },
  { path: 'src/routing', may: PURE, packages: [] },
  { path: 'src/settings', may: PURE, packages: ['zod', 'yaml'] },
  { path: 'src/pipeline', may: [...PURE, 'src/wire', 'src/pricing', 'src/routing'], packages: [] },
  { path: 'src/store/redis', may: [...PURE, 'src/store'], packages: ['ioredis'] },
  { path: 'src/store', may: PURE, packages: [] },
  { path: 'src/telemetry', may: PURE, packages: ['prom-client'] },
  { path: 'src/http', may: [...PURE, 'src/pipeline', 'src/settings'], packages: ['hono'] },
  { path: 'src/simulator', may: [], packages: ['node:'] },
  {
    path: 'src/runtime/node',
    may: [
      'src/core',
      'src/wire',
      'src/pricing',
      'src/routing',
      'src/settings',
      'src/pipeline',
      'src/store',
      'src/telemetry',
      'src/http',
    ],
    packages: ['node:', 'hono', '@hono/node-server', 'undici'],
  },
  { path: 'src/cli', may: ['src/', 'providers'], packages: ['node:', 'yaml'] },
  { path: 'providers', may: ['src/core', 'src/wire'], packages: [] },
]

const files = ['src', 'providers']
  .flatMap((folder) => list(join(root, folder)))
  .filter((file) => /\.(ts|mjs)$/.test(file))

function list(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? entry.name === 'fixtures'
        ? []
        : list(join(folder, entry.name))
      : [join(folder, entry.name)],
  )
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  return [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*'([^']+)'|\bimport\(\s*'([^']+)'|(?:^|\n)\s*import\s*'([^']+)'/g,
    ),
  ].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

function targetOf(file: string, specifier: string): string | null {
  if (specifier.startsWith('#providers/')) return specifier.replace('#', '')
  if (specifier.startsWith('#')) return `src/${specifier.slice(1)}`
  if (specifier.startsWith('.')) return relative(root, resolve(dirname(file), specifier))
  return null
}

const roomOf = (path: string): Room | undefined => ROOMS.find((room) => path.startsWith(`${room.path}/`))

test('every file belongs to a room', () => {
  expect(files.map((file) => relative(root, file)).filter((path) => roomOf(path) === undefined)).toEqual([])
})

test('imports point down', () => {
  const broken: string[] = []
  for (const file of files) {
    const path = relative(root, file)
    const room = roomOf(path)
    if (room === undefined) continue
    for (const specifier of importsOf(file)) {
      const target = targetOf(file, specifier)
      const allowed =
        target === null
          ? room.packages.some((name) =>
              name.endsWith(':')
                ? specifier.startsWith(name)
                : specifier === name || specifier.startsWith(`${name}/`),
            )
          : target.startsWith(`${room.path}/`)
            ? room.path !== 'providers' || target.split('/')[1] === path.split('/')[1]
            : room.may.some((prefix) => target.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`))
      if (!allowed) broken.push(`${path} imports ${specifier}`)
    }
  }
  expect(broken).toEqual([])
})

test('pure rooms read no clock, no chance and no globals of a runtime', () => {
  const pure = [
    'src/core',
    'src/wire',
    'src/pricing',
    'src/routing',
    'src/pipeline',
    'src/settings',
    'providers',
  ]
  const banned =
    /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bprocess\.|\bsetTimeout\(|\bsetInterval\(|(?<![.\w#])fetch\(|\bBuffer\.|\bperformance\./
  const broken = files
    .map((file) => relative(root, file))
    .filter((path) => pure.some((room) => path.startsWith(`${room}/`)))
    .filter((path) => {
      const code = readFileSync(join(root, path), 'utf8').replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '')
      return banned.test(code)
    })
  expect(broken).toEqual([])
})

test('nothing but its own folder names a provider', () => {
  const ids = readdirSync(join(root, 'providers'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .filter((id) => id !== 'openai' && id !== 'openai-compatible')
  const neutral = [
    'src/core',
    'src/wire',
    'src/pricing',
    'src/routing',
    'src/settings',
    'src/pipeline',
    'src/store',
    'src/telemetry',
    'src/http',
    'src/runtime',
  ]
  const broken = files
    .map((file) => relative(root, file))
    .filter((path) => neutral.some((room) => path.startsWith(`${room}/`)))
    .flatMap((path) => {
      const code = readFileSync(join(root, path), 'utf8').replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '')
      return ids.filter((id) => new RegExp(`['"\`]${id}['"\`]`).test(code)).map((id) => `${path} names ${id}`)
    })
  expect(broken).toEqual([])
})

test('there are no import cycles', () => {
  const graph = new Map(
    files.map((file) => {
      const path = relative(root, file)
      const code = readFileSync(file, 'utf8')
      const typeOnly = new Set(
        [...code.matchAll(/import type [^'"`;]*?from\s*'([^']+)'/g)].map((match) => match[1]),
      )
      const targets = importsOf(file)
        .filter((specifier) => !typeOnly.has(specifier))
        .map((specifier) => targetOf(file, specifier))
        .filter((target) => target !== null)
      return [path, targets] as const
    }),
  )
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    if (done.has(path) || trail.includes(path)) return
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  expect(cycles).toEqual([])
})

test('files stay short enough to read', () => {
  const long = files.map(
    (file) => [relative(root, file), readFileSync(file, 'utf8').split('\n').length] as const,
  )
  expect(long.filter(([, lines]) => lines > 350).map(([path, lines]) => `${path}: ${lines} lines`)).toEqual(
    [],
  )
})
