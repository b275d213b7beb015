// `models` of keys and teams: which names they may use.

import { describe, listNames, type Path } from './problems.ts'
import { indexed, isPlainName, type Names } from './scope.ts'
import { splitTarget } from './target-name.ts'

/** Reports entries that no model and no provider of this file answers to. */
export function checkModels(names: Names, path: Path, models: readonly (string | undefined)[]): void {
  const { report, declared } = names
  for (const [index, entry] of indexed(models)) {
    if (declared.models.has(entry)) continue
    const target = splitTarget(entry)
    const isKnown = target !== null && declared.providers.has(target.provider)
    if (isKnown && (target.model === '*' || !target.model.includes('*')) && isPlainName(entry)) continue
    report.add([...path, index], {
      message: 'is no model of this file',
      found: describe(entry),
      allowed: `${listNames(declared.models)}; PROVIDER/* or PROVIDER/MODEL of ${listNames(declared.providers)}`,
      nearest: report.nearest(entry, [
        ...declared.models,
        ...[...declared.providers].map((name) => `${name}/${target?.model ?? '*'}`),
      ]),
    })
  }
}

/** Whether a list allows all that an entry, which may be `PROVIDER/*` itself, stands for. */
export function isAllowedBy(models: readonly string[], entry: string): boolean {
  return models.some(
    (allowed) => allowed === entry || (allowed.endsWith('/*') && entry.startsWith(allowed.slice(0, -1))),
  )
}
