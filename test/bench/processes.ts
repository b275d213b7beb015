// The benchmark's child processes: where they run, how they are asked, that none outlives the benchmark, and
// what the kernel says they used.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Before a process that does not stop by itself is killed. */
const STOP_MS_MAX = 10_000
/** USER_HZ: fixed for user space on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** Where processes run, as the words before the command; none: wherever the system likes. */
export interface Placement {
  readonly load: readonly string[]
  readonly proxy: readonly string[]
  readonly note: string
}

export interface LaunchOptions {
  readonly prefix: readonly string[]
  /** A descriptor for standard output and standard error; absent: lines go to and fro. */
  readonly log?: number
  readonly env?: NodeJS.ProcessEnv
}

const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Two cores of those this process may use, if it can choose. */
export function choosePlacement(): Placement {
  const [load, proxy] = allowedCores()
  if (load === undefined || proxy === undefined) {
    const note = `not pinned: ${availableParallelism()} core(s) for all, and no choice of two`
    return { load: [], proxy: [], note }
  }
  const pin = (core: number): readonly string[] => ['taskset', '-c', String(core)]
  if (!works(pin(load)) || !works(pin(proxy)))
    return { load: [], proxy: [], note: 'not pinned: taskset is not here or may not' }
  const places = `proxies pinned to core ${proxy}, mock and load generator to core ${load}`
  const batched = ['chrt', '--batch', '0', ...pin(load)]
  // Without it each chunk that the mock writes interrupts the mock for the generator, and both fill their core
  // at two thirds of the rate.
  return works(batched)
    ? { load: batched, proxy: pin(proxy), note: `${places} as batch jobs` }
    : { load: pin(load), proxy: pin(proxy), note: places }
}

/** A process that is not ours to launch runs where the load does. */
export function moveToLoad({ load }: Placement, pid: number): void {
  const core = load.at(-1)
  if (core === undefined) return
  const [file = '', ...rest] = ['taskset', '-acp', core, String(pid)]
  spawnSync(file, rest, { stdio: 'ignore' })
}

function works(prefix: readonly string[]): boolean {
  const [file = '', ...rest] = prefix
  return spawnSync(file, [...rest, process.execPath, '--version'], { stdio: 'ignore' }).status === 0
}

/** Runs Node on `args`. Its process id is the child's even behind a prefix, which replaces itself. */
export function launch(args: readonly string[], options: LaunchOptions): ChildProcess {
  const [file = '', ...rest] = [...options.prefix, process.execPath, ...args]
  const child = spawn(file, rest, {
    stdio: options.log === undefined ? ['pipe', 'pipe', 'inherit'] : ['ignore', options.log, options.log],
    env: options.env ?? process.env,
  })
  running.add(child)
  child.on('error', (error) => console.error(`${args[0]}: ${error.message}`))
  child.on('exit', () => running.delete(child))
  return child
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
  clearTimeout(timer)
}

/** A child that announced a value and answers one line per line. */
export class Worker {
  readonly pid: number
  readonly child: ChildProcess
  readonly #answers: AsyncIterator<string>

  constructor(script: string, args: readonly string[], prefix: readonly string[]) {
    this.child = launch([join(import.meta.dirname, script), ...args], { prefix })
    this.pid = this.child.pid ?? 0
    if (this.child.stdout === null) throw new Error(`${script} has no output`)
    this.#answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  async ask<T>(command: unknown): Promise<T> {
    this.child.stdin?.write(`${JSON.stringify(command)}\n`)
    return this.read<T>()
  }

  async read<T>(): Promise<T> {
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error(`process ${this.pid} has ended before it answered`)
    return JSON.parse(value) as T
  }
}

/** User and system time of all threads so far; null where the system has no /proc. */
export function cpuMs(pid: number): number | null {
  const stat = readOrNull(`/proc/${pid}/stat`)
  if (stat === null) return null
  // The command's name may hold spaces, so fields are counted from the bracket that closes it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND
}

export function residentMegabytes(pid: number): number | null {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readOrNull(`/proc/${pid}/status`) ?? '')
  return found === null ? null : Number(found[1]) / 1024
}

/** From a list as `0-3,8`; none where the system does not say. */
function allowedCores(): readonly number[] {
  const found = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readOrNull('/proc/self/status') ?? '')
  if (found === null) return []
  return (found[1] ?? '').split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
