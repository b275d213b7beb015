// What a command is, and the reading of its options.

import { type ParseArgsConfig, parseArgs } from 'node:util'

export interface Command {
  readonly name: string
  readonly summary: string
  readonly help: string
  /** Returns the exit code. @throws UsageError */
  readonly run: (args: readonly string[]) => Promise<number>
}

/** The command was called wrongly: exit code 2. */
export class UsageError extends Error {}

/** @throws UsageError */
export function readOptions<const T extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: T,
  positionalsMax = 0,
) {
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: positionalsMax > 0, strict: true })
    if (parsed.positionals.length > positionalsMax)
      throw new UsageError(`unexpected "${parsed.positionals.at(-1)}"`)
    return parsed
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
