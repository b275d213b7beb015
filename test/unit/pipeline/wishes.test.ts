import { describe, expect, test } from 'vitest'
import { unmetBy } from '#core/data-policy.ts'
import { NO_DATA_COLLECTION, precedence, refusedByWish, type Wishes } from '#pipeline/wishes.ts'
import { wishesOf } from './support.ts'

const target = (id: string) => ({ id, provider: id.slice(0, id.indexOf('/')) })

describe('a target is refused by a wish', () => {
  test.each<{ wish: Partial<Wishes>; id: string; reason: string | null }>([
    { wish: {}, id: 'a/m', reason: null },
    { wish: { only: ['a'] }, id: 'a/m', reason: null },
    { wish: { only: ['b', 'a/m'] }, id: 'a/m', reason: null },
    { wish: { only: ['a/n'] }, id: 'a/m', reason: 'only' },
    { wish: { only: ['b'] }, id: 'a/m', reason: 'only' },
    { wish: { only: ['a'] }, id: 'ab/m', reason: 'only' },
    { wish: { ignore: ['a'] }, id: 'a/m', reason: 'ignore' },
    { wish: { ignore: ['a/m'] }, id: 'a/m', reason: 'ignore' },
    { wish: { ignore: ['a/m'] }, id: 'a/m/x', reason: null },
    { wish: { ignore: ['a/m'] }, id: 'a/n', reason: null },
    { wish: { only: ['a'], ignore: ['a/m'] }, id: 'a/m', reason: 'ignore' },
    { wish: { order: ['b'] }, id: 'a/m', reason: null },
    { wish: { order: ['b'], allowFallbacks: false }, id: 'a/m', reason: 'order' },
    { wish: { order: ['b', 'a'], allowFallbacks: false }, id: 'a/m', reason: null },
    { wish: { order: ['a/m'], allowFallbacks: false }, id: 'a/n', reason: 'order' },
    { wish: { allowFallbacks: false }, id: 'a/m', reason: null },
  ])('$id under $wish: $reason', ({ wish, id, reason }) => {
    const refusal = refusedByWish(wishesOf(wish), target(id))
    expect(refusal?.reason ?? null).toBe(reason)
    if (reason !== null) expect(refusal?.detail).toContain(`\`provider.${reason}\``)
  })
})

describe('precedence', () => {
  test.each<{ order: readonly string[] | null; id: string; rank: number }>([
    { order: null, id: 'a/m', rank: 0 },
    { order: ['a', 'b'], id: 'a/m', rank: 0 },
    { order: ['a', 'b'], id: 'b/m', rank: 1 },
    { order: ['a', 'b'], id: 'c/m', rank: 2 },
    { order: ['a/n', 'b', 'a'], id: 'a/n', rank: 0 },
    { order: ['a/n', 'b', 'a'], id: 'a/m', rank: 2 },
    { order: ['a', 'a/n'], id: 'a/n', rank: 0 },
  ])('of $id in $order is $rank', ({ order, id, rank }) => {
    expect(precedence(wishesOf({ order }), target(id))).toBe(rank)
  })
})

describe('data collection denied', () => {
  const data = { region: null, retentionMs: 1, trainsOnData: null, filingNo: null }
  test.each([
    { trainsOnData: false, unmet: null },
    { trainsOnData: true, unmet: 'trains_on_data true, required false' },
    { trainsOnData: null, unmet: 'trains_on_data unknown, required false' },
  ])('trains on data: $trainsOnData', ({ trainsOnData, unmet }) => {
    expect(unmetBy({ ...data, trainsOnData }, NO_DATA_COLLECTION)).toBe(unmet)
  })
})
