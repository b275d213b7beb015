// `sluice serve`: the gateway with a configuration file.

import { type Command, readOptions } from './command.ts'
import { createProcessLog, runGateway } from './run-gateway.ts'

const DEFAULT_CONFIG = 'config/sluice.yaml'

export const serve: Command = {
  name: 'serve',
  summary: 'run the gateway',
  help: `usage: sluice serve [--config FILE]

Runs the gateway with FILE, $SLUICE_CONFIG or ${DEFAULT_CONFIG}.
The environment goes over the file: SLUICE_HOST, SLUICE_PORT, SLUICE_STORE, SLUICE_JOURNAL,
SLUICE_ADMIN_TOKEN, SLUICE_LOG_LEVEL (debug, info, warn, error).

example: ARK_API_KEY=… SLUICE_KEY=sk-my-own-key sluice serve --config config/sluice.yaml`,
  async run(args) {
    const { values } = readOptions(args, { config: { type: 'string' } })
    const configPath = values.config ?? process.env['SLUICE_CONFIG'] ?? DEFAULT_CONFIG
    return runGateway({
      configPath,
      env: process.env,
      log: createProcessLog(process.env, 'info'),
      cleanUp: async () => undefined,
      banner: (gateway) =>
        [
          ...gateway.settings.notices.map((notice) => `note: ${notice}`),
          `sluice listens on ${gateway.url}  (store: ${gateway.store}; configuration: ${configPath})`,
        ].join('\n'),
    })
  },
}
