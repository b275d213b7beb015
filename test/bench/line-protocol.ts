// The benchmark's processes talk in JSON lines: the child announces itself, then answers one line per line.

import { createInterface } from 'node:readline'

export function writeLine(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Answers each line of standard input. When the parent goes away the input ends, and so does this process. */
export function answerLines(answer: (command: unknown) => unknown): void {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', async (line) => writeLine(await answer(JSON.parse(line))))
  lines.on('close', () => process.exit(0))
}
