// Any program as a policy: lines to its stdin, answers from its stdout, in lock-step. The pipes are named ones that are
// read and written without an event loop, so that a run stays one plain loop.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gatewayConfig } from '../gateway-config.ts'
import type { Answer, Line, Policy } from '../protocol.ts'
import type { Contender } from './contender.ts'

const READ_BYTES = 65_536
/** Below what a pipe holds, so that writing never waits for a program that only reads when it has been asked. */
const PENDING_CHARACTERS_MAX = 8192

/** In `command`, `{config}`, `{seed}` and `{value}` stand for this run's. */
export function commandContender(command: string): Contender {
  return {
    name: 'command',
    hasValue: true,
    kind: 'candidate',
    make: ({ world, seed, valueCny }) => {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-routing-'))
      const config = join(folder, 'config.json')
      writeFileSync(config, gatewayConfig(world, valueCny))
      const filled = command
        .replaceAll('{config}', config)
        .replaceAll('{seed}', String(seed))
        .replaceAll('{value}', String(valueCny))
      return new CommandPolicy(filled, folder)
    },
  }
}

class CommandPolicy implements Policy {
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #stdin: number
  readonly #stdout: number
  readonly #bytes = Buffer.alloc(READ_BYTES)
  #pending = ''
  #read = ''

  constructor(command: string, folder: string) {
    const [stdin, stdout] = [join(folder, 'in'), join(folder, 'out')]
    this.#folder = folder
    execFileSync('sh', ['-c', 'mkfifo "$@"', 'sh', stdin, stdout])
    // Opening a named pipe waits for the other end: the shell opens both ends of its own in this order.
    this.#child = spawn('sh', ['-c', `exec < ${stdin} > ${stdout}; ${command}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    this.#stdin = openSync(stdin, 'w')
    this.#stdout = openSync(stdout, 'r')
  }

  handle(line: Line): Answer | null {
    this.#pending += `${JSON.stringify(line)}\n`
    const isAnswered = line.type === 'request' || line.type === 'hedge?'
    if (isAnswered || this.#pending.length > PENDING_CHARACTERS_MAX) this.#flush()
    return isAnswered ? (JSON.parse(this.#readLine()) as Answer) : null
  }

  close(): void {
    this.#flush()
    closeSync(this.#stdin)
    closeSync(this.#stdout)
    this.#child.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending)
    this.#pending = ''
    for (let sent = 0; sent < bytes.length; ) sent += writeSync(this.#stdin, bytes, sent)
  }

  /** @throws Error when the program has ended */
  #readLine(): string {
    let end = this.#read.indexOf('\n')
    while (end < 0) {
      const count = readSync(this.#stdout, this.#bytes)
      if (count === 0) throw new Error('the command ended before it had answered')
      this.#read += this.#bytes.toString('utf8', 0, count)
      end = this.#read.indexOf('\n')
    }
    const line = this.#read.slice(0, end)
    this.#read = this.#read.slice(end + 1)
    return line
  }
}
