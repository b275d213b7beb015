// Work that takes longer than a request: a number to come back with, its progress, its result or why there is none.

import { expect, test } from 'vitest'
import { REPORTS_MAX } from '#core/limits.ts'
import type { NANO_ZERO } from '#core/money.ts'
import type { Rerate, RerateOutcome } from '#core/rerate.ts'
import { admin, openApp } from './support.ts'

const ZERO = 0n as typeof NANO_ZERO
const OUTCOME: RerateOutcome = {
  attempts: 7,
  changed: 0,
  firstPriced: 0,
  estimated: 0,
  withoutPrice: 0,
  unrated: 0,
  oldNano: ZERO,
  newNano: ZERO,
  byPrice: [],
  byDay: [],
  currency: 'CNY',
  applied: null,
  isPartial: false,
}

/** Ends when it is told to. */
function held(): { readonly rerate: Rerate; readonly end: (error?: Error) => Promise<void> } {
  const waiting: ((error?: Error) => void)[] = []
  return {
    rerate: (_ask, onProgress) => {
      onProgress(0.25)
      return new Promise((resolve, reject) =>
        waiting.push((error) => (error === undefined ? resolve(OUTCOME) : reject(error))),
      )
    },
    end: async (error) => {
      for (const one of waiting.splice(0)) one(error)
      await new Promise<void>((resolve) => void setImmediate(resolve))
    },
  }
}

test('what takes long is answered with where to ask again', async () => {
  const { rerate, end } = held()
  const { ask } = await openApp({ rerate })
  const begun = await ask('/admin/v1/rerate', admin, 'POST', {})
  expect([begun.status, begun.body['status'], begun.body['progress']]).toEqual([202, 'running', 0.25])
  const location = begun.headers.get('location') ?? ''
  expect(location).toBe(`/admin/v1/jobs/${String(begun.body['id'])}`)
  expect((await ask(location, admin)).status).toBe(202)
  expect((await ask(location)).status).toBe(401)
  await end()
  const done = await ask(location, admin)
  expect([done.status, done.body['attempts']]).toEqual([200, 7])
  expect((await ask('/admin/v1/jobs/job_none', admin)).status).toBe(404)
})

test('what fails later says so where it is asked for', async () => {
  const { rerate, end } = held()
  const { ask } = await openApp({ rerate })
  const begun = await ask('/admin/v1/rerate', admin, 'POST', {})
  await end(new Error('the store is away'))
  const failed = await ask(begun.headers.get('location') ?? '', admin)
  expect([failed.status, (failed.body['error'] as Record<string, unknown>)['code']]).toEqual([
    503,
    'store_unavailable',
  ])
})

test('no more run than may, and a finished one gives way', async () => {
  const { rerate, end } = held()
  const { ask } = await openApp({ rerate })
  const begun = await Promise.all(
    Array.from({ length: REPORTS_MAX }, () => ask('/admin/v1/rerate', admin, 'POST', {})),
  )
  expect(begun.every(({ status }) => status === 202)).toBe(true)
  expect((await ask('/admin/v1/rerate', admin, 'POST', {})).status).toBe(503)
  await end()
  await ask(begun[0]?.headers.get('location') ?? '', admin)
  expect((await ask('/admin/v1/rerate', admin, 'POST', {})).status).toBe(202)
  await end()
})
