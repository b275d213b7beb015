// How many answers a second `sluice decide`, or another command, gives: with all lines at hand, and in lock-step.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gatewayConfig } from './gateway-config.ts'
import { commandContender } from './policies/command.ts'
import type { Contender, Run } from './policies/contender.ts'
import type { Line, Policy } from './protocol.ts'
import { play } from './runs.ts'
import type { Setup } from './setups.ts'
import { World } from './world.ts'

const LINE_FEED = 10

export interface DecideRate {
  readonly answers: number
  readonly pipelinedPerSecond: number
  readonly lockStepPerSecond: number
}

/** `planner` gives the lines that the command is then fed with. The clock starts at the first answer. */
export async function measureDecideRate(
  command: string,
  setup: Setup,
  seed: number,
  valueCny: number,
  planner: Contender,
): Promise<DecideRate> {
  const lines: Line[] = []
  await play(setup, seed, watched(planner, lines), valueCny)
  const answers = lines.filter(({ type }) => type === 'request' || type === 'hedge?').length
  const pipelinedMs = await feed(command, setup, seed, valueCny, lines, answers)
  const lockStepMs = await playInStep(commandContender(command), setup, seed, valueCny)
  return {
    answers,
    pipelinedPerSecond: (answers * 1000) / pipelinedMs,
    lockStepPerSecond: (answers * 1000) / lockStepMs,
  }
}

async function playInStep(
  contender: Contender,
  setup: Setup,
  seed: number,
  valueCny: number,
): Promise<number> {
  let startedAt = Number.NaN
  const make = async (run: Run): Promise<Policy> => {
    const policy = await contender.make(run)
    return {
      handle: (line) => {
        const answer = policy.handle(line)
        if (Number.isNaN(startedAt)) startedAt = performance.now()
        return answer
      },
      close: () => policy.close?.(),
    }
  }
  await play(setup, seed, { ...contender, make }, valueCny)
  return performance.now() - startedAt
}

function watched(contender: Contender, lines: Line[]): Contender {
  return {
    ...contender,
    make: async (run) => {
      const policy = await contender.make(run)
      return {
        handle: (line) => {
          lines.push(line)
          return policy.handle(line)
        },
        close: () => policy.close?.(),
      }
    },
  }
}

async function feed(
  command: string,
  setup: Setup,
  seed: number,
  valueCny: number,
  lines: readonly Line[],
  answers: number,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-routing-'))
  const config = join(folder, 'config.json')
  writeFileSync(config, gatewayConfig(new World(setup, seed), valueCny))
  const filled = command.replaceAll('{config}', config).replaceAll('{seed}', String(seed))
  const text = lines.map((line) => `${JSON.stringify(line)}\n`)
  const child = spawn('sh', ['-c', filled], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.on('error', () => {})
  child.stdin.write(text[0] ?? '')
  let startedAt = Number.NaN
  let got = 0
  for await (const chunk of child.stdout) {
    if (Number.isNaN(startedAt)) {
      startedAt = performance.now()
      child.stdin.end(text.slice(1).join(''))
    }
    for (const byte of chunk as Buffer) if (byte === LINE_FEED) got += 1
  }
  const tookMs = performance.now() - startedAt
  rmSync(folder, { recursive: true, force: true })
  if (got !== answers) throw new Error(`${got} answers to ${answers} questions`)
  return tookMs
}
