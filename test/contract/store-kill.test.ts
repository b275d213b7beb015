// kill -9 at any moment: nothing acknowledged is lost, nothing is there twice.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { batchOfShipment } from '#store/shipment.ts'
import { openLedger, temporaryFolder } from '../support/sqlite-ledger.ts'

const SEED = 84
const ROUNDS = 10
const CHILD = join(import.meta.dirname, '../support/journal-child.ts')
const EVERYTHING = { groupBy: [], bucket: null, fromMs: null, toMs: null } as const

/** Runs the child until it has acknowledged so many requests, then kills it. Returns what it acknowledged. */
function killAfter(file: string, word: string, acknowledgements: number): Promise<string[]> {
  const child = spawn(process.execPath, [CHILD, file, word], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (data) => {
      output += String(data)
      if (output.split('\n').length > acknowledgements) child.kill('SIGKILL')
    })
    child.once('error', reject)
    // The last line may be cut.
    child.once('close', () => resolve(output.split('\n').slice(0, -1)))
  })
}

test(`no acknowledged row is lost or doubled over ${ROUNDS} kills (seed ${SEED})`, async () => {
  const folder = temporaryFolder()
  const file = join(folder.path, 'journal.db')
  const moments = fc.sample(fc.integer({ min: 1, max: 900 }), { seed: SEED, numRuns: ROUNDS })
  const acknowledged: string[] = []
  try {
    for (const [round, moment] of moments.entries()) {
      const ids = await killAfter(file, `round${round}`, moment)
      expect(ids.length).toBeGreaterThanOrEqual(moment)
      acknowledged.push(...ids)
      const ledger = openLedger(file, { shipping: true })
      ledger.recover((row) => row)
      try {
        for (const id of ids) {
          const detail = await ledger.store.request(id)
          expect(detail?.request.outcome, id).toBe('success')
          expect(detail?.attempts.map((row) => row.outcome)).toEqual(['success'])
        }
        const { total } = await ledger.store.usage(EVERYTHING)
        const shippable = shipAll(ledger)
        expect(new Set(shippable.map((row) => row.name)).size).toBe(shippable.length)
        expect(shippable.length).toBe(2 * (total.attempts - shippedAttempts))
        shippedAttempts = total.attempts
        expect(total.attempts).toBeGreaterThanOrEqual(acknowledged.length)
        expect(total.requests).toBe(total.attempts)
      } finally {
        ledger.close()
      }
    }
  } finally {
    folder.remove()
  }
})

let shippedAttempts = 0

function shipAll(ledger: ReturnType<typeof openLedger>): { readonly name: string }[] {
  const found: { name: string }[] = []
  for (;;) {
    const batch = ledger.outbox.unshipped(500)
    if (batch === null) return found
    for (const entry of batchOfShipment(batch).rows) {
      if (entry.kind === 'adjustment') continue
      const name = entry.kind === 'attempt' ? `attempt ${entry.row.requestId}` : `request ${entry.row.id}`
      found.push({ name })
    }
    ledger.outbox.shipped(batch)
  }
}
