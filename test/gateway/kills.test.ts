// A short run of the figure in test/figures/kill.ts: for each kill at a named point one at any moment.

import { expect, test } from 'vitest'
import { CRASH_POINTS } from '../support/crash-points.ts'
import { killRounds } from '../support/kill-rounds.ts'

const SEED = 91
const KILLS = 2 * CRASH_POINTS.length

test(`${KILLS} kills under load lose, double and hold nothing (seed ${SEED})`, async () => {
  const result = await killRounds({ kills: KILLS, seed: SEED })
  expect(result.acknowledged).toBeGreaterThan(KILLS)
  expect(result).toMatchObject({ lost: [], doubled: [], leftOpen: 0, heldAfter: 0, unbooked: 0 })
  expect(result.booked).toBeGreaterThanOrEqual(result.acknowledged)
}, 180_000)
