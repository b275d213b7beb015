// A real redis-server on a free loopback port for tests, with the faults that tests need. Nothing of ours is faked here.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const START_TIMEOUT_MS = 10_000
const PROBE_INTERVAL_MS = 20
const CACHED_BINARY = join(import.meta.dirname, '../../node_modules/.cache/redis-server')
const POLICY_FILE = '/usr/sbin/policy-rc.d'

export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
  /** Freezes the process: connections stay, answers stop. */
  pause(): void
  resume(): void
  /** Dies at once, without a word to its clients. */
  kill(): Promise<void>
}

export interface RedisServerOptions {
  /** Reuse the port and folder of a server that was killed. */
  readonly port?: number
  readonly folder?: string
  /** Writes every command to disk before it answers, so that a restart keeps it. */
  readonly appendOnly?: boolean
  /** Does not wait until it has loaded its data. */
  readonly mayLoad?: boolean
  /** More of the command line, such as `--maxmemory 2mb`. */
  readonly args?: readonly string[]
}

/** Starts a server and waits until it answers. It dies with `stop`, and with this process. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const port = options.port ?? (await freePort())
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'sluice-redis-'))
  const persistence = options.appendOnly === true ? ['--appendonly', 'yes', '--appendfsync', 'always'] : []
  const server = await startRedisProcess(
    port,
    [
      ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, '--daemonize', 'no'],
      ...persistence,
      ...(options.args ?? []),
    ],
    options.mayLoad === true ? /^[+-]/ : undefined,
  )
  return {
    ...server,
    async stop() {
      await server.kill()
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A redis-server told whatever it is told; `port` is where it will answer. */
export async function startRedisProcess(
  port: number,
  args: readonly string[],
  /** To PING, by which it counts as started: one that has loaded, with or without a password. */
  answer = /^(\+PONG|-NOAUTH)/,
): Promise<RedisServer> {
  const binary = ensureRedis()
  const child = spawn(binary, args, { stdio: 'ignore' })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const killWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', killWithUs)
  const end = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
    process.removeListener('exit', killWithUs)
  }
  await waitForAnswer(port, answer)
  if (child.pid === undefined) throw new Error(`${binary} did not start`)
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: child.pid,
    stop: end,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    kill: end,
  }
}

/** Sends one inline command, such as `SCRIPT FLUSH`, and returns the reply as it came, or the beginning of a long one. */
export function sendRedisCommand(url: string, command: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) })
    socket.once('connect', () => socket.write(`${command}\r\n`))
    socket.once('data', (data) => {
      socket.destroy()
      resolve(data.toString().trim())
    })
    socket.once('error', reject)
  })
}

/** Path of a redis-server, installed by the system's package manager when there is none. */
export function ensureRedis(): string {
  const found = findRedis()
  if (found !== null) return found
  for (const install of [installByApt, installByDnf, installByApk, installByBrew]) {
    try {
      install()
    } catch {
      // The next package manager may be the one that this machine has.
    }
    const installed = findRedis()
    if (installed !== null) return installed
  }
  throw new Error(
    'redis-server is missing and could not be installed: install Redis 7 or newer ' +
      '(apt-get install redis-server, dnf install redis, apk add redis, brew install redis) and put it on PATH',
  )
}

function findRedis(): string | null {
  if (existsSync(CACHED_BINARY)) return CACHED_BINARY
  for (const folder of `${process.env['PATH'] ?? ''}:/usr/bin:/usr/local/bin:/opt/homebrew/bin`.split(':')) {
    const path = join(folder, 'redis-server')
    if (folder !== '' && existsSync(path)) return path
  }
  return null
}

function installByApt(): void {
  const prefix = asRoot()
  const keepServicesDown = prefix.length === 0 && !existsSync(POLICY_FILE)
  // Debian starts a service with the package unless this file says no.
  if (keepServicesDown) writeFileSync(POLICY_FILE, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const command = [...prefix, 'env', 'RUNLEVEL=1', 'DEBIAN_FRONTEND=noninteractive', 'apt-get']
    // A new machine has no package lists, or old ones.
    run([...command, 'update'])
    run([...command, 'install', '-y', '--no-install-recommends', 'redis-server'])
  } finally {
    if (keepServicesDown && readFileSync(POLICY_FILE, 'utf8').includes('exit 101')) rmSync(POLICY_FILE)
  }
}

function installByDnf(): void {
  run([...asRoot(), 'dnf', 'install', '-y', 'redis'])
}

function installByApk(): void {
  run([...asRoot(), 'apk', 'add', 'redis'])
}

function installByBrew(): void {
  run(['brew', 'install', 'redis'])
}

function asRoot(): readonly string[] {
  return process.getuid?.() === 0 ? [] : ['sudo', '-n']
}

function run(command: readonly string[]): void {
  const [program = '', ...parts] = command
  execFileSync(program, parts, { stdio: 'ignore', timeout: 300_000 })
}

/** Also for a bus of a cluster, which is told its port. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}

async function waitForAnswer(port: number, answer: RegExp): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline) {
    if (await answers(port, answer)) return
    await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS))
  }
  throw new Error(`redis-server did not answer on port ${port} within ${START_TIMEOUT_MS} ms`)
}

function answers(port: number, answer: RegExp): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data) => {
      socket.destroy()
      resolve(answer.test(data.toString()))
    })
    socket.once('error', () => resolve(false))
  })
}
