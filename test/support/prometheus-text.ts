// Reads Prometheus' text format strictly, as a scraper would, so that a test can ask for one number.
// Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Scrape {
  readonly samples: readonly Sample[]
  /** Sum of the samples of this name whose labels include these. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number
}

const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? ([+-]?(?:Inf|NaN|[\d.e+-]+))$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/g

/** @throws Error naming the first line that is neither a comment nor a sample, and for a sample without a type */
export function readScrape(text: string): Scrape {
  const types = new Set<string>()
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(line)?.[1]
    if (type !== undefined) {
      types.add(type)
      continue
    }
    const match = SAMPLE.exec(line)
    if (match === null) throw new Error(`no sample: ${line}`)
    const [, name = '', labelText = '', value = ''] = match
    if (!types.has(name.replace(/_(bucket|sum|count)$/, '')) && !types.has(name))
      throw new Error(`no type: ${line}`)
    const labels = Object.fromEntries(
      [...labelText.matchAll(LABEL)].map(([, key = '', said = '']) => [key, said]),
    )
    samples.push({ name, labels, value: Number(value.replace('Inf', 'Infinity')) })
  }
  return {
    samples,
    sum: (name, labels = {}) =>
      samples
        .filter((sample) => sample.name === name)
        .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
        .reduce((sum, sample) => sum + sample.value, 0),
  }
}
