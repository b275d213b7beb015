// What is measured: the scenarios and the request bytes of each. Nothing here sends or counts.

/** The virtual key of the gateway under test; the bare proxy and the mock do not look at it. */
export const BENCH_KEY = 'sk-sluice-bench-0123456789'
/** The model that the requests name; the gateway maps it to the mock's model. */
export const BENCH_MODEL = 'bench'

export interface Scenario {
  readonly name: string
  readonly bodyBytes: number
  /** The JavaScript SDK sends `model` first, the Python SDK after `messages`. */
  readonly modelFirst: boolean
  readonly isStreaming: boolean
  /** Chunks per second of the mock over all streams; null: as fast as it can. */
  readonly chunksPerSecond: number | null
  /** Part of a run without `--only`. */
  readonly isDefault: boolean
}

const KIB = 1024
const UNSTREAMED = { isStreaming: false, chunksPerSecond: null }

export const SCENARIOS: readonly Scenario[] = [
  { name: '1KB', bodyBytes: KIB, modelFirst: true, isDefault: true, ...UNSTREAMED },
  { name: '1KB-model-last', bodyBytes: KIB, modelFirst: false, isDefault: true, ...UNSTREAMED },
  { name: '32KB', bodyBytes: 32 * KIB, modelFirst: true, isDefault: true, ...UNSTREAMED },
  { name: '256KB', bodyBytes: 256 * KIB, modelFirst: true, isDefault: true, ...UNSTREAMED },
  {
    name: 'stream',
    bodyBytes: KIB,
    modelFirst: true,
    isStreaming: true,
    chunksPerSecond: null,
    isDefault: true,
  },
  { name: '32KB-model-last', bodyBytes: 32 * KIB, modelFirst: false, isDefault: false, ...UNSTREAMED },
  { name: '256KB-model-last', bodyBytes: 256 * KIB, modelFirst: false, isDefault: false, ...UNSTREAMED },
  {
    name: 'paced',
    bodyBytes: KIB,
    modelFirst: true,
    isStreaming: true,
    chunksPerSecond: 10_000,
    isDefault: false,
  },
]

/** `1KB model-last` is understood too. */
export function findScenario(name: string): Scenario | undefined {
  const wanted = name.trim().replaceAll(' ', '-').toLowerCase()
  return SCENARIOS.find((scenario) => scenario.name.toLowerCase() === wanted)
}

/** Head and body in one piece, as a client with one write sends them. */
export function requestBytes(scenario: Scenario, port: number): Buffer {
  const body = chatBody(scenario)
  // The twelve headers that the OpenAI SDK sets, after `host`.
  const head = [
    'POST /v1/chat/completions HTTP/1.1',
    `host: 127.0.0.1:${port}`,
    'accept: application/json',
    'user-agent: OpenAI/JS 7.57.0',
    'x-stainless-retry-count: 0',
    'x-stainless-lang: js',
    'x-stainless-package-version: 7.57.0',
    'x-stainless-os: Linux',
    'x-stainless-arch: x64',
    'x-stainless-runtime: node',
    'x-stainless-runtime-version: v24.21.0',
    `authorization: Bearer ${BENCH_KEY}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body])
}

/** A conversation of turns of about 4 KB, exactly `bodyBytes` long. */
function chatBody(scenario: Scenario): Buffer {
  const turns = Math.max(1, Math.round(scenario.bodyBytes / (4 * KIB)))
  const empty = encodeChat(scenario, Array<string>(turns).fill('')).length
  const textBytes = Math.floor((scenario.bodyBytes - empty) / turns)
  const contents = Array<string>(turns).fill(prose(textBytes))
  const missing = scenario.bodyBytes - encodeChat(scenario, contents).length
  contents[turns - 1] += ' '.repeat(missing)
  return encodeChat(scenario, contents)
}

function encodeChat(scenario: Scenario, contents: readonly string[]): Buffer {
  const model = BENCH_MODEL
  const messages = [
    { role: 'system', content: 'You are a helpful assistant. Answer briefly.' },
    ...contents.map((content, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', content })),
  ]
  const rest = {
    temperature: 0.7,
    max_tokens: 1024,
    ...(scenario.isStreaming && { stream: true, stream_options: { include_usage: true } }),
  }
  const body = scenario.modelFirst ? { model, messages, ...rest } : { messages, model, ...rest }
  return Buffer.from(JSON.stringify(body))
}

const PROSE = `Summarise what follows in three points, and say "unknown" where the text is silent.
The order of 12 March was delivered late; 客户要求在三个工作日内给出书面答复。
1. What was promised?\t2. What was kept?
`

/** Text whose JSON form is at most `bytes` long, with escapes and Chinese as real prompts have. */
function prose(bytes: number): string {
  const characters = [...PROSE]
  const costs = characters.map((character) => Buffer.byteLength(JSON.stringify(character)) - 2)
  let text = ''
  let used = 0
  for (let index = 0; ; index = (index + 1) % characters.length) {
    used += costs[index] ?? 0
    if (used > bytes) return text
    text += characters[index]
  }
}
