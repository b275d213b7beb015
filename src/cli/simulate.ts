// `sluice simulate`: the upstream simulators alone, for trying clients and configurations without any key.

import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { defaultDemoSimulators, readSimulatorConfig } from '#simulator/config.ts'
import { startSimulator } from '#simulator/simulate.ts'
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
    const running = await Promise.all(
      Object.entries(configs).map(async ([name, config]) => ({
        name,
        simulator: await startSimulator(config),
      })),
    )
    for (const { name, simulator } of running) console.log(`${name.padEnd(12)} ${simulator.baseUrl}`)
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    })
    await Promise.all(running.map(({ simulator }) => simulator.close()))
    return 0
  },
}
