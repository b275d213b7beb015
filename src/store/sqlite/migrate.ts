// Brings a file to the schema of this version, or refuses it. What the steps do stands in migrations.ts.

import { StoreFileError } from '../errors.ts'
import type { SqlDriver } from './driver.ts'
import { MIGRATIONS, type Migration } from './migrations.ts'

const APPLIED_TABLE = `CREATE TABLE IF NOT EXISTS migration (
  number INTEGER PRIMARY KEY,
  checksum TEXT NOT NULL
) STRICT`

/**
 * Applies the steps that the file lacks, each in a transaction of its own. `backUp` hears of the schema that a file of
 * an older version has, before anything is changed; when it throws, nothing is.
 * @throws StoreFileError when the file knows steps that we do not, or another text of one of ours.
 */
export function migrate(
  driver: SqlDriver,
  migrations: readonly Migration[] = MIGRATIONS,
  backUp: (schema: number) => void = () => undefined,
): void {
  driver.exec(APPLIED_TABLE)
  const applied = new Map<number, string>()
  for (const row of driver.prepare('SELECT number, checksum FROM migration').all()) {
    applied.set(Number(row['number']), String(row['checksum']))
  }
  refuseUnknown(driver, applied, migrations)
  const record = driver.prepare('INSERT INTO migration (number, checksum) VALUES (?, ?)')
  const schema = Math.max(0, ...applied.keys())
  if (schema > 0 && migrations.some(({ number }) => !applied.has(number))) backUp(schema)
  for (const migration of migrations) {
    if (applied.has(migration.number)) continue
    driver.transaction(() => {
      driver.exec(migration.sql)
      record.run(migration.number, checksum(migration.sql))
    })
  }
}

function refuseUnknown(
  driver: SqlDriver,
  applied: ReadonlyMap<number, string>,
  migrations: readonly Migration[],
): void {
  const known = new Map(migrations.map((migration) => [migration.number, checksum(migration.sql)]))
  const newest = Math.max(0, ...known.keys())
  for (const [number, sum] of applied) {
    const expected = known.get(number)
    if (expected === undefined) {
      throw new StoreFileError(
        `${driver.path} was written by a newer Sluice (schema ${number}, this one knows ${newest}): ` +
          'run that version again or use another file',
      )
    }
    if (expected !== sum) {
      throw new StoreFileError(
        `${driver.path} has another schema ${number} than this Sluice: use another file`,
      )
    }
  }
}

/** FNV-1a, 64 bits: tells edited steps apart; no defence against anybody. */
function checksum(text: string): string {
  let hash = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  }
  return hash.toString(16).padStart(16, '0')
}
