// Between the client's format and a target's. Same format: bytes pass, edited where they must be. Otherwise
// through canonical events.

import { type AnswerState, type AnswerTransform, newAnswerState, noteUsage } from '#core/answer.ts'
import { type ChatEvent, OWN_FIELDS } from '#core/chat.ts'
import { ANSWER_BODY_BYTES_MAX, JSON_DEPTH_MAX } from '#core/limits.ts'
import type { TokenUsage } from '#core/usage.ts'
import type { AnswerDecoder } from '#core/wire-format.ts'
import { encodeUtf8, utf8Length } from '#wire/bytes.ts'
import { scanMembers, spliceMembers } from '#wire/json-members.ts'
import { adaptRequest } from '#wire/openai-chat/adapt.ts'
import { ChoiceEnds } from '#wire/openai-chat/choices.ts'
import { encodeChatAnswer } from '#wire/openai-chat/collect.ts'
import { decodeChatAnswer, openChatDecoder } from '#wire/openai-chat/decode.ts'
import { type AnswerEncoder, type EncodeOptions, openChatEncoder } from '#wire/openai-chat/encode.ts'
import { wireFailure } from '#wire/openai-chat/failure.ts'
import { passAnswer, passStream } from '#wire/openai-chat/pass.ts'
import { encodeCompletionsAnswer, openCompletionsEncoder } from '#wire/openai-completions/encode.ts'
import { hasCompletions } from './considered.ts'
import type { Call } from './context.ts'
import type { TargetFacts } from './live.ts'
import { streamsUpstream } from './thinking.ts'

/** A request in a target's words, not yet signed. */
export interface UpstreamText {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string
  /** The upstream streams, whatever the client asked for. */
  readonly streaming: boolean
  readonly dropped: readonly string[]
}

export function encodeUpstream(call: Call, facts: TargetFacts): UpstreamText {
  const streaming = streamsUpstream(facts, call)
  return facts.format === null ? encodeOpenAi(call, facts, streaming) : encodeForeign(call, facts, streaming)
}

function encodeOpenAi(call: Call, facts: TargetFacts, streaming: boolean): UpstreamText {
  const { quirks, provider } = facts
  const passes = call.api === 'chat' || hasCompletions(facts)
  const bytes = passes ? call.bytes : encodeUtf8(JSON.stringify(call.chat))
  const path =
    call.api === 'completions' && passes
      ? (provider.completionsPath ?? '')
      : (facts.rule.chatPath ?? provider.chatPath ?? '/chat/completions')
  const { edits, dropped } = adaptRequest(call.chat, call.thinking, {
    model: facts.target.model,
    quirks,
    streaming,
  })
  const scan = passes ? call.scan : scanMembers(bytes, JSON_DEPTH_MAX)
  const body =
    scan === null
      ? bytes
      : spliceMembers(bytes, scan, call.api === 'chat' || !passes ? edits : withoutMessages(edits))
  return {
    url: facts.urlOf(path, false),
    headers: streaming ? facts.headers.streamed : facts.headers.whole,
    body,
    streaming,
    dropped,
  }
}

/** On a completions endpoint there are no messages to adapt. */
function withoutMessages(edits: ReadonlyMap<string, string | null>): ReadonlyMap<string, string | null> {
  const kept = new Map(edits)
  kept.delete('messages')
  return kept
}

function encodeForeign(call: Call, facts: TargetFacts, streaming: boolean): UpstreamText {
  const format = facts.format as NonNullable<TargetFacts['format']>
  const { model } = facts.target
  const encoded = format.encode({ request: call.chat, model, streaming, thinking: call.thinking })
  return {
    url: facts.urlOf(encoded.path, encoded.fromOrigin === true),
    headers: { ...facts.quirks.headers, ...encoded.headers },
    body: encoded.body,
    streaming,
    dropped: encoded.dropped.filter((field) => !OWN_FIELDS.includes(field)),
  }
}

export interface AnswerOptions {
  readonly requestId: string
  readonly nowMs: number
  readonly costOf: (usage: TokenUsage, responseModel: string | null) => string | null
  readonly out: (bytes: Uint8Array) => void
}

/** Does the answer reach the client in the upstream's own bytes? */
function passes(call: Call, facts: TargetFacts): boolean {
  return facts.format === null && (call.api === 'chat' || hasCompletions(facts))
}

/** The transform of an answer that the upstream streams. */
export function openAnswer(call: Call, facts: TargetFacts, options: AnswerOptions): AnswerTransform {
  const { quirks, provider } = facts
  if (call.streaming && passes(call, facts)) {
    return passStream({
      quirks,
      rules: provider.errors,
      wantsUsage: call.wantsUsage,
      choices: choicesAsked(call),
      costOf: options.costOf,
      out: options.out,
    })
  }
  const decoder = facts.format === null ? openChatDecoder(quirks, provider.errors) : facts.format.openStream()
  const encodeOptions = toEncodeOptions(call, facts, options)
  return call.streaming
    ? translateStream(decoder, openEncoder(call, encodeOptions), choicesAsked(call), options.out)
    : collectStream(decoder, call, encodeOptions, options.out)
}

/** Each prompt of a legacy request has choices of its own. */
function choicesAsked(call: Call): number {
  const { n, prompt } = call.body
  const prompts =
    call.api === 'completions' && Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt.length : 1
  return Math.max(1, typeof n === 'number' ? n : 1) * Math.max(1, prompts)
}

/** An answer that came whole: what the client gets of it. */
export function convertAnswer(
  body: Uint8Array,
  call: Call,
  facts: TargetFacts,
  options: AnswerOptions,
): { readonly state: AnswerState; readonly bytes: Uint8Array } {
  if (!call.streaming && passes(call, facts))
    return passAnswer(body, { quirks: facts.quirks, rules: facts.provider.errors })
  const state = newAnswerState()
  let events: readonly ChatEvent[]
  try {
    events =
      facts.format === null
        ? decodeChatAnswer(body, facts.quirks, facts.provider.errors)
        : facts.format.decodeAnswer(body)
  } catch {
    state.failure = wireFailure('protocol', 'the answer is not JSON')
    return { state, bytes: body }
  }
  const ends = new ChoiceEnds(state, 1)
  for (const event of events) learnEvent(state, event, ends)
  if (state.failure === null && !events.some((event) => event.type === 'finish')) {
    state.failure = wireFailure('protocol', 'the answer has no choices')
  }
  const encodeOptions = toEncodeOptions(call, facts, options)
  if (!call.streaming) return { state, bytes: encodeUtf8(encodeWhole(call, events, encodeOptions)) }
  // The upstream ignored `stream`: the client still gets the stream it asked for.
  const encoder = openEncoder(call, encodeOptions)
  const text = events.map((event) => encoder.encode(event)).join('') + encoder.end()
  return { state, bytes: encodeUtf8(text) }
}

function toEncodeOptions(call: Call, facts: TargetFacts, options: AnswerOptions): EncodeOptions {
  return {
    wantsUsage: call.wantsUsage,
    fallbackId: `${call.api === 'chat' ? 'chatcmpl' : 'cmpl'}-${options.requestId}`,
    fallbackModel: facts.target.model,
    nowSeconds: Math.floor(options.nowMs / 1000),
    costOf: options.costOf,
  }
}

function openEncoder(call: Call, options: EncodeOptions): AnswerEncoder {
  return call.api === 'chat' ? openChatEncoder(options) : openCompletionsEncoder(options)
}

function encodeWhole(call: Call, events: readonly ChatEvent[], options: EncodeOptions): string {
  return call.api === 'chat' ? encodeChatAnswer(events, options) : encodeCompletionsAnswer(events, options)
}

function translateStream(
  decoder: AnswerDecoder,
  encoder: AnswerEncoder,
  choices: number,
  out: (bytes: Uint8Array) => void,
): AnswerTransform {
  const state = newAnswerState()
  const ends = new ChoiceEnds(state, choices)
  function onEvents(events: readonly ChatEvent[]): void {
    let text = ''
    for (const event of events) {
      if (state.failure !== null) return
      learnEvent(state, event, ends)
      text += encoder.encode(event)
    }
    state.droppedEvents = decoder.dropped
    if (decoder.hasEnded === true) ends.endMark()
    if (text !== '') out(encodeUtf8(text))
  }
  return {
    state,
    push: (chunk) => onEvents(decoder.push(chunk)),
    end() {
      onEvents(decoder.end())
      const text = state.failure === null ? encoder.end() : ''
      if (text !== '') out(encodeUtf8(text))
    },
  }
}

/** A stream for a client that asked for none: gathered, and sent whole at its end. */
function collectStream(
  decoder: AnswerDecoder,
  call: Call,
  options: EncodeOptions,
  out: (bytes: Uint8Array) => void,
): AnswerTransform {
  const state = newAnswerState()
  const ends = new ChoiceEnds(state, choicesAsked(call))
  const gathered: ChatEvent[] = []
  let bytes = 0
  function onEvents(events: readonly ChatEvent[]): void {
    for (const event of events) {
      learnEvent(state, event, ends)
      gathered.push(event)
    }
    state.droppedEvents = decoder.dropped
    if (decoder.hasEnded === true) ends.endMark()
  }
  return {
    state,
    push(chunk) {
      bytes += chunk.length
      if (bytes <= ANSWER_BODY_BYTES_MAX) onEvents(decoder.push(chunk))
      else state.failure ??= wireFailure('protocol', `an answer above ${ANSWER_BODY_BYTES_MAX} bytes`)
    },
    end() {
      onEvents(decoder.end())
      if (state.failure === null && state.finished) out(encodeUtf8(encodeWhole(call, gathered, options)))
    },
  }
}

function learnEvent(state: AnswerState, event: ChatEvent, ends: ChoiceEnds): void {
  if ('choice' in event) ends.note(event.choice, event.type === 'finish')
  switch (event.type) {
    case 'start':
      state.upstreamId ??= event.id
      state.responseModel = event.model ?? state.responseModel
      break
    case 'text-delta':
    case 'reasoning-delta':
    case 'refusal-delta':
      state.content = true
      state.outputBytes += utf8Length(event.text)
      break
    case 'tool-call-start':
    case 'tool-call-name':
      state.content = true
      state.outputBytes += utf8Length(event.name)
      break
    case 'tool-call-delta':
      state.outputBytes += utf8Length(event.arguments)
      break
    case 'function-call-delta':
      state.content = true
      state.outputBytes += utf8Length(event.name) + utf8Length(event.arguments)
      break
    case 'audio-delta':
      state.content = true
      state.outputBytes += JSON.stringify(event.audio).length
      break
    case 'logprobs-delta':
      break
    case 'finish':
      break
    case 'usage':
      noteUsage(state, event.usage)
      break
    case 'failure':
      state.failure = event.failure
  }
}
