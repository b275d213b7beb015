// Runs a gateway until it is told to stop; shared by serve and demo.

import { LOG_LEVELS, type Log } from '#core/telemetry.ts'
import { type Gateway, startGateway } from '#runtime/node/gateway.ts'
import { ConfigError } from '#runtime/node/read-config.ts'
import { formatProblems } from '#settings/problems.ts'
import { createLog } from '#telemetry/log.ts'

export interface RunOptions {
  readonly configPath: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Log
  /** What the operator reads once it listens. */
  readonly banner: (gateway: Gateway) => string | Promise<string>
  /** Stops what was started beside the gateway. */
  readonly cleanUp: () => Promise<void>
}

export async function runGateway(options: RunOptions): Promise<number> {
  let gateway: Gateway
  try {
    gateway = await startGateway(options)
  } catch (error) {
    await options.cleanUp()
    if (!(error instanceof ConfigError)) throw error
    console.error(formatProblems(error.problems))
    return 1
  }
  const stopped = untilStopped()
  console.log(await options.banner(gateway))
  await stopped
  await gateway.close()
  await options.cleanUp()
  return 0
}

/** A second signal does not wait. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(1)
        asked = true
        resolve()
      })
    }
  })
}

/** Log lines go to standard output, gathered for a moment: a write for every few requests costs as much as they do. */
export function createProcessLog(
  env: Readonly<Record<string, string | undefined>>,
  fallback: (typeof LOG_LEVELS)[number],
): Log {
  const asked = env['SLUICE_LOG_LEVEL']
  // A word that is none of them is refused with the configuration.
  const level = LOG_LEVELS.find((candidate) => candidate === asked) ?? fallback
  return createLog({ level, write: writeSoon, nowMs: () => Date.now() })
}

let pending = ''
const PENDING_CHARS_MAX = 1_000_000
const GATHER_MS = 20
// What has not been written when the process ends by itself goes out then.
process.once('exit', flush)

function writeSoon(line: string): void {
  if (pending.length > PENDING_CHARS_MAX) return
  if (pending === '') setTimeout(flush, GATHER_MS)
  pending += `${line}\n`
}

function flush(): void {
  // A reader that does not read must not fill the memory: lines wait here, up to the bound, until it does.
  if (process.stdout.writableNeedDrain) {
    process.stdout.once('drain', flush)
    return
  }
  if (pending === '') return
  const text = pending
  pending = ''
  process.stdout.write(text)
}
