import { expect, test } from 'vitest'
import { Room } from '#routing/room.ts'
import { flatQuote, Play, QUICK, target } from './planner-driver.ts'

const START = 1_700_000_000_000

test('room costs nothing where nobody is turned away, and nothing runs', () => {
  const room = new Room()
  for (let request = 0; request < 200; request++) room.served(0.001)
  expect(room.priceOf(0.01, 0, START)).toBe(0)
  expect(room.priceOf(0.01, 4, START)).toBeCloseTo(4 * 0.001, 3)
})

test('a limit that is always full costs what those lose who are turned away, and that is forgotten', () => {
  const room = new Room()
  for (let request = 0; request < 100; request++) {
    room.served(0)
    room.turnedAway(0.002, 0.01, START)
  }
  expect(room.priceOf(0.01, 0, START)).toBeCloseTo(0.002, 5)
  expect(room.priceOf(0.02, 0, START)).toBeCloseTo(0.004, 5)
  expect(room.priceOf(0.01, 0, START + 600_000)).toBeLessThan(0.0001)
})

test('one small prompt that was turned away does not make long ones dear', () => {
  const room = new Room()
  for (let request = 0; request < 100; request++) room.turnedAway(0.002, 0.01, START)
  room.turnedAway(0.002, 1e-9, START)
  expect(room.priceOf(0.01, 0, START)).toBeLessThan(0.0022)
})

test('where the cheapest has too little room, it goes to those who save most by it', () => {
  const limits = { rpm: 60, tpm: null, concurrency: null }
  const play = new Play(
    [
      target('a/cheap', { limits, quote: flatQuote(0.1, 0.1, 0.1) }),
      target('b/dear', { quote: flatQuote(1, 1, 1) }),
    ],
    { ...QUICK, explore: { maxShare: 0 } },
  )
  const taken = { long: 0, short: 0 }
  for (let request = 0; request < 1_200; request++) {
    const kind = request % 2 === 0 ? 'long' : 'short'
    const inputTokens = kind === 'long' ? 2_000 : 200
    const { target: chosen } = play.run(() => ({ ttftMs: 400 }), { inputTokens }, 500)
    if (request > 200 && chosen === 'a/cheap') taken[kind]++
  }
  expect(taken.long).toBeGreaterThan(4 * taken.short)
  expect(taken.long + taken.short).toBeGreaterThan(400)
})
