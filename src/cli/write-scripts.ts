// Writes the Lua scripts of the Redis store into a TypeScript file, so that bundles carry them. With --check it only
// says whether that file is up to date.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '../store/redis')

function generated(): string {
  const names = readdirSync(join(FOLDER, 'lua')).filter((name) => name.endsWith('.lua'))
  const entries = names.sort().map((name) => {
    const text = readFileSync(join(FOLDER, 'lua', name), 'utf8')
    return `  '${name.slice(0, -'.lua'.length)}': ${JSON.stringify(text)},\n`
  })
  return `// Written by src/cli/write-scripts.ts from lua/*.lua.\n\nexport const SCRIPTS = {\n${entries.join('')}} as const\n`
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
