// `sluice check`: would this configuration be taken?

import { readProviderFolders } from '#runtime/node/providers.ts'
import { ConfigError, readConfig } from '#runtime/node/read-config.ts'
import { formatProblems } from '#settings/problems.ts'
import { type Command, readOptions, UsageError } from './command.ts'

export const check: Command = {
  name: 'check',
  summary: 'check a configuration file',
  help: `usage: sluice check FILE [--json]

Reads FILE as the gateway would and reports every problem at once: where, what was found, what is allowed
and the nearest name. Exit code 0: it can be used; 1: it has problems.

example: sluice check config/sluice.yaml`,
  async run(args) {
    const { values, positionals } = readOptions(args, { json: { type: 'boolean' } }, 1)
    const path = positionals[0]
    if (path === undefined) throw new UsageError('which FILE?')
    const json = values.json === true
    try {
      const { settings } = await readConfig(path, process.env, await readProviderFolders())
      if (json) console.log(JSON.stringify({ ok: true, problems: [], notices: settings.notices }))
      else {
        for (const notice of settings.notices) console.log(`note: ${notice}`)
        console.log(
          `${path} is fine (providers: ${settings.providers.size}, models: ${settings.models.size}, keys: ${settings.keys.length})`,
        )
      }
      return 0
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      if (json) console.log(JSON.stringify({ ok: false, problems: error.problems, notices: [] }))
      else console.error(formatProblems(error.problems))
      return 1
    }
  },
}
