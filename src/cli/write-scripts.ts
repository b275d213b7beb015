// Writes the Lua scripts of the Redis store into a TypeScript file, so that bundles carry them. With --check it only
// says whether that file is up to date.

import { hash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '../store/redis')

function generated(): string {
  const names = readdirSync(join(FOLDER, 'lua')).filter((name) => name.endsWith('.lua'))
  const texts = new Map<string, string>()
  const shas = new Map<string, string>()
  for (const file of names.sort()) {
    const text = readFileSync(join(FOLDER, 'lua', file), 'utf8')
    const name = file.slice(0, -'.lua'.length)
    texts.set(name, text)
    shas.set(name, hash('sha1', text, 'hex'))
  }
  return [
    '// Written by src/cli/write-scripts.ts from lua/*.lua.\n',
    objectOf('SCRIPTS', texts),
    `/** What a server calls them by. */\n${objectOf('SCRIPT_SHAS', shas)}`,
  ].join('\n')
}

function objectOf(name: string, values: ReadonlyMap<string, string>): string {
  const entries = [...values].map(([key, value]) => `  '${key}': ${JSON.stringify(value)},\n`)
  return `export const ${name} = {\n${entries.join('')}} as const\n`
}

const path = join(FOLDER, 'scripts.gen.ts')
if (process.argv.includes('--check')) {
  if (readFileSync(path, 'utf8') !== generated()) {
    console.error(`${path} is out of date: run src/cli/write-scripts.ts`)
    process.exitCode = 1
  }
} else {
  writeFileSync(path, generated())
}
