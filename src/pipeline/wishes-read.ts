// `models`, the suffixes of model names, `provider` and `x-sluice-policy` → wishes. Whether what they name is
// configured is looked up in wishes-apply.ts.

import { MODELS_ASKED_MAX } from '#core/limits.ts'
import { invalid } from '#wire/openai-chat/request.ts'
import type { WishedSort, Wishes } from './wishes.ts'
import { clip, readNames } from './wishes-fields.ts'
import { readPreferences } from './wishes-provider.ts'

type Json = Readonly<Record<string, unknown>>

/**
 * null: the request says nothing of its routing.
 * @param model what `askedModel` says, with its suffix
 * @throws GatewayError `invalid_request` naming the field, what was found and what would be right
 */
export function readWishes(body: Json, model: string, policyHeader: string | null): Wishes | null {
  const models = body['models'] ?? null
  const provider = body['provider'] ?? null
  if (models === null && provider === null && policyHeader === null && suffixOf(model) === null) return null
  if (policyHeader !== null && policyHeader.trim() === '') {
    throw invalid(null, 'the header `x-sluice-policy` is empty; name a policy or leave it out')
  }
  const { names, suffix } = readModels(body, model, models)
  const preferences = readPreferences(provider)
  const sort = sortOf(suffix, preferences.sort)
  return { ...preferences, names, policy: policyHeader, sort }
}

/**
 * ":floor … is exactly equivalent to setting `provider.sort` to "price"", `:nitro` to "throughput". Other colons belong
 * to the name (`qwen3:8b`).
 * @see https://openrouter.ai/docs/guides/routing/model-variants/floor
 * @see https://openrouter.ai/docs/guides/routing/model-variants/nitro
 */
const SUFFIXES = { ':floor': 'price', ':nitro': 'throughput' } as const satisfies Record<string, WishedSort>

type Suffix = keyof typeof SUFFIXES

function suffixOf(name: string): Suffix | null {
  if (name.endsWith(':floor')) return ':floor'
  return name.endsWith(':nitro') ? ':nitro' : null
}

interface AskedModels {
  readonly names: readonly string[]
  readonly suffix: Suffix | null
}

/**
 * "Provide an array of model IDs in priority order."
 * @see https://openrouter.ai/docs/guides/routing/model-fallbacks
 */
function readModels(body: Json, model: string, models: unknown): AskedModels {
  const fallbacks = readNames(models, 'models', MODELS_ASKED_MAX)
  if (fallbacks?.length === 0) {
    throw invalid('models', '`models` is empty; name a model or leave it out')
  }
  const hasOwn = typeof body['model'] === 'string'
  const names = new Set<string>()
  let suffix: Suffix | null = null
  for (const [index, asked] of [model, ...(fallbacks ?? [])].entries()) {
    const param = index === 0 && hasOwn ? 'model' : 'models'
    let name = asked
    for (let found = suffixOf(name); found !== null; found = suffixOf(name)) {
      if (suffix !== null && found !== suffix) throw twoSuffixes(param)
      suffix = found
      name = name.slice(0, -found.length)
    }
    if (name === '') throw invalid(param, `\`${param}\`: "${clip(asked)}" is a suffix without a model`)
    names.add(name)
  }
  return { names: [...names], suffix }
}

function twoSuffixes(param: string) {
  const message =
    '`:floor` and `:nitro` exclude each other, over all models of a request: it has one order. Use one of them'
  return invalid(param, message)
}

function sortOf(suffix: Suffix | null, sort: WishedSort | null): WishedSort | null {
  if (suffix === null) return sort
  const asked = SUFFIXES[suffix]
  if (sort === null || sort === asked) return asked
  const message = `\`${suffix}\` means \`provider.sort\` "${asked}", but it is "${sort}"; leave one of them out`
  throw invalid('provider.sort', message)
}
