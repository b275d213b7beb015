// A policy for tests: changes over one that asks for nothing.

import type { PolicySettings, Slo } from '#core/settings.ts'

export const NO_SLO: Slo = {
  ttftMs: null,
  ttftMsPer1kInput: 0,
  tpotMs: null,
  attainment: 0.95,
  value: 'auto',
}

export function policyWith(changes: Partial<PolicySettings> = {}): PolicySettings {
  return {
    name: 'quick',
    version: '00000000',
    sort: 'price',
    slo: NO_SLO,
    maxPrice: null,
    preferredMaxLatency: null,
    preferredMinThroughput: null,
    affinity: 'priced',
    explore: { maxShare: 0.05 },
    hedge: { enabled: false, maxExtraCost: 0.05, maxShare: 0.05 },
    onNoCandidate: 'fastest',
    retry: { attempts: 3, onStatusCodes: [408, 429, 500, 502, 503, 504], respectRetryAfter: true },
    outlierDetection: { consecutive5xx: 3, baseEjectionMs: 5_000, maxEjectionMs: 60_000 },
    dataPolicy: null,
    onModeration: 'stop',
    timeouts: { connectMs: 1, ttftMs: null, idleMs: 1, totalMs: 1 },
    ...changes,
  }
}
