// A decision as text, for logs and streams.

import { jsonNumber, jsonString } from './json-text.ts'
import type { Decision, DecisionCandidate, DecisionExclusion } from './ledger.ts'

/** As `JSON.stringify` writes it, in half the time; `null` for none. */
export function decisionText(decision: Decision | null): string {
  if (decision === null) return 'null'
  const { policy, sort, candidates, excluded, sloRelaxed } = decision
  let text = `{"policy":${jsonString(policy)},"sort":${jsonString(sort)},"candidates":[`
  let comma = ''
  for (const candidate of candidates) {
    text += comma + candidateText(candidate)
    comma = ','
  }
  text += '],"excluded":['
  comma = ''
  for (const exclusion of excluded) {
    text += comma + exclusionText(exclusion)
    comma = ','
  }
  return `${text}],"sloRelaxed":${sloRelaxed}}`
}

function candidateText({ target, estimatedCost, ttftP90Ms, samples, reason }: DecisionCandidate): string {
  const cost = estimatedCost === null ? 'null' : jsonString(estimatedCost)
  return `{"target":${jsonString(target)},"estimatedCost":${cost},"ttftP90Ms":${jsonNumber(ttftP90Ms)},"samples":${jsonNumber(samples)},"reason":${jsonString(reason)}}`
}

function exclusionText({ target, reason, detail }: DecisionExclusion): string {
  return `{"target":${jsonString(target)},"reason":${jsonString(reason)},"detail":${jsonString(detail)}}`
}
