import { expect, test } from 'vitest'
import { type DataAttributes, type DataPolicy, unmetBy } from '#core/data-policy.ts'

const KNOWN: DataAttributes = {
  region: 'cn',
  retentionMs: 86_400_000,
  trainsOnData: false,
  filingNo: 'Beijing-1',
}
const UNKNOWN: DataAttributes = { region: null, retentionMs: null, trainsOnData: null, filingNo: null }
const NOTHING: DataPolicy = { regions: null, retentionMsMax: null, trainsOnData: null, filingNos: null }

test.each<[Partial<DataPolicy>, string | null]>([
  [{}, null],
  [{ regions: ['eu', 'cn'] }, null],
  [{ regions: ['eu'] }, 'region cn, required eu'],
  [{ retentionMsMax: 86_400_000 }, null],
  [{ retentionMsMax: 0 }, 'retention 24h, required at most none'],
  [{ trainsOnData: false }, null],
  [{ trainsOnData: true }, 'trains_on_data false, required true'],
  [{ filingNos: 'any' }, null],
  [{ filingNos: ['Beijing-1'] }, null],
  [{ filingNos: ['Beijing-2', 'Beijing-3'] }, 'filing_no Beijing-1, required Beijing-2 or Beijing-3'],
])('%j of a known target: %j', (policy, unmet) => {
  expect(unmetBy(KNOWN, { ...NOTHING, ...policy })).toBe(unmet)
})

test('what is not known meets nothing that is required', () => {
  expect(unmetBy(UNKNOWN, NOTHING)).toBeNull()
  for (const policy of [
    { regions: ['cn'] },
    { retentionMsMax: 1e12 },
    { trainsOnData: false },
    { trainsOnData: true },
    { filingNos: 'any' as const },
  ])
    expect(unmetBy(UNKNOWN, { ...NOTHING, ...policy })).toContain('unknown')
})
