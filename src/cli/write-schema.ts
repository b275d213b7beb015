// Writes the JSON Schema of the configuration for editors. With --check it only says whether that file is up to date.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { settingsJsonSchema } from '#settings/json-schema.ts'

const path = fileURLToPath(new URL('../../config/sluice.schema.json', import.meta.url))
const text = `${JSON.stringify(settingsJsonSchema(), null, 2)}\n`
if (!process.argv.includes('--check')) {
  writeFileSync(path, text)
} else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
  console.error(`${path} is out of date: run npm run gen`)
  process.exitCode = 1
}
