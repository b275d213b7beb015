// Text of a configuration file → plain data. YAML 1.2, of which JSON is a part.

import { parseDocument } from 'yaml'
import { JSON_DEPTH_MAX } from '#core/limits.ts'
import { formatPath, type Path, type Report } from './problems.ts'

/** undefined: it is no document; the report says why. */
export function readDocument(text: string, report: Report): unknown {
  try {
    const document = parseDocument(text, { merge: true, prettyErrors: true, logLevel: 'error' })
    const faults = [...document.errors, ...document.warnings]
    for (const fault of faults) {
      const place = fault.linePos?.[0]
      report.add(place === undefined ? 'the file' : `line ${place.line}, column ${place.col}`, {
        message: `not valid YAML: ${firstLine(fault.message)}`,
      })
    }
    if (faults.length > 0) return undefined
    const data: unknown = document.toJS({ maxAliasCount: 1000 })
    if (data === null || data === undefined) {
      report.add('the file', {
        message: 'is empty',
        found: 'nothing',
        allowed: 'a mapping with providers and models',
      })
      return undefined
    }
    return isPlain(data, [], report) ? data : undefined
  } catch (error) {
    const reason = error instanceof Error ? firstLine(error.message) : String(error)
    report.add('the file', { message: `not valid YAML: ${reason}` })
    return undefined
  }
}

/** The parser's message without its picture of the place. */
function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:$/, '')
}

/** Anchors can make cycles, and nothing after this counts levels. */
function isPlain(value: unknown, path: Path, report: Report): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (path.length > JSON_DEPTH_MAX) {
    report.add(formatPath(path.slice(0, 3)), { message: `is nested deeper than ${JSON_DEPTH_MAX} levels` })
    return false
  }
  return Object.entries(value).every(([key, child]) => isPlain(child, [...path, key], report))
}
