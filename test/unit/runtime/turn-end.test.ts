import { expect, test } from 'vitest'
import { atTurnEnd, type Stage } from '#runtime/node/turn-end.ts'

const turnEnds = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

function open(): { readonly seen: string[]; readonly add: (stage: Stage, name: string) => void } {
  const seen: string[] = []
  return { seen, add: (stage, name) => atTurnEnd(stage, () => void seen.push(name)) }
}

test('stages follow one another, whatever came first; within one the order is that of coming', async () => {
  const { seen, add } = open()
  add('journal', 'write')
  add('answer', 'a')
  add('request', 'r1')
  add('request', 'r2')
  expect(seen).toEqual([])
  await turnEnds()
  expect(seen).toEqual(['r1', 'r2', 'a', 'write'])
})

test('what a stage sets off by its promises is there for the next one', async () => {
  const { seen, add } = open()
  const { promise, resolve } = Promise.withResolvers<void>()
  const rows = promise.then(() => add('journal', 'row of r'))
  atTurnEnd('request', resolve)
  await rows
  await turnEnds()
  expect(seen).toEqual(['row of r'])
})

test('what comes after its stage is of the next turn, and is not forgotten', async () => {
  const { seen, add } = open()
  atTurnEnd('journal', () => add('request', 'late'))
  await turnEnds()
  await turnEnds()
  expect(seen).toEqual(['late'])
})
