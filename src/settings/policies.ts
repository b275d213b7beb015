// `policies:` of a configuration → the policies in force, the built-in one among them.

import { fingerprint } from '#core/fingerprint.ts'
import type { Percentiles, PolicySettings } from '#core/settings.ts'
import { readDataPolicy } from './data-policy.ts'
import { DEFAULT_POLICY } from './models.ts'
import { type PolicyConfig, policySchema } from './policy-schema.ts'
import { describe, listNames, type Path } from './problems.ts'
import { indexed, isPlainName, present, type Scope } from './scope.ts'

export function readPolicies(scope: Scope): ReadonlyMap<string, PolicySettings> {
  const policies = new Map([[DEFAULT_POLICY, policyOf(DEFAULT_POLICY, policySchema.parse({}))]])
  for (const [name, config] of Object.entries(scope.config.policies)) {
    const path = ['policies', name]
    if (!isPlainName(name)) {
      const allowed = 'a name without white space'
      scope.report.add(path, { message: 'is no name for a policy', found: describe(name), allowed })
    }
    checkEjection(scope, [...path, 'outlier_detection'], config)
    checkModeration(scope, [...path, 'on_moderation', 'allow'], config)
    policies.set(name, policyOf(name, config))
  }
  return policies
}

function checkEjection(scope: Scope, path: Path, config: PolicyConfig): void {
  const { base_ejection_ms: base, max_ejection_ms: max } = config.outlier_detection
  if (base <= max) return
  scope.report.add([...path, 'max_ejection_ms'], {
    message: 'is below base_ejection_ms',
    found: String(max),
    allowed: `at least ${base}`,
  })
}

function checkModeration(scope: Scope, path: Path, config: PolicyConfig): void {
  const { report, declared } = scope
  if (config.on_moderation === 'stop') return
  for (const [index, name] of indexed(config.on_moderation.allow)) {
    if (declared.providers.has(name)) continue
    report.add([...path, index], {
      message: `there is no provider ${describe(name)}`,
      found: describe(name),
      allowed: `a provider of this file: ${listNames(declared.providers)}`,
      nearest: report.nearest(name, declared.providers),
    })
  }
}

function percentilesOf(bar: PolicyConfig['preferred_max_latency']): Percentiles | null {
  if (bar === undefined) return null
  return typeof bar === 'number' ? { p50: bar } : bar
}

function policyOf(name: string, config: PolicyConfig): PolicySettings {
  const {
    slo,
    max_price: price,
    hedge,
    retry,
    outlier_detection: outlier,
    on_moderation: moderation,
    timeouts,
  } = config
  return {
    name,
    version: fingerprint(JSON.stringify(config)),
    sort: config.sort,
    slo: {
      ttftMs: slo.ttft_ms ?? null,
      ttftMsPer1kInput: slo.ttft_ms_per_1k_input,
      tpotMs: slo.tpot_ms ?? null,
      attainment: slo.attainment,
      value: slo.value,
    },
    maxPrice: price === undefined ? null : { input: price.input ?? null, output: price.output ?? null },
    preferredMaxLatency: percentilesOf(config.preferred_max_latency),
    preferredMinThroughput: percentilesOf(config.preferred_min_throughput),
    affinity: config.affinity,
    explore: { maxShare: config.explore.max_share },
    hedge: {
      enabled: hedge.enabled,
      maxExtraCost: hedge.max_extra_cost,
      maxShare: hedge.max_share,
    },
    onNoCandidate: config.on_no_candidate,
    retry: {
      attempts: retry.attempts,
      onStatusCodes: present(retry.on_status_codes),
      respectRetryAfter: retry.respect_retry_after,
    },
    outlierDetection: {
      consecutive5xx: outlier.consecutive_5xx,
      baseEjectionMs: outlier.base_ejection_ms,
      maxEjectionMs: outlier.max_ejection_ms,
    },
    dataPolicy: readDataPolicy(config.data_policy),
    onModeration: moderation === 'stop' ? 'stop' : present(moderation.allow),
    timeouts: {
      connectMs: timeouts.connect_ms,
      ttftMs: timeouts.ttft_ms ?? null,
      idleMs: timeouts.idle_ms,
      totalMs: timeouts.total_ms,
    },
  }
}
