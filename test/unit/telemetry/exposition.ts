// Reads Prometheus' text format as strictly as a scraper does.
// Grammar: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Exposition {
  readonly types: ReadonlyMap<string, string>
  readonly samples: readonly Sample[]
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^\n]*)\})? (\S+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y

/** @throws Error with the line that no scraper would take */
export function readExposition(text: string): Exposition {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const types = new Map<string, string>()
  const samples: Sample[] = []
  const seen = new Set<string>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line)
    if (type !== null) {
      const [, name = '', kind = ''] = type
      if (types.has(name)) throw new Error(`two types: ${line}`)
      types.set(name, kind)
      continue
    }
    const sample = readSample(line)
    const series = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`
    if (seen.has(series)) throw new Error(`twice: ${line}`)
    seen.add(series)
    samples.push(sample)
  }
  return { types, samples }
}

function readSample(line: string): Sample {
  const match = LINE.exec(line)
  if (match === null) throw new Error(`no sample: ${line}`)
  const [, name = '', inside = '', number = ''] = match
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < inside.length) {
    const label = LABEL.exec(inside)
    if (label === null) throw new Error(`no labels: ${line}`)
    const [, key = '', value = ''] = label
    labels[key] = value.replace(/\\(.)/g, (_all, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  }
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number)
  if (Number.isNaN(value)) throw new Error(`no number: ${line}`)
  return { name, labels, value }
}

/** The one value of a series. */
export function seriesValue(
  exposition: Exposition,
  name: string,
  labels: Sample['labels'] = {},
): number | null {
  const wanted = Object.entries(labels)
  const found = exposition.samples.filter(
    (sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value),
  )
  if (found.length > 1) throw new Error(`${found.length} series of ${name}`)
  return found[0]?.value ?? null
}
