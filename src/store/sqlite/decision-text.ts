// Decisions as the journal keeps them: lists without names, as the rest of a request in entry-text.ts.

import { type Decision, type DecisionCandidate, UNREASONED } from '#core/decision.ts'

export type DecisionJson = readonly [
  policy: string,
  sort: string,
  sloRelaxed: boolean,
  candidates: readonly CandidateJson[],
  excluded: readonly ExclusionJson[],
  /** Decisions of before these were kept end here. */
  reasons?: ReasonsJson,
]
type ReasonsJson = readonly [
  policyVersion: string | null,
  value: number | null,
  explored: boolean,
  propensity: number,
  runnerUp: Decision['runnerUp'],
  counterfactuals: Decision['counterfactuals'],
  later: Decision['later'],
]
type CandidateJson = readonly [
  target: string,
  estimatedCost: string | null,
  /** Expected; once it was the 90th percentile of what had been observed. */
  ttftMs: number | null,
  samples: number,
  reason: string,
  pSlo?: number | null,
  tokensPerSecond?: number | null,
  cachedTokens?: number,
  utility?: number | null,
  account?: string | null,
  roomCost?: number | null,
]
type ExclusionJson = readonly [target: string, reason: string, detail: string]

export function decisionList(decision: Decision): DecisionJson {
  const { policyVersion, value, explored, propensity, runnerUp, counterfactuals, later } = decision
  return [
    decision.policy,
    decision.sort,
    decision.sloRelaxed,
    decision.candidates.map(
      (candidate): CandidateJson => [
        candidate.target,
        candidate.estimatedCost,
        candidate.ttftMs,
        candidate.samples,
        candidate.reason,
        candidate.pSlo,
        candidate.tokensPerSecond,
        candidate.cachedTokens,
        candidate.utility,
        candidate.account,
        candidate.roomCost,
      ],
    ),
    decision.excluded.map(({ target, reason, detail }): ExclusionJson => [target, reason, detail]),
    [policyVersion, value, explored, propensity, runnerUp, counterfactuals, later],
  ]
}

/** Reads what `decisionList` made. */
export function decisionOf([
  policy,
  sort,
  sloRelaxed,
  candidates,
  excluded,
  reasons,
]: DecisionJson): Decision {
  return {
    ...(reasons === undefined ? UNREASONED : reasonsOf(reasons)),
    policy,
    sort,
    candidates: candidates.map(candidateOf),
    excluded: excluded.map(([target, reason, detail]) => ({ target, reason, detail })),
    sloRelaxed,
  }
}

function reasonsOf([
  policyVersion,
  value,
  explored,
  propensity,
  runnerUp,
  counterfactuals,
  later,
]: ReasonsJson) {
  return { policyVersion, value, explored, propensity, runnerUp, counterfactuals, later }
}

function candidateOf([
  target,
  estimatedCost,
  ttftMs,
  samples,
  reason,
  pSlo = null,
  tokensPerSecond = null,
  cachedTokens = 0,
  utility = null,
  account = null,
  roomCost = null,
]: CandidateJson): DecisionCandidate {
  return {
    target,
    account,
    estimatedCost,
    pSlo,
    ttftMs,
    tokensPerSecond,
    cachedTokens,
    samples,
    roomCost,
    utility,
    reason,
  }
}
