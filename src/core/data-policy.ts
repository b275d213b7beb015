// What a target does with the data that it is sent, and what callers may require of it. What is not known of a target
// meets no requirement.

/** null: not known. */
export interface DataAttributes {
  readonly region: string | null
  /** How long inputs and outputs are kept; 0: not at all. */
  readonly retentionMs: number | null
  readonly trainsOnData: boolean | null
  /** Number of the public filing of a model (备案号). */
  readonly filingNo: string | null
}

/** null: not required. */
export interface DataPolicy {
  /** One of these. */
  readonly regions: readonly string[] | null
  /** At most so long. */
  readonly retentionMsMax: number | null
  readonly trainsOnData: boolean | null
  /** `any`: there is one; else one of these. */
  readonly filingNos: 'any' | readonly string[] | null
}

const HOUR_MS = 3_600_000

/** The first requirement that is not met, in words; null: all are. */
export function unmetBy(attributes: DataAttributes, policy: DataPolicy): string | null {
  const { region, retentionMs, trainsOnData, filingNo } = attributes
  if (policy.regions !== null && (region === null || !policy.regions.includes(region))) {
    return `region ${region ?? 'unknown'}, required ${policy.regions.join(' or ')}`
  }
  if (policy.retentionMsMax !== null && (retentionMs === null || retentionMs > policy.retentionMsMax)) {
    return `retention ${retentionText(retentionMs)}, required at most ${retentionText(policy.retentionMsMax)}`
  }
  if (policy.trainsOnData !== null && trainsOnData !== policy.trainsOnData) {
    return `trains_on_data ${trainsOnData ?? 'unknown'}, required ${policy.trainsOnData}`
  }
  if (policy.filingNos === null) return null
  const isMet = filingNo !== null && (policy.filingNos === 'any' || policy.filingNos.includes(filingNo))
  if (isMet) return null
  const required = policy.filingNos === 'any' ? 'one' : policy.filingNos.join(' or ')
  return `filing_no ${filingNo ?? 'unknown'}, required ${required}`
}

function retentionText(retentionMs: number | null): string {
  if (retentionMs === null) return 'unknown'
  return retentionMs === 0 ? 'none' : `${retentionMs / HOUR_MS}h`
}
