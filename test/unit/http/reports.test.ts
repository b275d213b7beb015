// Usage page by page, reports that take long, and listings with a filter.

import { describe, expect, test } from 'vitest'
import { type LedgerRow, type LedgerStore, ReportError, type UsageReport } from '#core/ledger.ts'
import { REPORTS_MAX } from '#core/limits.ts'
import { createMemoryStore } from '#store/memory.ts'
import { NO_TOTALS } from '#store/usage-report.ts'
import { attemptRow, requestRow, START_MS } from '../../support/ledger-rows.ts'
import { type Asker, admin, openApp } from './support.ts'

const KEYS = Array.from({ length: 7 }, (_, index) => `k${index}`)
const rows: LedgerRow[] = KEYS.map((key) => ({ kind: 'attempt', row: attemptRow({ requestId: key, key }) }))

const report: UsageReport = {
  rows: KEYS.map((key) => ({ ...NO_TOTALS, requests: 1, group: [key], bucketMs: null })),
  total: { ...NO_TOTALS, requests: KEYS.length },
}

describe('usage', () => {
  test('comes page by page, each row once, with the total of all', async () => {
    const app = await openApp({ rows })
    const seen: unknown[] = []
    let cursor: unknown = null
    do {
      const after: string = cursor === null ? '' : `&cursor=${encodeURIComponent(String(cursor))}`
      const { body } = await app.ask(`/admin/v1/usage?group_by=key&limit=3${after}`, admin)
      seen.push(...(body['data'] as { key: string }[]).map((row) => row.key))
      expect(body['total']).toMatchObject({ requests: 7 })
      cursor = body['next_cursor']
    } while (cursor !== null)
    expect(seen).toEqual(KEYS)
  })

  test('by team, organisation, provider and user', async () => {
    const app = await openApp({ rows })
    const { body } = await app.ask('/admin/v1/usage?group_by=team,organisation,provider,user', admin)
    expect(body['data']).toMatchObject([
      { team: 'growth', organisation: '', provider: 'doubao', user: 'u-17', requests: 7 },
    ])
  })

  test('that a store cannot have is refused in its words', async () => {
    const store: LedgerStore = {
      ...createMemoryStore(),
      usage: () => Promise.reject(new ReportError('unsupported', 'no users here')),
    }
    const { status, body } = await (await openApp({ store })).ask('/admin/v1/usage?group_by=user', admin)
    expect(status).toBe(400)
    expect(body['error']).toMatchObject({ code: 'invalid_request', message: 'no users here' })
  })
})

/** Reports of this app end when the test says so. */
async function slowApp(): Promise<{
  app: Asker
  end: (outcome: UsageReport | Error) => void
  say: (share: number) => void
}> {
  let say = (_: number): void => undefined
  const ends: ((outcome: UsageReport | Error) => void)[] = []
  const store: LedgerStore = {
    ...createMemoryStore(),
    usage: (_query, onProgress) =>
      new Promise((resolve, reject) => {
        say = (share) => onProgress?.(share)
        ends.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)))
      }),
  }
  const app = await openApp({ store })
  return {
    app,
    say: (share) => say(share),
    end: (outcome) => {
      for (const end of ends) end(outcome)
    },
  }
}

describe('a report that takes long', () => {
  test('is answered with where to ask, its progress, and then page by page', async () => {
    const { app, end, say } = await slowApp()
    const begun = await app.ask('/admin/v1/usage?group_by=key', admin)
    expect(begun.status).toBe(202)
    const { id } = begun.body
    expect(begun.headers.get('location')).toBe(`/admin/v1/reports/${id}`)
    say(0.5)
    const running = await app.ask(`/admin/v1/reports/${id}`, admin)
    expect(running.status).toBe(202)
    expect(running.body).toMatchObject({ id, progress: 0.5 })
    end(report)
    await new Promise((resolve) => setImmediate(resolve))
    const done = await app.ask(`/admin/v1/reports/${id}?limit=2`, admin)
    expect(done.body['data']).toMatchObject([{ key: 'k0' }, { key: 'k1' }])
    const rest = await app.ask(`/admin/v1/reports/${id}?cursor=${done.body['next_cursor']}`, admin)
    expect(rest.body['data']).toHaveLength(5)
    const table = await app.ask(`/admin/v1/reports/${id}?format=csv`, admin)
    expect(table.text.trim().split('\r\n')).toHaveLength(8)
  })

  test('says why it failed', async () => {
    const { app, end } = await slowApp()
    const { body } = await app.ask('/admin/v1/usage', admin)
    end(new ReportError('too_slow', 'too much'))
    await new Promise((resolve) => setImmediate(resolve))
    const failed = await app.ask(`/admin/v1/reports/${body['id']}`, admin)
    expect(failed.status).toBe(503)
    expect(failed.body['error']).toMatchObject({ message: 'too much' })
  })

  test('is refused when too many are being made, and not when they have ended', async () => {
    const { app, end } = await slowApp()
    const all = await Promise.all(
      Array.from({ length: REPORTS_MAX + 1 }, () => app.ask('/admin/v1/usage', admin)),
    )
    expect(all.map(({ status }) => status).sort()).toEqual([...Array<number>(REPORTS_MAX).fill(202), 503])
    end(report)
    await new Promise((resolve) => setImmediate(resolve))
    expect((await app.ask('/admin/v1/usage', admin)).status).toBe(202)
  })

  test('is nobody else’s business, and unknown by another name', async () => {
    const { app } = await slowApp()
    const { body } = await app.ask('/admin/v1/usage', admin)
    expect((await app.ask(`/admin/v1/reports/${body['id']}`)).status).toBe(401)
    expect((await app.ask('/admin/v1/reports/rep_none', admin)).status).toBe(404)
  })
})

describe('requests', () => {
  const given: LedgerRow[] = [
    { kind: 'attempt', row: attemptRow({ requestId: 'a', target: 'qwen/flash' }) },
    { kind: 'request', row: requestRow({ id: 'a' }) },
    { kind: 'request', row: requestRow({ id: 'b', key: 'other', outcome: 'failed', timeMs: START_MS + 1 }) },
    { kind: 'request', row: requestRow({ id: 'c', model: 'fast', tags: {}, timeMs: START_MS + 2 }) },
  ]
  test.each([
    ['key=other', ['b']],
    ['model=fast', ['c']],
    ['target=qwen/flash', ['a']],
    ['outcome=failed', ['b']],
    ['from=2026-10-01T15:00:00.001Z', ['c', 'b']],
    ['to=2026-10-01T15:00:00.001Z', ['a']],
    ['key=demo&model=assistant', ['a']],
  ])('with %s are those', async (query, ids) => {
    const { body } = await (await openApp({ rows: given })).ask(`/admin/v1/requests?${query}`, admin)
    expect((body['data'] as { id: string }[]).map(({ id }) => id)).toEqual(ids)
  })

  test('name their team and user', async () => {
    const { body } = await (await openApp({ rows: given })).ask('/admin/v1/requests', admin)
    expect(body['data']).toMatchObject([{ team: null }, { team: 'growth', user: 'u-17' }, {}])
  })

  test('of an outcome that there is not are refused', async () => {
    const { status } = await (await openApp({ rows: given })).ask('/admin/v1/requests?outcome=x', admin)
    expect(status).toBe(400)
  })
})
