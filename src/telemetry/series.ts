// Number slots by label set, bounded, and how a scrape reads them. What is counted is decided in prometheus.ts.

import { METRIC_SERIES_MAX } from '#core/limits.ts'
import type { MetricDefinition } from './ledger-names.ts'
import { LABEL_CHARS_MAX, OTHER } from './names.ts'

/** One sample as prom-client's registry prints it. */
interface Sample {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly sharedLabels?: Readonly<Record<string, string>>
  readonly value: number
}

/** What prom-client's registry asks of a metric. */
export interface Collector {
  readonly name: string
  readonly help: string
  readonly type: MetricDefinition['type']
  get(): Promise<Omit<Collector, 'get'> & { readonly values: readonly Sample[] }>
}

/** A counter's or gauge's number; the hot path keeps it and adds. */
export interface NumberSlot {
  value: number
}

export class HistogramSlot {
  readonly #bounds: readonly number[]
  /** One count per bound, the last one for what is above all of them. */
  readonly counts: Float64Array
  sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return
    let index = 0
    while (index < this.#bounds.length && value > (this.#bounds[index] ?? 0)) index++
    this.counts[index] = (this.counts[index] ?? 0) + 1
    this.sum += value
  }
}

interface Series<Slot> {
  readonly labels: Readonly<Record<string, string>>
  readonly slot: Slot
}

/** The series of one metric: at most METRIC_SERIES_MAX, the last of which stands in for all further label sets. */
class SeriesMap<Slot> {
  readonly #labels: readonly string[]
  readonly #make: () => Slot
  readonly #onFold: () => void
  readonly #series = new Map<string, Series<Slot>>()

  constructor(labels: readonly string[], make: () => Slot, onFold: () => void) {
    this.#labels = labels
    this.#make = make
    this.#onFold = onFold
  }

  /** The slot of these label values, in the order of the definition; an empty value is an absent label. */
  at(values: readonly string[]): Slot {
    return this.#series.get(values.join(SEPARATOR))?.slot ?? this.#add(values)
  }

  entries(): Iterable<Series<Slot>> {
    return this.#series.values()
  }

  #add(values: readonly string[]): Slot {
    let clean = values.map(cleanLabel)
    const known = this.#series.get(clean.join(SEPARATOR))
    if (known !== undefined) return known.slot
    if (this.#series.size >= METRIC_SERIES_MAX - 1 && values.length > 0) {
      this.#onFold()
      clean = values.map(() => OTHER)
    }
    const key = clean.join(SEPARATOR)
    const existing = this.#series.get(key)
    if (existing !== undefined) return existing.slot
    const pairs = clean.map((value, index) => [this.#labels[index] ?? '', value] as const)
    const labels = Object.fromEntries(pairs.filter(([, value]) => value !== ''))
    const series = { labels, slot: this.#make() }
    this.#series.set(key, series)
    return series.slot
  }
}

const SEPARATOR = '\u0000'

/** Two malformed names that print the same must be one series: a scrape with duplicates is refused whole. */
function cleanLabel(value: string): string {
  return value.length > LABEL_CHARS_MAX ? OTHER : value.toWellFormed().replaceAll('\u0000', '\ufffd')
}

/** Counter or gauge. */
export class NumberFamily {
  readonly #definition: MetricDefinition
  readonly #series: SeriesMap<NumberSlot>

  constructor(definition: MetricDefinition, onFold: () => void) {
    this.#definition = definition
    this.#series = new SeriesMap(definition.labels, () => ({ value: 0 }), onFold)
  }

  at(...values: readonly string[]): NumberSlot {
    return this.#series.at(values)
  }

  collector(): Collector {
    const { divisor = 1 } = this.#definition
    return collectorOf(this.#definition, () =>
      Array.from(this.#series.entries(), ({ labels, slot }) => ({ labels, value: slot.value / divisor })),
    )
  }
}

export class HistogramFamily {
  readonly #definition: MetricDefinition
  readonly #series: SeriesMap<HistogramSlot>

  constructor(definition: MetricDefinition, onFold: () => void) {
    const bounds = definition.buckets ?? []
    this.#definition = definition
    this.#series = new SeriesMap(definition.labels, () => new HistogramSlot(bounds), onFold)
  }

  at(...values: readonly string[]): HistogramSlot {
    return this.#series.at(values)
  }

  collector(): Collector {
    return collectorOf(this.#definition, () => {
      const samples: Sample[] = []
      for (const { labels, slot } of this.#series.entries())
        addHistogram(samples, this.#definition, labels, slot)
      return samples
    })
  }
}

function collectorOf(definition: MetricDefinition, read: () => readonly Sample[]): Collector {
  const { name, help, type } = definition
  return { name, help, type, get: async () => ({ name, help, type, values: read() }) }
}

/** Buckets are cumulative in the exposition: each counts all that is not above its bound. */
function addHistogram(
  samples: Sample[],
  definition: MetricDefinition,
  sharedLabels: Readonly<Record<string, string>>,
  slot: HistogramSlot,
): void {
  const { name, buckets = [] } = definition
  let count = 0
  slot.counts.forEach((inBucket, index) => {
    count += inBucket
    const le = buckets[index] ?? '+Inf'
    samples.push({ metricName: `${name}_bucket`, labels: { le }, sharedLabels, value: count })
  })
  samples.push({ metricName: `${name}_sum`, labels: {}, sharedLabels, value: slot.sum })
  samples.push({ metricName: `${name}_count`, labels: {}, sharedLabels, value: count })
}
