// Clients that leave, and an upstream that goes on when it is told to.

import { expect } from 'vitest'
import {
  answerText,
  contentEvent,
  DONE,
  FINISH_EVENT,
  isStreaming,
  JSON_HEADERS,
  usageEvent,
} from './chat-bytes.ts'
import { eventually, KEY, type RequestDetail, type TestGateway } from './gateway.ts'
import { configOf, openAiCompatible } from './gateway-config.ts'
import { askAndLeave } from './http-client.ts'
import { readScrape } from './prometheus-text.ts'
import type { RawUpstream, SeenRequest, Step } from './raw-upstream.ts'

export const USAGE = { prompt_tokens: 120, completion_tokens: 340 }
/** At 2 and 8 CNY per million. */
const COST = '0.00296'
export const BODY = { messages: [{ role: 'user', content: 'x'.repeat(400) }], max_tokens: 500 }
export const REST = [contentEvent('the rest'), FINISH_EVENT, usageEvent(USAGE), DONE]
const POLICIES = ['cancel', 'drain', 'estimate'] as const

/** A provider and a model for each policy, and another target that should not be asked. */
export function leavingConfig(
  upstream: RawUpstream,
  over: Record<string, unknown> = {},
): Record<string, unknown> {
  const leavesAs = (policy: string): Record<string, unknown> => ({
    ...openAiCompatible(upstream.baseUrl),
    on_client_abort: policy,
  })
  return configOf({
    providers: {
      ...Object.fromEntries(POLICIES.map((policy) => [policy, leavesAs(policy)])),
      other: upstream.baseUrl,
    },
    targets: ['drain/x', 'other/x'],
    models: Object.fromEntries(
      POLICIES.map((policy) => [policy, { policy: 'p', targets: [`${policy}/x`, 'other/x'] }]),
    ),
    over,
  })
}

export const settled = (of: TestGateway): Promise<void> =>
  eventually(async () => /^sluice_requests_in_flight 0$/m.test(await of.metrics()), 'nothing is in flight')

export async function newest(of: TestGateway): Promise<RequestDetail> {
  const page = (await of.admin('/requests?limit=1')) as { data: { id: string }[] }
  return of.detail(page.data[0]?.id ?? '')
}

export const counted = async (
  of: TestGateway,
  name: string,
  labels: Record<string, string> = {},
): Promise<number> => readScrape(await of.metrics()).sum(name, labels)

export interface Gate {
  readonly asked: Promise<SeenRequest>
  readonly release: () => void
}

/** The upstream goes on behind `before` when it is released. */
export function holdBack(upstream: RawUpstream, before: readonly Step[], after: readonly Step[]): Gate {
  const asked = Promise.withResolvers<SeenRequest>()
  const gate = Promise.withResolvers<void>()
  upstream.script((request) => {
    asked.resolve(request)
    const wait = () => gate.promise
    return isStreaming(request.body)
      ? { steps: [...before, wait, ...after] }
      : { headers: JSON_HEADERS, steps: [wait, answerText('whole', USAGE)] }
  })
  return { asked: asked.promise, release: gate.resolve }
}

/** Leaves before any answer. */
export const sendAndLeave = (
  of: TestGateway,
  model: string,
  when: Promise<unknown>,
  stream = true,
): Promise<void> =>
  askAndLeave(`${of.url}/v1/chat/completions`, { key: KEY, body: { ...BODY, model, stream } }, when)

/** Leaves when it has read so far. Returns the request's id. */
export async function leaveMidway(of: TestGateway, model: string, mark: string): Promise<string> {
  const client = await of.chatStream({ ...BODY, model })
  await client.until(mark)
  client.abort()
  return client.headers['x-request-id'] ?? ''
}

export const readOn = (of: TestGateway): Promise<void> =>
  eventually(async () => (await counted(of, 'sluice_drains_running')) === 1, 'an answer is read on')

/** Leaves, and waits until the gateway has seen it. */
export async function leaveBehind(of: TestGateway, mark: string): Promise<string> {
  const id = await leaveMidway(of, 'drain', mark)
  await readOn(of)
  return id
}

export function expectDrained(detail: RequestDetail): void {
  expect(detail).toMatchObject({ outcome: 'cancelled', status: 499, error: null, cost: COST })
  expect(detail.attempts).toHaveLength(1)
  expect(detail.attempts[0]).toMatchObject({
    outcome: 'cancelled',
    usage: {
      input_tokens: 120,
      output_tokens: 340,
      source: 'drained',
      error_bound: null,
      contradiction: null,
    },
  })
}
