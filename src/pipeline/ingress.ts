// Bytes → Call: size, JSON, depth, types. The body is parsed once, to check it and to learn what it needs; the
// bytes themselves go on.

import type { ChatRequest } from '#core/chat.ts'
import { GatewayError } from '#core/errors.ts'
import { JSON_DEPTH_MAX, USER_CHARS_MAX } from '#core/limits.ts'
import { type Member, type MemberScan, scanMembers } from '#wire/json-members.ts'
import { askedModel, checkChatRequest, readNeeds } from '#wire/openai-chat/request.ts'
import { readThinking } from '#wire/openai-chat/thinking.ts'
import { checkCompletionsRequest, toChatRequest } from '#wire/openai-completions/request.ts'
import type { Call, ClientApi } from './context.ts'
import { readWishes } from './wishes-read.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/** @throws GatewayError `invalid_request` with the field at fault. */
export function readCall(api: ClientApi, bytes: Uint8Array, policyHeader: string | null = null): Call {
  const body = parseBody(bytes)
  let chat: ChatRequest
  let untranslatable: GatewayError | null = null
  if (api === 'chat') {
    checkChatRequest(body.value)
    chat = body.value
  } else {
    checkCompletionsRequest(body.value)
    try {
      chat = toChatRequest(body.value)
    } catch (error) {
      // A target with a completions endpoint of its own takes any prompt; the plan refuses the others.
      if (!(error instanceof GatewayError)) throw error
      untranslatable = error
      chat = { ...body.value, messages: [] }
    }
  }
  const options = chat['stream_options'] as Readonly<Record<string, unknown>> | null | undefined
  const asked = askedModel(chat)
  const wishes = readWishes(chat, asked, policyHeader)
  const size = estimateInput(chat, body.text, bytes)
  return {
    api,
    bytes,
    scan: body.scan,
    chat,
    untranslatable,
    body: body.value as Readonly<Record<string, unknown>>,
    model: wishes?.names[0] ?? asked,
    wishes,
    user: userOf(chat['user']),
    streaming: chat.stream === true,
    wantsUsage: options?.['include_usage'] === true,
    thinking: readThinking(chat),
    needs: readNeeds(chat),
    inputTokensEstimate: size.estimate,
    inputTokensFloor: size.floor,
    outputTokensEstimate: estimateOutput(chat),
  }
}

function userOf(user: unknown): string | null {
  return typeof user === 'string' && user !== '' ? user.slice(0, USER_CHARS_MAX) : null
}

interface ParsedBody {
  readonly value: unknown
  readonly text: string
  readonly scan: MemberScan | null
}

function parseBody(bytes: Uint8Array): ParsedBody {
  if (bytes.length === 0)
    throw new GatewayError('invalid_request', 'the request body is empty; send a JSON object')
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch (cause) {
    throw new GatewayError('invalid_request', 'the request body is not valid UTF-8', { cause })
  }
  const scan = scanMembers(bytes, JSON_DEPTH_MAX)
  if (scan !== null && scan.depth > JSON_DEPTH_MAX) {
    throw new GatewayError(
      'invalid_request',
      `the request body is nested deeper than ${JSON_DEPTH_MAX} levels`,
    )
  }
  if (scan !== null) refuseTwice(scan)
  try {
    return { value: JSON.parse(text) as unknown, text, scan }
  } catch (cause) {
    const where =
      cause instanceof Error ? /at position \d+|line \d+ column \d+/.exec(cause.message)?.[0] : undefined
    throw new GatewayError(
      'invalid_request',
      `the request body is not valid JSON${where === undefined ? '' : ` (${where})`}`,
      { cause },
    )
  }
}

/** Of a member that stands twice an upstream may read the one that was not checked here. */
function refuseTwice({ members }: MemberScan): void {
  const twice = members.length <= FEW_MEMBERS ? twiceOfFew(members) : twiceOfMany(members)
  if (twice === null) return
  const name = twice.slice(0, 100)
  const message = `\`${name}\` occurs twice in the request body; send it once`
  throw new GatewayError('invalid_request', message, { param: name })
}

/** Up to so many, comparing each with those before it is cheaper than making a set. */
const FEW_MEMBERS = 12

function twiceOfFew(members: readonly Member[]): string | null {
  for (let at = 1; at < members.length; at++) {
    const key = members[at]?.key
    for (let before = 0; before < at; before++) if (members[before]?.key === key) return key ?? null
  }
  return null
}

function twiceOfMany(members: readonly Member[]): string | null {
  const seen = new Set<string>()
  for (const { key } of members) {
    if (seen.has(key)) return key
    seen.add(key)
  }
  return null
}

/** Characters per token, about: what vendors state for English and for Chinese text. */
const ASCII_PER_TOKEN = 4
const WIDE_PER_TOKEN = 1.5
/** A picture or clip, about; vendors count 200 to 1,600 tokens. */
const MEDIA_TOKENS = 800
const MESSAGE_TOKENS = 4

function estimateInput(
  chat: ChatRequest,
  text: string,
  bytes: Uint8Array,
): { estimate: number; floor: number } {
  // In UTF-8 a CJK character has three bytes where it is one unit of a string: the difference tells their share.
  const wideShare = text.length === 0 ? 0 : Math.min(1, (bytes.length - text.length) / 2 / text.length)
  let characters = 0
  let media = 0
  for (const message of chat.messages) {
    const { content } = message
    if (typeof content === 'string') characters += content.length
    else if (Array.isArray(content)) {
      for (const part of content as readonly { readonly text?: unknown }[]) {
        if (typeof part.text === 'string') characters += part.text.length
        else media++
      }
    }
    if (message.tool_calls !== undefined && message.tool_calls !== null)
      characters += JSON.stringify(message.tool_calls).length
  }
  if (chat.messages.length === 0) characters = text.length
  if (chat['tools'] !== undefined && chat['tools'] !== null)
    characters += JSON.stringify(chat['tools']).length
  const wide = characters * wideShare
  const tokens = (characters - wide) / ASCII_PER_TOKEN + wide / WIDE_PER_TOKEN
  const estimate = Math.ceil(tokens + media * MEDIA_TOKENS + chat.messages.length * MESSAGE_TOKENS)
  return { estimate, floor: Math.floor(tokens / 3) }
}

/** Without a bound from the client an answer is taken to be of middling length: only the order of prices hangs on it. */
const OUTPUT_TOKENS_GUESS = 400

function estimateOutput(chat: ChatRequest): number {
  const bound = chat['max_completion_tokens'] ?? chat['max_tokens']
  return typeof bound === 'number' ? Math.min(bound, OUTPUT_TOKENS_GUESS) : OUTPUT_TOKENS_GUESS
}
