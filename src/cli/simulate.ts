// `sluice simulate`: the upstream simulators alone, for trying clients and configurations without any key.

import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { defaultDemoSimulators, readSimulatorConfig, type SimulatorConfig } from '#simulator/config.ts'
import { type Simulator, startSimulator } from '#simulator/simulate.ts'
import { type Command, readOptions } from './command.ts'

export const simulate: Command = {
  name: 'simulate',
  summary: 'run upstream simulators on loopback',
  help: `usage: sluice simulate [--config FILE]

Starts servers on 127.0.0.1 that speak the dialects of Doubao, Qwen, ERNIE, DeepSeek, vLLM and others, with
the latencies, limits and faults of FILE (see config/simulators.yaml); without FILE those of the demo.
Runs until it is stopped.

example: sluice simulate --config config/simulators.yaml`,
  async run(args) {
    const { values } = readOptions(args, { config: { type: 'string' } })
    const configs =
      values.config === undefined
        ? defaultDemoSimulators()
        : readSimulatorConfig(parse(await readFile(values.config, 'utf8')) as unknown)
    const running = await startAll(configs)
    for (const { name, simulator } of running) console.log(`${name.padEnd(12)} ${simulator.baseUrl}`)
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    })
    await Promise.all(running.map(({ simulator }) => simulator.close()))
    return 0
  },
}

interface Running {
  readonly name: string
  readonly simulator: Simulator
}

/** All of them or none: those that stand would keep the process alive. */
async function startAll(configs: Readonly<Record<string, SimulatorConfig>>): Promise<readonly Running[]> {
  const running: Running[] = []
  try {
    for (const [name, config] of Object.entries(configs)) {
      running.push({ name, simulator: await startSimulator(config) })
    }
    return running
  } catch (error) {
    await Promise.all(running.map(({ simulator }) => simulator.close()))
    const inUse = (error as { code?: unknown }).code === 'EADDRINUSE'
    const name = Object.keys(configs)[running.length] ?? ''
    if (!inUse) throw error
    throw new Error(`port ${configs[name]?.port} of ${name} is in use`, { cause: error })
  }
}
