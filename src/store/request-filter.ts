// Which requests a listing shows. Where they lie is the stores' business.

import type { RequestDetail, RequestFilter } from '#core/ledger.ts'

export const EVERY_REQUEST: RequestFilter = Object.freeze({
  key: null,
  model: null,
  target: null,
  outcome: null,
  fromMs: null,
  toMs: null,
})

export function showsRequest({ request, attempts }: RequestDetail, filter: RequestFilter): boolean {
  const { key, model, target, outcome, fromMs, toMs } = filter
  return (
    (key === null || request.key === key) &&
    (model === null || request.model === model) &&
    (outcome === null || request.outcome === outcome) &&
    (fromMs === null || request.timeMs >= fromMs) &&
    (toMs === null || request.timeMs < toMs) &&
    (target === null || attempts.some((attempt) => attempt.target === target))
  )
}

/** Words that stand in a text of every request that is shown; a look for them spares most of the reading. */
export function wordsOf({ key, model, target, outcome }: RequestFilter): readonly string[] {
  return [key, model, target, outcome].flatMap((word) => (word === null ? [] : [JSON.stringify(word)]))
}
