// One model of a simulated upstream: its settings with defaults, its cache, its limits and its load.

import { PrefixCache } from './prefix-cache.ts'
import type { Random } from './random.ts'
import { RateWindow } from './rate-window.ts'
import { DEFAULT_MODEL, type ModelConfig } from './settings.ts'

export class SimulatedModel {
  readonly id: string
  readonly settings: ModelConfig & Required<Pick<ModelConfig, keyof typeof DEFAULT_MODEL>>
  readonly cache: PrefixCache | null
  readonly window: RateWindow
  inFlight = 0

  constructor(id: string, config: ModelConfig) {
    this.id = id
    this.settings = { ...DEFAULT_MODEL, ...config }
    this.cache = config.prefixCache === undefined ? null : new PrefixCache(config.prefixCache)
    this.window = new RateWindow(config.limits ?? {})
  }

  get title(): string {
    return this.settings.title ?? this.id
  }

  ttftMs(uncachedTokens: number, random: Random): number {
    const { ttftMs, ttftMsPer1kInput, jitter } = this.settings
    const mean = ttftMs + (ttftMsPer1kInput * uncachedTokens) / 1000
    return mean * this.#slowdown() * (1 + jitter * (2 * random.unit() - 1))
  }

  tokenMs(random: Random): number {
    const { tokensPerSecond, jitter } = this.settings
    return (1000 / tokensPerSecond) * this.#slowdown() * (1 + jitter * (2 * random.unit() - 1))
  }

  /** 1 up to `parallel` requests at once, then in proportion. */
  #slowdown(): number {
    return Math.max(1, this.inFlight / this.settings.parallel)
  }

  thinks(wanted: boolean | null): boolean {
    const { thinking } = this.settings
    if (thinking === 'always' || thinking === 'never') return thinking === 'always'
    return wanted ?? thinking === 'on'
  }
}
