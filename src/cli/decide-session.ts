// One session of the replay protocol: the planner of the gateway, driven by lines with a time of their own.

import type { ModelSettings, PolicySettings } from '#core/settings.ts'
import type { Live } from '#pipeline/live.ts'
import { plannedTarget } from '#pipeline/planned-targets.ts'
import { priceAt } from '#pricing/catalogue.ts'
import { rateCovered } from '#pricing/rate.ts'
import { Planner } from '#routing/planner.ts'
import type { PlannerTarget } from '#routing/request.ts'
import { createRandom } from '#simulator/random.ts'
import {
  checkFields,
  type Fields,
  LineError,
  readCapabilities,
  readCount,
  readError,
  readHashes,
  readId,
  readInstant,
  readMs,
  readNames,
  readOptionalCount,
  readText,
  readType,
} from './decide-lines.ts'

export interface DecideOptions {
  readonly live: Live
  /** Of chance: the same lines and the same seed give the same answers. */
  readonly seed: number
}

export interface DecideSession {
  /** The answer to a line; null where none is due. @throws LineError */
  handle(line: object): object | null
}

interface Model {
  readonly policy: PolicySettings
  readonly targets: readonly PlannerTarget[]
  readonly byId: ReadonlyMap<string, PlannerTarget>
}

export function createDecideSession({ live, seed }: DecideOptions): DecideSession {
  const planner = new Planner({ random: createRandom(seed).unit })
  const modelOf = modelsOf(live)
  /** Of requests under way: their models, to check what is said of them by. */
  const models = new Map<string, Model>()

  function request(line: Fields, id: string | number, at: number): object {
    const name = readText(line, 'model')
    const model = modelOf(name)
    const key = String(id)
    const tried = readNames(line, 'tried')
    for (const target of tried) checkTarget(model, 'tried', target)
    remember(models, key, model)
    const inputTokens = readCount(line, 'input_tokens')
    const outputTokensMax = readOptionalCount(line, 'max_output_tokens', null)
    const decision = planner.decide(
      {
        id: key,
        model: name,
        policy: model.policy,
        targets: model.targets,
        needs: readCapabilities(line),
        inputTokens,
        outputTokensMax,
        windowTokens: inputTokens + (outputTokensMax ?? 0),
        isStreamed: true,
        prefixes: readHashes(line),
        session: line['session'] === undefined || line['session'] === null ? null : readText(line, 'session'),
        ranks: null,
        keepsLimits: false,
        patienceMs: null,
        tried,
      },
      at,
    )
    const answer = {
      id,
      order: decision.order,
      explore: decision.explore,
      propensity: decision.propensity,
      hedge_after_ms: decision.hedgeAfterMs === null ? null : Math.round(decision.hedgeAfterMs),
      expected_cost: Number.isNaN(decision.expectedCost) ? null : decision.expectedCost,
      p_slo: decision.pSlo,
    }
    return decision.waitMs === null ? answer : { ...answer, wait_ms: decision.waitMs }
  }

  function tell(type: string, line: Fields, key: string, at: number): void {
    const target = readText(line, 'target')
    const model = models.get(key)
    if (model !== undefined) checkTarget(model, 'target', target)
    switch (type) {
      case 'attempt_started':
        return planner.attemptStarted(key, target, null, at)
      case 'first_byte':
        return planner.firstByte(key, target)
      case 'first_token':
        return planner.firstToken(key, target, at)
      case 'failed':
        return planner.failed(key, target, readError(line), readMs(line, 'retry_after_ms'), at)
      case 'cancelled':
        return planner.cancelled(key, target, at)
      default: {
        const inputTokens = readCount(line, 'input_tokens')
        const cachedTokens = readOptionalCount(line, 'cached_tokens', 0)
        const outputTokens = readCount(line, 'output_tokens')
        planner.finished(key, target, { cachedTokens, outputTokens }, at)
        useBalances(live, target, { inputTokens, cachedTokens, outputTokens }, at)
        models.delete(key)
      }
    }
  }

  return {
    handle(line) {
      const fields = line as Fields
      const type = readType(fields)
      const id = readId(fields)
      const at = readInstant(fields)
      checkFields(fields, type)
      if (type === 'request') return request(fields, id, at)
      if (type === 'hedge?') return { id, target: planner.hedge(String(id), at)?.target ?? null }
      tell(type, fields, String(id), at)
      return null
    },
  }
}

const MODELS_KEPT_MAX = 50_000

function remember(models: Map<string, Model>, key: string, model: Model): void {
  if (models.size >= MODELS_KEPT_MAX) {
    const [first] = models.keys()
    if (first !== undefined) models.delete(first)
  }
  models.set(key, model)
}

/** A model of the configuration, or a target by its name; keys and who may use what play no part here. */
function modelsOf(live: Live): (name: string) => Model {
  const known = new Map<string, Model>()
  return (name) => {
    const cached = known.get(name)
    if (cached !== undefined) return cached
    const model = live.settings.models.get(name) ?? directModel(live, name)
    if (model === null) {
      throw new LineError('model', name, [...live.settings.models.keys(), 'PROVIDER/MODEL'].join(', '))
    }
    const targets = model.targets.map((target) => {
      const facts = live.factsOf(target)
      return plannedTarget(live, facts, facts.thinksByDefault)
    })
    const made = {
      policy: live.policy(model.policy),
      targets,
      byId: new Map(targets.map((target) => [target.id, target])),
    }
    known.set(name, made)
    return made
  }
}

function directModel(live: Live, name: string): ModelSettings | null {
  const target = live.directTarget(name)
  return target === null ? null : { name, policy: 'default', targets: [target] }
}

function checkTarget(model: Model, field: string, target: string): void {
  if (!model.byId.has(target)) throw new LineError(field, target, [...model.byId.keys()].join(', '))
}

/** What an answer takes of free quotas and packages is gone for the next. */
function useBalances(
  live: Live,
  id: string,
  tokens: { readonly inputTokens: number; readonly cachedTokens: number; readonly outputTokens: number },
  atMs: number,
): void {
  const target = live.directTarget(id)
  if (target === null) return
  const price = priceAt(live.factsOf(target).prices, atMs)
  if (price === null) return
  const left = live.catalogue.balances.of(target.provider, target.model, price, atMs)
  if (left.length === 0) return
  const usage = {
    inputTokens: tokens.inputTokens,
    cachedInputTokens: tokens.cachedTokens,
    cacheWriteTokens: 0,
    outputTokens: tokens.outputTokens,
    reasoningTokens: 0,
  }
  const { currency, fx } = live.settings
  const { uses } = rateCovered(price, usage, { thinking: false, atMs, currency, fx }, left)
  live.catalogue.balances.take(uses, atMs)
}
