// Each vendor's own errors and accidents, in its own words and framing, as the official `openai` SDK sees them.

import type OpenAI from 'openai'
import { APIError, BadRequestError, InternalServerError, NotFoundError, RateLimitError } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openAi } from './clients.ts'
import { failureOf, readStream } from './outcomes.ts'
import { type Bench, idOf, startBench, TARGETS, type Target } from './targets.ts'

const MESSAGES = [{ role: 'user' as const, content: 'Why is the sky blue?' }]

const WAYS = ['whole', 'streamed'] as const

let bench: Bench
let client: OpenAI

beforeAll(async () => {
  // A model for each, whole and streamed, since a target that failed is left alone for a while.
  const faults = [...ERRORS, ...ACCIDENTS, ...MISHAPS, MODERATED].flatMap(({ fault }) =>
    WAYS.map((way) => [`${fault}-${way}`, { fault }] as const),
  )
  bench = await startBench({
    faults: Object.fromEntries(faults),
    config: { policies: { p: {}, default: { retry: { attempts: 1 } } } },
  })
  client = openAi(bench.url)
})

afterAll(async () => bench?.close())

/** What each code is to the SDK, and whether its own retries may help. */
const CODES = {
  upstream_auth: { type: InternalServerError, status: 502, retry: false },
  upstream_rate_limited: { type: RateLimitError, status: 429, retry: true },
  upstream_error: { type: InternalServerError, status: 502, retry: true },
  overloaded: { type: InternalServerError, status: 503, retry: true },
  context_length_exceeded: { type: BadRequestError, status: 400, retry: false },
  content_filter: { type: BadRequestError, status: 400, retry: false },
  model_not_found: { type: NotFoundError, status: 404, retry: false },
  invalid_request: { type: BadRequestError, status: 400, retry: false },
} as const

type Code = keyof typeof CODES

interface VendorError {
  readonly fault:
    | 'auth'
    | 'rate_limit'
    | 'quota'
    | 'overloaded'
    | 'context_length'
    | 'moderation'
    | 'model_unavailable'
    | 'server'
    | 'invalid_request'
  readonly code: Code
  /** Waiting does not help, whatever the code. */
  readonly final?: true
}

const ERRORS: readonly VendorError[] = [
  { fault: 'auth', code: 'upstream_auth' },
  { fault: 'rate_limit', code: 'upstream_rate_limited' },
  { fault: 'quota', code: 'upstream_error', final: true },
  { fault: 'overloaded', code: 'overloaded' },
  { fault: 'context_length', code: 'context_length_exceeded' },
  { fault: 'moderation', code: 'content_filter' },
  // The model is named by the client itself.
  { fault: 'model_unavailable', code: 'model_not_found', final: true },
  { fault: 'server', code: 'upstream_error' },
  { fault: 'invalid_request', code: 'invalid_request' },
]

/** Where a server knows no such error (null), or calls it another one. */
const UNLIKE: Readonly<Record<string, Partial<Record<VendorError['fault'], Code | null>>>> = {
  // The limits of a shared cluster are 429s of the rate-limit family.
  ernie: { overloaded: 'upstream_rate_limited' },
  vllm: { quota: null },
  ollama: { moderation: null },
  // It serves its one model under any name, and its only limit is that it is full.
  tgi: { rate_limit: 'overloaded', quota: null, moderation: null, model_unavailable: null },
  llamacpp: { rate_limit: 'overloaded', quota: null, moderation: null },
}

function errorsOf(target: Target): readonly VendorError[] {
  const own = UNLIKE[target.name] ?? {}
  return ERRORS.flatMap((error) => {
    const code = own[error.fault]
    return code === null ? [] : [{ ...error, code: code ?? error.code }]
  })
}

/** Accidents on the wire that end an answer in the middle. */
const ACCIDENTS = [
  { fault: 'cut', code: 'upstream_truncated' },
  { fault: 'truncate', code: 'upstream_truncated' },
  { fault: 'reset', code: 'upstream_truncated' },
  { fault: 'error_in_200', code: 'upstream_error' },
] as const

/** Accidents that an application need not notice. */
const MISHAPS = [{ fault: 'garbage' }, { fault: 'no_done' }, { fault: 'no_usage' }] as const

const MODERATED = { fault: 'moderation_output' } as const

const requestOf = (target: Target, fault: string, way: (typeof WAYS)[number]) => ({
  model: `${idOf(target)}-${fault}-${way}`,
  messages: MESSAGES,
})

describe.each(TARGETS)('$name', (target: Target) => {
  describe.each(WAYS)('%s', (way) => {
    test.each(errorsOf(target))("says $fault by the SDK's class", async ({ fault, code, final }) => {
      const { type, status, retry } = CODES[code]
      const stream = way === 'streamed'
      const error = await failureOf(
        client.chat.completions.create({ ...requestOf(target, fault, way), stream }),
      )
      expect(error).toBeInstanceOf(type)
      expect(error).toMatchObject({ code, status })
      expect(error.headers?.get('x-should-retry')).toBe(String(final === true ? false : retry))
      expect(error.message).not.toContain('127.0.0.1')
    })
  })

  test.each(ACCIDENTS)('never ends in silence: $fault', async ({ fault, code }) => {
    const request = { ...requestOf(target, fault, 'streamed'), stream: true as const }
    const { finish, error } = await readStream(client.chat.completions.create(request))
    expect(finish).toBeNull()
    expect(error).toBeInstanceOf(APIError)
    expect(error).toMatchObject({ code })
  })

  test.each(MISHAPS)('bears $fault', async ({ fault }) => {
    const request = { ...requestOf(target, fault, 'streamed'), stream: true as const }
    const { text, finish, error } = await readStream(client.chat.completions.create(request))
    expect({ finish, error }).toEqual({ finish: 'stop', error: null })
    expect(text).toContain('sky')
  })
})

/** Nobody moderates on a server of one's own. */
const MODERATING = TARGETS.filter(({ name }) => !['vllm', 'ollama', 'tgi', 'llamacpp'].includes(name))

test.each(MODERATING)('$name: moderated output ends with that finish reason or error', async (target) => {
  const request = { ...requestOf(target, MODERATED.fault, 'streamed'), stream: true as const }
  const { finish, error } = await readStream(client.chat.completions.create(request))
  if (error === null) expect(finish).toBe('content_filter')
  else expect(error).toMatchObject({ code: 'content_filter' })
})
