import { describe, expect, test } from 'vitest'
import type { Provider } from '#core/provider.ts'
import { abortPlanOf, billsOn, DrainDesk, drainOutcome } from '#pipeline/abandoned.ts'
import { vendor } from '../settings/fixtures.ts'
import { liveWith } from './support.ts'

function factsOf(cancelStopsBilling: 'yes' | 'streams' | 'no' | undefined, onClientAbort?: string) {
  const provider: Provider =
    cancelStopsBilling === undefined
      ? vendor
      : { ...vendor, quirks: { ...vendor.quirks, cancelStopsBilling } }
  const live = liveWith([provider], {
    providers: {
      main: {
        use: 'vendor',
        api_key: 'secret-of-vendor',
        ...(onClientAbort === undefined ? {} : { on_client_abort: onClientAbort }),
      },
    },
    models: { assistant: { targets: ['main/small'] } },
  })
  const [target] = live.settings.models.get('assistant')?.targets ?? []
  if (target === undefined) throw new Error('no target')
  return live.factsOf(target)
}

describe('what becomes of a call whose client leaves', () => {
  test.each([
    ['yes', true, 'cancel'],
    ['yes', false, 'cancel'],
    ['streams', true, 'cancel'],
    ['streams', false, 'drain'],
    ['no', true, 'drain'],
    [undefined, true, 'drain'],
    [undefined, false, 'drain'],
  ] as const)('a vendor that stops billing: %s, streamed: %s', (stops, streaming, policy) => {
    expect(abortPlanOf(factsOf(stops), streaming).policy).toBe(policy)
  })

  test.each(['cancel', 'drain', 'estimate'] as const)('the configuration’s word goes first: %s', (policy) => {
    for (const stops of ['yes', 'streams', 'no', undefined] as const) {
      expect(abortPlanOf(factsOf(stops, policy), true).policy).toBe(policy)
    }
  })

  test('an aborted call is billed on where nobody knows otherwise, and where it is said to be', () => {
    const unknown = abortPlanOf(factsOf(undefined), true)
    const stopping = abortPlanOf(factsOf('yes'), true)
    for (const cap of ['time', 'bytes', 'number', 'stop'] as const) {
      expect(billsOn(cap, unknown)).toBe(true)
      expect(billsOn(cap, stopping)).toBe(false)
    }
    for (const left of [null, 'cancel', 'learned', 'failed'] as const)
      expect(billsOn(left, unknown)).toBe(false)
    expect(billsOn('estimate', stopping)).toBe(true)
  })
})

describe('answers that are read on', () => {
  const desk = (drainsMax: number) => {
    const seen: number[] = []
    const made = new DrainDesk(
      { drainMs: 60_000, bytesMax: 1_000, drainsMax },
      { drains: (running) => seen.push(running) },
    )
    return { made, seen }
  }

  test('PEERS 10: are so many at most, and their number is told', () => {
    const { made, seen } = desk(2)
    const first = made.enter(() => undefined)
    made.enter(() => undefined)
    expect(made.enter(() => undefined)).toBe('number')
    if (typeof first === 'string') throw new Error(first)
    first.end()
    first.end()
    expect(typeof made.enter(() => undefined)).toBe('object')
    expect(seen).toEqual([1, 2, 1, 2])
  })

  test('are waited for, and cut when the gateway cannot wait', async () => {
    const { made } = desk(10)
    await made.idle()
    const cuts: string[] = []
    const places = ['a', 'b'].map((name) => {
      const place = made.enter(() => {
        cuts.push(name)
        if (typeof place !== 'string') place.end()
      })
      return place
    })
    const idle = made.idle()
    made.close()
    await idle
    expect(cuts).toEqual(['a', 'b'])
    expect(places).toHaveLength(2)
    expect(made.enter(() => undefined)).toBe('stop')
  })

  test.each([
    [null, true, null],
    ['cancel', false, null],
    ['estimate', false, null],
    ['learned', true, 'learned'],
    ['learned', false, 'unsaid'],
    ['failed', false, 'failed'],
    ['time', true, 'time'],
    ['number', false, 'number'],
  ] as const)('end as %s (usage: %s): %s', (left, hasUsage, outcome) => {
    expect(drainOutcome(left, hasUsage)).toBe(outcome)
  })
})
