// Refusals and faults of every dialect, spoken by the simulators: one kind of failure is one kind of error for the
// client, whichever vendor is behind.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/gateway.ts'
import { eventsOf } from '../support/http-client.ts'
import { SPOKEN, type SpokenGateway, startSpokenGateway } from '../support/spoken-gateway.ts'

let spokenGateway: SpokenGateway

beforeAll(async () => {
  spokenGateway = await startSpokenGateway()
})

afterAll(() => spokenGateway.close())

const ASK = { messages: [{ role: 'user', content: 'Why is the sky blue?' }] }

/** What a refusal of a vendor is for the client. */
const REFUSED: readonly (readonly [kind: string, status: number, code: string])[] = [
  ['auth', 502, 'upstream_auth'],
  ['rate_limit', 429, 'upstream_rate_limited'],
  ['quota', 502, 'upstream_error'],
  ['overloaded', 503, 'overloaded'],
  ['context_length', 400, 'context_length_exceeded'],
  ['moderation', 400, 'content_filter'],
  ['model_unavailable', 502, 'upstream_error'],
  ['server', 502, 'upstream_error'],
  ['invalid_request', 400, 'invalid_request'],
]

describe.each(SPOKEN)('$name', (spoken) => {
  const { name } = spoken
  const gatewayOf = () => spokenGateway.gateway
  const simulator = () => spokenGateway.simulatorOf(spoken)

  beforeEach(() => simulator().configure({ faults: [] }))

  const refused = REFUSED.filter(([kind]) => spoken.without?.includes(kind) !== true)

  test.each(refused)(
    'says %s in its own words, which are %i %s for the client',
    async (kind, status, code) => {
      await simulator().configure({ faults: [{ fault: kind as 'auth' }] })
      for (const stream of [false, true]) {
        // A rate limit cools the target down for a second.
        await eventually(async () => {
          const got = await gatewayOf().chat({ model: name, ...ASK, stream })
          if (got.headers['x-sluice-attempts'] === '0') return false
          expect([got.status, got.error.code], `stream ${stream}: ${got.text}`).toEqual([status, code])
          return true
        }, 'the target is asked')
      }
    },
  )

  test.each(['cut', 'reset', 'stall'] as const)(
    'that %ss in mid-stream is an error for the client',
    async (fault) => {
      await spokenGateway.recover(spoken)
      await simulator().configure({ faults: [{ fault }] })
      const client = await gatewayOf().chatStream({ model: name, ...ASK })
      await client.ended
      expect(client.status, client.text()).toBe(200)
      const events = eventsOf(client.text().replaceAll('\r\n', '\n'))
      expect(events).not.toContain('[DONE]')
      expect(events.at(-1)).toMatch(/^\{"error":\{.*"code":"upstream_(truncated|timeout)"/)
    },
  )

  test('that says an error under 200 is an error', async () => {
    await simulator().configure({ faults: [{ fault: 'error_in_200', afterEvents: 0 }] })
    for (const stream of [false, true]) {
      const got = await gatewayOf().chat({ model: name, ...ASK, stream })
      expect(got.status, `stream ${stream}: ${got.text}`).toBe(502)
    }
  })
})
