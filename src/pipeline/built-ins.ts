// What a request switches on of the provider's own: searches and tools that are billed by the call, and whose finds
// become input that nobody has counted before.

import { FOUND_TOKENS_HELD, SEARCH_CALLS_HELD, TOOL_CALLS_HELD } from '#core/limits.ts'
import type { PriceItemName } from '#core/price.ts'
import { isObject } from '#wire/json-object.ts'
import type { Call } from './context.ts'
import type { TargetFacts } from './live.ts'

export interface BuiltIns {
  /** Calls held for; empty: the provider does nothing but answer. */
  readonly calls: Readonly<Partial<Record<PriceItemName, number>>>
  /** Input that their finds may add. */
  readonly foundTokens: number
}

const NONE: BuiltIns = Object.freeze({ calls: Object.freeze({}), foundTokens: 0 })

/** What a client brings itself; every other kind of tool is the provider's. */
const OWN_TOOLS: ReadonlySet<unknown> = new Set([undefined, null, 'function', 'custom'])

export function builtInsOf(facts: TargetFacts, call: Call): BuiltIns {
  const usesTools = Array.isArray(call.body['tools']) && call.body['tools'].some(isForeign)
  if (!usesTools && !switchesSearch(facts, call)) return NONE
  return {
    // A tool may be a search, and vendors bill it as one.
    calls: { search_call: SEARCH_CALLS_HELD, ...(usesTools ? { tool_call: TOOL_CALLS_HELD } : {}) },
    foundTokens: FOUND_TOKENS_HELD,
  }
}

function isForeign(tool: unknown): boolean {
  return isObject(tool) && !OWN_TOOLS.has(tool['type'])
}

function switchesSearch(facts: TargetFacts, call: Call): boolean {
  const { searches, searchFields } = facts.quirks
  const unless = facts.format?.searchesUnless
  if (searches === true || (unless !== undefined && call.body[unless] !== true)) return true
  return searchFields?.some((field) => isOn(call.body[field])) === true
}

function isOn(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return isObject(value) ? value['enable'] !== false && value['enabled'] !== false : value === true
}
