// `sluice decide`: the planner in virtual time, over lines on stdin and stdout.

import { write } from 'node:fs'
import type { Live } from '#pipeline/live.ts'
import { readProviderFolders } from '#runtime/node/providers.ts'
import { ConfigError, readConfig } from '#runtime/node/read-config.ts'
import { formatProblems } from '#settings/problems.ts'
import { type Command, readOptions, UsageError } from './command.ts'
import { createDecideSession } from './decide-session.ts'
import { DecideStream } from './decide-stream.ts'

const DEFAULT_CONFIG = 'config/sluice.yaml'
const STDOUT = 1

export const decide: Command = {
  name: 'decide',
  summary: 'the planner in virtual time, over lines of JSON',
  help: `usage: sluice decide [--config FILE] [--seed N] < LINES

Drives the planner of the gateway with a clock of your own: one JSON object a line, each with "type", "id" and "at"
(Unix time in virtual milliseconds). Providers need no keys, nothing is sent anywhere.

  {"type":"request","id","at","model","input_tokens","max_output_tokens"?,"prefix_hashes"?:[…],"session"?,
   "capabilities"?:[…],"tried"?:[…]}
     → {"id","order":["provider/model",…],"explore","propensity","hedge_after_ms","expected_cost","p_slo"}
       "order" empty: refused, or, with "wait_ms", to be asked again then
  {"type":"hedge?","id","at"}                                          → {"id","target":"provider/model"|null}
  {"type":"attempt_started","id","at","target"}                        no answer, as to the following
  {"type":"first_byte","id","at","target"}                             of hidden thinking, before any content
  {"type":"first_token","id","at","target"}
  {"type":"finished","id","at","target","input_tokens","cached_tokens","output_tokens"}
  {"type":"failed","id","at","target","error":"rate_limited|timeout|server_error|connect|context_length",
   "retry_after_ms"?}
  {"type":"cancelled","id","at","target"}

A line that cannot be taken is told on stderr (which line, which field, what was found, what is allowed), and on
stdout as {"id","error"} where an answer was due; the stream goes on. The same lines and the same seed give the same
answers. Exit code 0: all lines were taken; 1: some were not, or the configuration has problems; 2: wrong use.

example: echo '{"type":"request","id":"1","at":1772424000000,"model":"assistant","input_tokens":900}' |
           SLUICE_KEY=sk-any-key-will-do sluice decide --config config/sluice.yaml --seed 7`,
  async run(args) {
    const { values } = readOptions(args, { config: { type: 'string' }, seed: { type: 'string' } })
    const seed = readSeed(values.seed ?? '1')
    const live = await readLive(values.config ?? DEFAULT_CONFIG)
    if (live === null) return 1
    const stream = new DecideStream(createDecideSession({ live, seed }))
    const output = new Output()
    for await (const chunk of process.stdin) {
      const { answers, problems } = stream.take(chunk as Buffer)
      output.write(answers)
      for (const problem of problems) console.error(problem)
    }
    const { answers, problems } = stream.end()
    output.write(answers)
    for (const problem of problems) console.error(problem)
    await output.written()
    return stream.hasProblems ? 1 : 0
  },
}

function readSeed(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--seed: "${text}" is no whole number`)
  return Number(text)
}

async function readLive(path: string): Promise<Live | null> {
  try {
    return await readConfig(path, process.env, await readProviderFolders())
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(formatProblems(error.problems))
    return null
  }
}

/** Writing must not stop the reading: a driver that writes all its lines before it reads would wait for ever. */
class Output {
  #pending = ''
  #isWriting = false
  #done: (() => void) | null = null

  write(text: string): void {
    this.#pending += text
    if (!this.#isWriting) this.#next()
  }

  written(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#isWriting && this.#pending === '') resolve()
      else this.#done = resolve
    })
  }

  #next(): void {
    if (this.#pending === '') {
      this.#done?.()
      return
    }
    const bytes = Buffer.from(this.#pending)
    this.#pending = ''
    this.#isWriting = true
    this.#writeFrom(bytes, 0)
  }

  #writeFrom(bytes: Buffer, from: number): void {
    write(STDOUT, bytes, from, bytes.length - from, null, (error, count) => {
      if (error !== null && error.code !== 'EAGAIN') {
        // Nobody reads any more; there is nothing left to say.
        process.exit(error.code === 'EPIPE' ? 0 : 1)
      }
      const sent = from + (error === null ? count : 0)
      if (sent < bytes.length) this.#writeFrom(bytes, sent)
      else {
        this.#isWriting = false
        this.#next()
      }
    })
  }
}
