// `npm test`: sees to what the tests need, runs them, and ends with one plain line that counts them.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureRedis } from './support/redis-server.ts'

await ensureRedis()

const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
const report = join(folder, 'report.json')
const vitest = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs')
const run = spawnSync(
  process.execPath,
  [
    vitest,
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ],
  { stdio: 'inherit', cwd: join(import.meta.dirname, '..') },
)

let failed = 1
try {
  const counted = JSON.parse(readFileSync(report, 'utf8')) as Record<string, number>
  // A file that cannot be loaded has no tests to count, and is a failure all the same.
  failed = Math.max(counted['numFailedTests'] ?? 0, run.status === 0 ? 0 : 1)
  console.log(`${counted['numPassedTests'] ?? 0} passed, ${failed} failed`)
} catch {
  console.log('0 passed, 1 failed')
}
rmSync(folder, { recursive: true, force: true })
process.exit((run.status ?? 1) ? 1 : failed === 0 ? 0 : 1)
