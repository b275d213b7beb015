import { expect, test } from 'vitest'
import { Turn } from '#runtime/node/turn.ts'

interface Taken {
  readonly turn: Turn
  readonly taken: number[][]
  readonly thrown: unknown[]
}

function open(take: (bytes: Uint8Array) => void = () => undefined): Taken {
  const taken: number[][] = []
  const thrown: unknown[] = []
  const turn = new Turn(
    (bytes) => {
      taken.push([...bytes])
      take(bytes)
    },
    (cause) => thrown.push(cause),
  )
  return { turn, taken, thrown }
}

const turnEnds = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('what one turn brings is handed on at its end, as one', async () => {
  const { turn, taken } = open()
  turn.push(Uint8Array.of(1, 2))
  turn.push(Uint8Array.of(3))
  expect(taken).toEqual([])
  await turnEnds()
  expect(taken).toEqual([[1, 2, 3]])
})

test('every turn is handed on for itself, and one without chunks not at all', async () => {
  const { turn, taken } = open()
  turn.push(Uint8Array.of(1))
  await turnEnds()
  await turnEnds()
  turn.push(Uint8Array.of(2))
  await turnEnds()
  expect(taken).toEqual([[1], [2]])
})

test('what must go out before something else is handed on at once, and once', async () => {
  const { turn, taken } = open()
  turn.push(Uint8Array.of(1))
  turn.flush()
  expect(taken).toEqual([[1]])
  turn.push(Uint8Array.of(2))
  await turnEnds()
  turn.flush()
  expect(taken).toEqual([[1], [2]])
})

test('an error is told and not thrown, and the next turn comes', async () => {
  const { turn, taken, thrown } = open((bytes) => {
    if (bytes[0] === 1) throw new Error('broken')
  })
  turn.push(Uint8Array.of(1))
  await turnEnds()
  turn.push(Uint8Array.of(2))
  await turnEnds()
  expect(thrown).toEqual([new Error('broken')])
  expect(taken).toEqual([[1], [2]])
})

test('a single chunk is handed on without a copy', async () => {
  let seen: Uint8Array | null = null
  const { turn } = open((bytes) => {
    seen = bytes
  })
  const chunk = Uint8Array.of(1)
  turn.push(chunk)
  await turnEnds()
  expect(seen).toBe(chunk)
})
