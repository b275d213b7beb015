// `PROVIDER/MODEL`, split at the first slash: a model's own name may hold more of them.

import { describe, listNames, type Path } from './problems.ts'
import { isPlainName, type Scope } from './scope.ts'

export interface TargetName {
  readonly provider: string
  readonly model: string
}

export function splitTarget(id: string): TargetName | null {
  const slash = id.indexOf('/')
  if (slash < 1 || slash === id.length - 1 || !isPlainName(id)) return null
  return { provider: id.slice(0, slash), model: id.slice(slash + 1) }
}

/** null: it is malformed or its provider unknown, and reported. */
export function checkTarget(scope: Scope, path: Path, id: string, allowed: string): TargetName | null {
  const { report, declared } = scope
  const name = splitTarget(id)
  if (name === null) {
    report.add(path, { message: `must read ${allowed}`, found: describe(id), allowed })
    return null
  }
  if (declared.providers.has(name.provider)) return name
  const near = report.nearest(name.provider, declared.providers)
  report.add(path, {
    message: `there is no provider ${describe(name.provider)}`,
    found: describe(id),
    allowed: `a provider of this file: ${listNames(declared.providers)}`,
    nearest: near === null ? null : `${near}/${name.model}`,
  })
  return null
}
