// Provider folders and configurations that the tests of settings share.

import { createHash } from 'node:crypto'
import type { Provider } from '#core/provider.ts'
import type { Settings } from '#core/settings.ts'
import { loadSettings, type Problem } from '#settings/load.ts'

export const vendor = {
  id: 'vendor',
  title: 'Vendor',
  source: 'https://vendor.example/docs',
  baseUrl: 'https://api.vendor.example/v1',
  regions: [
    { region: 'intl', host: 'intl.vendor.example' },
    { region: 'cn', host: 'vendor.example' },
  ],
  region: 'cn',
  credential: { kind: 'bearer' },
  keyRequired: true,
  quirks: { streamUsage: 'option', thinking: { style: 'none' } },
  errors: [],
} satisfies Provider

export const hosted = {
  id: 'hosted',
  title: 'Self-hosted',
  source: 'https://hosted.example',
  region: 'local',
  credential: { kind: 'bearer' },
  keyRequired: false,
  quirks: { streamUsage: 'option', thinking: { style: 'none' } },
  errors: [],
} satisfies Provider

const format = {
  encode: () => ({ path: '/', headers: {}, body: '', dropped: [] }),
  openStream: () => ({ push: () => [], end: () => [], dropped: 0 }),
  decodeAnswer: () => [],
}

/** Has an address for models that start with `old-` only. */
export const formatted = {
  ...hosted,
  id: 'formatted',
  formats: [{ ...format, name: 'old', baseUrl: 'https://old.example' }],
  chooseFormat: ({ model }) => (model.startsWith('old-') ? 'old' : null),
} satisfies Provider

export const providers: ReadonlyMap<string, Provider> = new Map(
  [vendor, hosted, formatted].map((provider) => [provider.id, provider]),
)

export const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

export type Env = Readonly<Record<string, string | undefined>>

export function load(text: string | object, env: Env = {}, folders = providers) {
  const source = typeof text === 'string' ? text : JSON.stringify(text)
  return loadSettings({ text: source, providers: folders, env, digest })
}

export function settingsOf(text: string | object, env: Env = {}, folders = providers): Settings {
  const result = load(text, env, folders)
  if ('problems' in result) throw new Error(JSON.stringify(result.problems, null, 2))
  return result.settings
}

export function problemsOf(text: string | object, env: Env = {}, folders = providers): readonly Problem[] {
  const result = load(text, env, folders)
  return 'problems' in result ? result.problems : []
}

/** The least whole configuration, with `changes` at top level. */
export function config(changes: object = {}): object {
  return {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { assistant: { targets: ['main/small'] } },
    ...changes,
  }
}
