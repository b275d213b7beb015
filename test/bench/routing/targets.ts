// The simulated targets of ROUTING.md, table 2c. Prices are of about late 2025; speeds, limits and caches are assumed,
// and shaped by measured latencies (ROUTING.md 2b): only the form of their distributions is real.

export interface PriceTier {
  /** Of the input; the last tier has Infinity. */
  readonly tokensUpTo: number
  /** CNY per million tokens. */
  readonly input: number
  readonly cached: number
  readonly output: number
}

export interface SimulatedTarget {
  /** `provider/model`. */
  readonly id: string
  readonly tiers: readonly PriceTier[]
  /** From this minute of the run to its end, prices are multiplied by `factor`. */
  readonly offPeak: { readonly fromMinute: number; readonly factor: number } | null
  readonly baseMs: number
  readonly msPerInputToken: number
  /** Standard deviation of the logarithm of the time to first token. */
  readonly deviation: number
  readonly tokensPerSecond: number
  /** Of attempts that fail on an ordinary day; 3 in 10 of them hang. */
  readonly failureShare: number
  /** Of attempts that take 3 to 8 times as long. */
  readonly tailShare: number
  readonly rpm: number | null
  readonly tpm: number | null
  /** Requests in flight at which the time to first token doubles. */
  readonly knee: number
  readonly contextWindow: number
  readonly cacheHitShare: number
  readonly cacheTtlMs: number
}

const ALL = Number.POSITIVE_INFINITY
const MINUTE_MS = 60_000

function tier(tokensUpTo: number, input: number, cached: number, output: number): PriceTier {
  return { tokensUpTo, input, cached, output }
}

const NO_CACHE = { cacheHitShare: 0, cacheTtlMs: 0 }
const WINDOW = { offPeak: null, contextWindow: 262_144 }

const VLLM: SimulatedTarget = {
  ...WINDOW,
  id: 'selfhost/vllm',
  tiers: [tier(ALL, 1, 0.1, 2)],
  ...{ baseMs: 180, msPerInputToken: 0.19, deviation: 0.18, tokensPerSecond: 38 },
  ...{ failureShare: 0.001, tailShare: 0.004, rpm: null, tpm: null, knee: 24 },
  ...{ cacheHitShare: 0.95, cacheTtlMs: 15 * MINUTE_MS },
}

const DEEPSEEK: SimulatedTarget = {
  ...WINDOW,
  id: 'deepseek/deepseek',
  tiers: [tier(ALL, 2, 0.2, 3)],
  offPeak: { fromMinute: 45, factor: 0.5 },
  ...{ baseMs: 1100, msPerInputToken: 0.12, deviation: 0.4, tokensPerSecond: 32 },
  ...{ failureShare: 0.008, tailShare: 0.02, rpm: null, tpm: null, knee: 80 },
  ...{ cacheHitShare: 0.9, cacheTtlMs: 60 * MINUTE_MS },
}

const DEEPSEEK_ARK: SimulatedTarget = {
  ...WINDOW,
  id: 'ark/deepseek',
  tiers: [tier(ALL, 2, 0.4, 3)],
  ...{ baseMs: 750, msPerInputToken: 0.09, deviation: 0.28, tokensPerSecond: 45 },
  ...{ failureShare: 0.002, tailShare: 0.01, rpm: 500, tpm: 3_000_000, knee: 60 },
  ...{ cacheHitShare: 0.85, cacheTtlMs: 10 * MINUTE_MS },
}

const DEEPSEEK_SILICONFLOW: SimulatedTarget = {
  ...WINDOW,
  id: 'siliconflow/deepseek',
  tiers: [tier(ALL, 2, 2, 3)],
  ...{ baseMs: 1300, msPerInputToken: 0.16, deviation: 0.5, tokensPerSecond: 28 },
  ...{ failureShare: 0.015, tailShare: 0.03, rpm: 300, tpm: 2_000_000, knee: 30 },
  ...NO_CACHE,
}

/** Quality-equivalent by declaration, of unlike price, speed and limits. */
export const MIXED_POOL: readonly SimulatedTarget[] = [
  {
    ...WINDOW,
    id: 'bailian/qwen-flash',
    tiers: [tier(128_000, 0.15, 0.03, 1.5), tier(256_000, 0.6, 0.12, 6), tier(ALL, 1.2, 0.24, 12)],
    ...{ baseMs: 450, msPerInputToken: 0.06, deviation: 0.3, tokensPerSecond: 90 },
    ...{ failureShare: 0.003, tailShare: 0.012, rpm: 120, tpm: 800_000, knee: 20 },
    ...{ cacheHitShare: 0.7, cacheTtlMs: 5 * MINUTE_MS },
  },
  {
    ...WINDOW,
    id: 'ark/doubao-lite',
    tiers: [tier(32_000, 0.3, 0.06, 0.6), tier(ALL, 0.6, 0.12, 1.2)],
    ...{ baseMs: 500, msPerInputToken: 0.07, deviation: 0.25, tokensPerSecond: 75 },
    ...{ failureShare: 0.002, tailShare: 0.01, rpm: 90, tpm: 700_000, knee: 16 },
    ...{ cacheHitShare: 0.85, cacheTtlMs: 10 * MINUTE_MS },
  },
  {
    ...WINDOW,
    id: 'qianfan/ernie-speed-pro',
    contextWindow: 131_072,
    tiers: [tier(ALL, 0.3, 0.3, 0.6)],
    ...{ baseMs: 700, msPerInputToken: 0.11, deviation: 0.4, tokensPerSecond: 45 },
    ...{ failureShare: 0.006, tailShare: 0.02, rpm: 60, tpm: 400_000, knee: 10 },
    ...NO_CACHE,
  },
  {
    ...WINDOW,
    id: 'bailian/qwen-turbo',
    tiers: [tier(ALL, 0.3, 0.12, 0.6)],
    ...{ baseMs: 550, msPerInputToken: 0.08, deviation: 0.3, tokensPerSecond: 70 },
    ...{ failureShare: 0.003, tailShare: 0.012, rpm: 100, tpm: 900_000, knee: 18 },
    ...{ cacheHitShare: 0.7, cacheTtlMs: 5 * MINUTE_MS },
  },
  {
    ...WINDOW,
    id: 'ark/doubao-seed',
    tiers: [tier(32_000, 0.8, 0.16, 8), tier(128_000, 1.2, 0.16, 16), tier(ALL, 2.4, 0.16, 24)],
    ...{ baseMs: 600, msPerInputToken: 0.09, deviation: 0.25, tokensPerSecond: 60 },
    ...{ failureShare: 0.002, tailShare: 0.01, rpm: 300, tpm: 2_000_000, knee: 40 },
    ...{ cacheHitShare: 0.85, cacheTtlMs: 10 * MINUTE_MS },
  },
  {
    ...WINDOW,
    id: 'bailian/qwen-plus',
    tiers: [tier(128_000, 0.8, 0.16, 2), tier(256_000, 2.4, 0.48, 20), tier(ALL, 4.8, 0.96, 48)],
    ...{ baseMs: 700, msPerInputToken: 0.1, deviation: 0.3, tokensPerSecond: 50 },
    ...{ failureShare: 0.003, tailShare: 0.012, rpm: 300, tpm: 2_000_000, knee: 40 },
    ...{ cacheHitShare: 0.7, cacheTtlMs: 5 * MINUTE_MS },
  },
  VLLM,
  DEEPSEEK,
  DEEPSEEK_ARK,
  DEEPSEEK_SILICONFLOW,
  {
    ...WINDOW,
    id: 'zhipu/glm',
    tiers: [tier(32_000, 2, 0.4, 8), tier(ALL, 4, 0.8, 16)],
    ...{ baseMs: 800, msPerInputToken: 0.11, deviation: 0.35, tokensPerSecond: 55 },
    ...{ failureShare: 0.005, tailShare: 0.015, rpm: 200, tpm: 1_500_000, knee: 30 },
    ...{ cacheHitShare: 0.7, cacheTtlMs: 5 * MINUTE_MS },
  },
  {
    ...WINDOW,
    id: 'moonshot/kimi',
    tiers: [tier(ALL, 4, 1, 16)],
    ...{ baseMs: 700, msPerInputToken: 0.095, deviation: 0.35, tokensPerSecond: 60 },
    ...{ failureShare: 0.004, tailShare: 0.012, rpm: 200, tpm: 1_500_000, knee: 30 },
    ...{ cacheHitShare: 0.8, cacheTtlMs: 5 * MINUTE_MS },
  },
]

/** One model at six hosts: the three of the mixed pool, and three assumed in their likeness. */
export const SAME_MODEL_POOL: readonly SimulatedTarget[] = [
  DEEPSEEK,
  DEEPSEEK_ARK,
  DEEPSEEK_SILICONFLOW,
  {
    ...WINDOW,
    id: 'bailian/deepseek',
    tiers: [tier(ALL, 2, 0.4, 3)],
    ...{ baseMs: 850, msPerInputToken: 0.11, deviation: 0.3, tokensPerSecond: 40 },
    ...{ failureShare: 0.003, tailShare: 0.012, rpm: 300, tpm: 2_000_000, knee: 40 },
    ...{ cacheHitShare: 0.7, cacheTtlMs: 5 * MINUTE_MS },
  },
  {
    ...WINDOW,
    id: 'qianfan/deepseek',
    tiers: [tier(ALL, 2, 2, 3)],
    ...{ baseMs: 1000, msPerInputToken: 0.13, deviation: 0.4, tokensPerSecond: 36 },
    ...{ failureShare: 0.006, tailShare: 0.02, rpm: 240, tpm: 1_500_000, knee: 30 },
    ...NO_CACHE,
  },
  {
    ...WINDOW,
    id: 'selfhost/deepseek',
    tiers: [tier(ALL, 2.4, 0.24, 4)],
    ...{ baseMs: 300, msPerInputToken: 0.1, deviation: 0.18, tokensPerSecond: 38 },
    ...{ failureShare: 0.001, tailShare: 0.004, rpm: null, tpm: null, knee: 16 },
    ...{ cacheHitShare: 0.95, cacheTtlMs: 15 * MINUTE_MS },
  },
]

/** What is left of each host's room for requests in flight. */
const STARVED_SHARE = 0.7

/** The same hosts with too little room for the load. */
export const STARVED_POOL: readonly SimulatedTarget[] = SAME_MODEL_POOL.map((target) => ({
  ...target,
  knee: target.knee * STARVED_SHARE,
}))
