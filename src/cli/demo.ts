// `sluice demo`: the gateway with simulated upstreams on loopback; no keys, no other service.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Gateway } from '#runtime/node/gateway.ts'
import { defaultDemoSimulators } from '#simulator/config.ts'
import { startSimulator } from '#simulator/simulate.ts'
import { type Command, readOptions } from './command.ts'
import { createProcessLog, runGateway } from './run-gateway.ts'
import { warmUp } from './warm-up.ts'

const CONFIG = fileURLToPath(new URL('../../config/demo.yaml', import.meta.url))
const KEY = 'sk-sluice-demo'
const WARM_UP_KEY = 'sk-sluice-demo-warm-up'

export const demo: Command = {
  name: 'demo',
  summary: 'try it: the gateway with simulated upstreams',
  help: `usage: sluice demo

Starts the gateway on 127.0.0.1 (port 8787 or $SLUICE_PORT) in front of simulated Doubao, Qwen, ERNIE, DeepSeek
and open-model upstreams that speak the real dialects, and looks first how quick each target is. Nothing is
kept unless $SLUICE_STORE says where. The configuration is config/demo.yaml.

example: SLUICE_PORT=9000 sluice demo`,
  async run(args) {
    readOptions(args, {})
    const simulators = await Promise.all(
      Object.entries(defaultDemoSimulators()).map(async ([name, config]) => ({
        name,
        simulator: await startSimulator({ ...config, port: 0 }),
      })),
    )
    const folder = mkdtempSync(join(tmpdir(), 'sluice-demo-'))
    const addresses = simulators.map(({ name, simulator }) => [
      `SLUICE_DEMO_${name.toUpperCase()}`,
      simulator.baseUrl,
    ])
    const env = {
      SLUICE_STORE: `sqlite:${join(folder, 'sluice.db')}`,
      SLUICE_JOURNAL: join(folder, 'journal.db'),
      SLUICE_PORT: '8787',
      ...process.env,
      SLUICE_HOST: '127.0.0.1',
      ...Object.fromEntries(addresses),
    }
    return runGateway({
      configPath: CONFIG,
      env,
      // Lines for each request would bury the banner; SLUICE_LOG_LEVEL=info shows them.
      log: createProcessLog(process.env, 'warn'),
      async banner(gateway) {
        const targets = [...gateway.settings.models.values()].flatMap((model) => model.targets)
        // Else the first answer would come from the cheapest target, which nobody has found to be slow yet.
        await warmUp(gateway.url, WARM_UP_KEY, new Set(targets.map((target) => target.id)))
        return banner(
          gateway,
          simulators.map(({ name }) => name),
        )
      },
      async cleanUp() {
        await Promise.all(simulators.map(({ simulator }) => simulator.close()))
        rmSync(folder, { recursive: true, force: true })
      },
    })
  },
}

function banner(gateway: Gateway, upstreams: readonly string[]): string {
  const { url, settings } = gateway
  return `
Sluice is running with simulated upstreams (${upstreams.join(', ')}).

  base URL      ${url}/v1
  API key       ${KEY}
  admin token   ${settings.admin.token ?? 'none'}
  models        ${[...settings.models.keys()].slice(0, 3).join(', ')} and every PROVIDER/MODEL of GET ${url}/v1/models

Ask for the cheapest model that is quick enough, streamed, with what it cost (usage.cost, in ${settings.currency}):

  curl -N ${url}/v1/chat/completions \\
    -H 'authorization: Bearer ${KEY}' -H 'content-type: application/json' \\
    -d '{"model":"assistant","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Why is the sky blue?"}]}'

See what was spent, and why each request went where it went (key "warm-up": small streams to each target before you
came, so that it is known how quick they are):

  curl -H 'authorization: Bearer ${settings.admin.token ?? ''}' '${url}/admin/v1/usage?group_by=key,target'
  curl -H 'authorization: Bearer ${settings.admin.token ?? ''}' '${url}/admin/v1/requests?limit=1'

Ctrl-C stops it.
`
}
