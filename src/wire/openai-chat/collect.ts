// Canonical events gathered into one whole answer.

import type { AudioDelta, ChatEvent, LogprobsDelta } from '#core/chat.ts'
import type { TokenUsage } from '#core/usage.ts'
import { type EncodeOptions, type Identity, identify } from './encode.ts'
import { writeUsage } from './usage.ts'

interface CollectedChoice {
  text: string
  reasoning: string
  refusal: string
  finish: string | null
  functionCall: { name: string; arguments: string } | null
  audio: Record<string, unknown> | null
  logprobs: { content: unknown[] | null; refusal: unknown[] | null } | null
  readonly calls: Map<number, { id: string; name: string; arguments: string }>
}

/** A whole answer gathered from events. */
export interface CollectedAnswer {
  readonly identity: Identity
  readonly choices: readonly (CollectedChoice & { readonly index: number })[]
  readonly usage: TokenUsage | null
}

export function collect(events: readonly ChatEvent[], options: EncodeOptions): CollectedAnswer {
  const identity: Identity = {
    id: options.fallbackId,
    model: options.fallbackModel,
    created: options.nowSeconds,
  }
  const choices = new Map<number, CollectedChoice & { index: number }>()
  let usage: TokenUsage | null = null
  const choiceOf = (index: number): CollectedChoice => {
    let choice = choices.get(index)
    if (choice === undefined) {
      choice = { index, ...emptyChoice() }
      choices.set(index, choice)
    }
    return choice
  }
  for (const event of events) {
    if (event.type === 'start') identify(identity, event)
    else if (event.type === 'usage') usage = event.usage
    else if (event.type !== 'failure') gather(choiceOf(event.choice), event)
  }
  return { identity, choices: [...choices.values()].sort((a, b) => a.index - b.index), usage }
}

function emptyChoice(): CollectedChoice {
  return {
    text: '',
    reasoning: '',
    refusal: '',
    finish: null,
    functionCall: null,
    audio: null,
    logprobs: null,
    calls: new Map(),
  }
}

function gather(
  choice: CollectedChoice,
  event: Exclude<ChatEvent, { type: 'start' | 'usage' | 'failure' }>,
): void {
  switch (event.type) {
    case 'text-delta':
      choice.text += event.text
      break
    case 'reasoning-delta':
      choice.reasoning += event.text
      break
    case 'refusal-delta':
      choice.refusal += event.text
      break
    case 'tool-call-start':
      choice.calls.set(event.call, { id: event.id, name: event.name, arguments: '' })
      break
    case 'tool-call-name': {
      const call = choice.calls.get(event.call)
      if (call !== undefined) call.name += event.name
      break
    }
    case 'tool-call-delta': {
      const call = choice.calls.get(event.call)
      if (call !== undefined) call.arguments += event.arguments
      break
    }
    case 'function-call-delta':
      choice.functionCall ??= { name: '', arguments: '' }
      choice.functionCall.name += event.name
      choice.functionCall.arguments += event.arguments
      break
    case 'audio-delta':
      choice.audio = joinAudio(choice.audio ?? {}, event.audio)
      break
    case 'logprobs-delta':
      choice.logprobs = joinLogprobs(choice.logprobs, event.logprobs)
      break
    case 'finish':
      choice.finish = event.reason
  }
}

/** Members that come in pieces. */
const JOINED_AUDIO: ReadonlySet<string> = new Set(['data', 'transcript'])

function joinAudio(audio: Record<string, unknown>, delta: AudioDelta): Record<string, unknown> {
  for (const [name, value] of Object.entries(delta)) {
    const before = audio[name]
    audio[name] =
      JOINED_AUDIO.has(name) && typeof before === 'string' && typeof value === 'string'
        ? before + value
        : value
  }
  return audio
}

function joinLogprobs(
  before: CollectedChoice['logprobs'],
  delta: LogprobsDelta,
): NonNullable<CollectedChoice['logprobs']> {
  const logprobs = before ?? { content: null, refusal: null }
  for (const name of ['content', 'refusal'] as const) {
    const list = delta[name]
    if (list === null) continue
    logprobs[name] ??= []
    for (const entry of list) logprobs[name].push(entry)
  }
  return logprobs
}

/** The JSON text of a whole `chat.completion`. */
export function encodeChatAnswer(events: readonly ChatEvent[], options: EncodeOptions): string {
  const { identity, choices, usage } = collect(events, options)
  return JSON.stringify({
    id: identity.id,
    object: 'chat.completion',
    created: identity.created,
    model: identity.model,
    choices: choices.map((choice) => ({
      index: choice.index,
      message: messageOf(choice),
      logprobs: choice.logprobs,
      finish_reason: choice.finish ?? 'stop',
    })),
    ...(usage === null ? {} : { usage: writeUsage(usage) }),
  })
}

function messageOf(choice: CollectedChoice): Record<string, unknown> {
  const { text, reasoning, refusal, functionCall, audio } = choice
  const inOrder = [...choice.calls].sort(([a], [b]) => a - b)
  const calls = inOrder.map(([, call]) => ({
    id: call.id,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  }))
  const saysOtherwise = calls.length > 0 || refusal !== '' || functionCall !== null || audio !== null
  return {
    role: 'assistant',
    content: text === '' && saysOtherwise ? null : text,
    refusal: refusal === '' ? null : refusal,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    ...(functionCall === null ? {} : { function_call: functionCall }),
    ...(audio === null ? {} : { audio }),
  }
}
