// `models:` of a configuration → the models applications ask for, with their targets.

import type { ModelSettings, ProviderSettings, TargetSettings } from '#core/settings.ts'
import { describe, listNames, type Path } from './problems.ts'
import type { Config } from './schema.ts'
import { indexed, isPlainName, present, type Scope } from './scope.ts'
import { checkTarget, splitTarget } from './target-name.ts'

type ModelConfig = Config['models'][string]
type TargetConfig = NonNullable<ModelConfig['targets'][number]>

/** The policy of models that name none. */
export const DEFAULT_POLICY = 'default'

export function readModels(scope: Scope): ReadonlyMap<string, ModelSettings> {
  const models = new Map<string, ModelSettings>()
  for (const [name, config] of Object.entries(scope.config.models)) {
    const path = ['models', name]
    checkName(scope, path, name, config)
    checkPolicy(scope, [...path, 'policy'], config.policy)
    models.set(name, { name, policy: config.policy, targets: readTargets(scope, path, config) })
  }
  return models
}

function checkName(scope: Scope, path: Path, name: string, config: ModelConfig): void {
  const { report, declared } = scope
  const found = describe(name)
  if (!isPlainName(name)) {
    report.add(path, { message: 'is no name for a model', found, allowed: 'a name without white space' })
    return
  }
  if (/:(floor|nitro)$/.test(name)) {
    const allowed = 'a name that does not end in :floor or :nitro'
    report.add(path, { message: 'ends like a routing suffix', found, allowed })
  }
  // Applications name targets directly as PROVIDER/MODEL: a model of that name would send them elsewhere.
  const direct = splitTarget(name)
  const isItself = config.targets.length === 1 && idOf(config.targets[0] ?? '') === name
  if (direct !== null && declared.providers.has(direct.provider) && !isItself) {
    const allowed = `a name that does not start with ${direct.provider}/`
    report.add(path, { message: 'hides a target of the same name', found, allowed })
  }
}

function checkPolicy(scope: Scope, path: Path, policy: string): void {
  const { report, declared } = scope
  if (policy === DEFAULT_POLICY || declared.policies.has(policy)) return
  report.add(path, {
    message: 'there is no such policy',
    found: describe(policy),
    allowed: listNames(new Set([DEFAULT_POLICY, ...declared.policies])),
    nearest: report.nearest(policy, new Set([DEFAULT_POLICY, ...declared.policies])),
  })
}

function readTargets(scope: Scope, path: Path, config: ModelConfig): readonly TargetSettings[] {
  const targets: TargetSettings[] = []
  const seen = new Set<string>()
  for (const [index, entry] of indexed(config.targets)) {
    const place = [...path, 'targets', index, ...(typeof entry === 'string' ? [] : ['target'])]
    const id = idOf(entry)
    if (seen.has(id)) {
      const allowed = 'each target once; weight says how much it takes'
      scope.report.add(place, { message: 'stands in the list twice', found: describe(id), allowed })
    }
    seen.add(id)
    const name = checkTarget(scope, place, id, 'PROVIDER/MODEL')
    if (name !== null) targets.push(targetOf(id, name, entry))
  }
  return targets
}

const idOf = (entry: TargetConfig): string => (typeof entry === 'string' ? entry : entry.target)

function targetOf(
  id: string,
  name: { readonly provider: string; readonly model: string },
  entry: TargetConfig,
): TargetSettings {
  if (typeof entry === 'string') {
    return { id, ...name, weight: 1, priority: 0, contextWindow: null, capabilities: null }
  }
  return {
    id,
    ...name,
    weight: entry.weight,
    priority: entry.priority,
    contextWindow: entry.context_window ?? null,
    capabilities: entry.capabilities === undefined ? null : present(entry.capabilities),
  }
}

/** What the operator should know of targets whose provider is disabled. */
export function disabledTargetNotices(
  models: ReadonlyMap<string, ModelSettings>,
  providers: ReadonlyMap<string, ProviderSettings>,
): readonly string[] {
  const isEnabled = (target: TargetSettings): boolean => providers.get(target.provider)?.enabled === true
  const byTarget = new Map<string, string[]>()
  for (const model of models.values()) {
    for (const target of model.targets) {
      if (isEnabled(target)) continue
      const names = byTarget.get(target.id)
      if (names === undefined) byTarget.set(target.id, [model.name])
      else names.push(model.name)
    }
  }
  const empty = [...models.values()].filter((model) => !model.targets.some(isEnabled))
  return [
    ...[...byTarget].map(
      ([id, names]) => `target "${id}" is disabled with its provider (models: ${listNames(names)})`,
    ),
    ...empty.map((model) => `model "${model.name}" has no enabled target: it answers 503`),
  ]
}
