// The `sluice` command. Exit codes: 0 fine, 1 failed, 2 wrong use.

import { setFlagsFromString } from 'node:v8'
import { check } from './check.ts'
import type { Command } from './command.ts'
import { UsageError } from './command.ts'
import { decide } from './decide.ts'
import { demo } from './demo.ts'
import { explain } from './explain.ts'
import { keys } from './keys.ts'
import { migrate } from './migrate-store.ts'
import { months } from './months.ts'
import { prices } from './prices.ts'
import { rate } from './rate.ts'
import { reconcile } from './reconcile.ts'
import { rerate } from './rerate.ts'
import { serve } from './serve.ts'
import { simulate } from './simulate.ts'
import { usage } from './usage.ts'

// V8 learns to make long-lived objects old at once. A request lives just long enough to be taken for one, and old
// objects keep all that they point to: every request's buffers then wait for a full collection (a fifth of the CPU).
setFlagsFromString('--no-allocation-site-pretenuring')

const COMMANDS: readonly Command[] = [
  serve,
  demo,
  check,
  explain,
  decide,
  keys,
  usage,
  months,
  rate,
  rerate,
  reconcile,
  migrate,
  prices,
  simulate,
]

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === 'help') {
    console.log(overview())
    return name === undefined ? 2 : 0
  }
  const command = COMMANDS.find((candidate) => candidate.name === name)
  if (command === undefined) {
    console.error(`sluice: there is no command "${name}"\n\n${overview()}`)
    return 2
  }
  if (rest.includes('--help')) {
    console.log(command.help)
    return 0
  }
  try {
    return await command.run(rest)
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`sluice ${name}: ${error.message}\n\n${command.help}`)
      return 2
    }
    console.error(`sluice ${name}: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}

function overview(): string {
  const lines = COMMANDS.map((command) => `  ${command.name.padEnd(13)} ${command.summary}`)
  return `usage: sluice COMMAND [OPTIONS]\n\n${lines.join('\n')}\n\nsluice COMMAND --help says more.`
}

process.exitCode = await main(process.argv.slice(2))
