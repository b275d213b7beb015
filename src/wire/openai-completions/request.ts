// Legacy completions as a client format. Where the upstream has no such endpoint, the prompt goes as one user
// message and the answer comes back in the legacy shape.

import type { ChatRequest } from '#core/chat.ts'
import { GatewayError } from '#core/errors.ts'
import { checkModel, checkSampling, describe } from '../openai-chat/request.ts'

type Json = Readonly<Record<string, unknown>>

export interface CompletionsRequest {
  /** Absent where `models` names some. */
  readonly model?: string | null
  readonly prompt: unknown
  readonly stream?: boolean
  readonly [field: string]: unknown
}

/** @throws GatewayError `invalid_request` naming the field. */
export function checkCompletionsRequest(body: unknown): asserts body is CompletionsRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new GatewayError(
      'invalid_request',
      `the request body must be a JSON object; found ${describe(body)}`,
    )
  }
  checkModel(body as Json)
  const prompt = (body as Json)['prompt']
  const isText = typeof prompt === 'string'
  const isList = Array.isArray(prompt) && prompt.length > 0
  if (!isText && !isList) {
    const message = `\`prompt\` must be a string or a non-empty array; found ${describe(prompt)}`
    throw new GatewayError('invalid_request', message, { param: 'prompt' })
  }
  checkSampling(body as Json)
}

/** Fields of completions that chat does not have. */
const LEGACY_FIELDS = ['prompt', 'echo', 'best_of', 'suffix', 'logprobs'] as const

/**
 * The chat request that says the same. Fields without a counterpart in chat change what the answer means, so
 * they are refused rather than dropped.
 * @throws GatewayError `unsupported_parameter`
 */
export function toChatRequest(body: CompletionsRequest): ChatRequest {
  const { prompt } = body
  const only = Array.isArray(prompt) && prompt.length === 1 ? (prompt as readonly unknown[])[0] : prompt
  if (typeof only !== 'string') {
    const message = 'this model takes one text prompt: `prompt` must be a string or an array of one string'
    throw new GatewayError('unsupported_parameter', message, { param: 'prompt' })
  }
  for (const field of ['suffix', 'logprobs'] as const) {
    if (body[field] !== undefined && body[field] !== null) throw unsupported(field)
  }
  if (body['echo'] === true) throw unsupported('echo')
  const best = body['best_of']
  if (typeof best === 'number' && best > 1) throw unsupported('best_of')
  const rest: Record<string, unknown> = { ...body }
  for (const field of LEGACY_FIELDS) delete rest[field]
  return { ...rest, messages: [{ role: 'user', content: only }] } as ChatRequest
}

function unsupported(param: string): GatewayError {
  return new GatewayError(
    'unsupported_parameter',
    `no target of this model supports \`${param}\` on completions`,
    { param },
  )
}
