// What the servers that follow OpenAI's chat completions closely have in common. A vendor is a set of differences;
// the order of members is the one most of them write: id, object, created, model, choices, usage.

import type { Finish, Piece, Usage } from '../chat.ts'
import type { ModelConfig } from '../settings.ts'
import { bearerKey, modelField, streamField } from './credentials.ts'
import {
  type About,
  type Asked,
  type ChatApi,
  type Desk,
  DONE,
  type Encoder,
  event,
  type Frame,
  type Incoming,
  type Refusal,
  type Reply,
} from './dialect.ts'
import { isBody, type OpenAiBody, readOpenAiBody, wholeCalls, wholeText } from './openai-body.ts'

export interface OpenAiLike {
  readonly streamType: string
  readonly jsonType: string
  readonly headAtOnce: boolean
  /** Where no keys are configured: whether a call without any is let in. */
  readonly needsKey: boolean
  readonly reply: (refusal: Refusal, about: About) => Reply
  /** The object or text of an `error` within a stream. */
  readonly streamError: (refusal: Refusal, about: About) => readonly Frame[]
  /** What is read differently: thinking, lengths. */
  readonly adjust: (body: OpenAiBody) => OpenAiBody | Refusal
  readonly allows: (asked: Asked, model: ModelConfig, inputTokens: number) => Refusal | null
  readonly headers?: (about: About, desk: Desk) => Readonly<Record<string, string>>
  readonly id: (about: About) => string
  /** Members between `model` and `choices`. */
  readonly afterModel?: object
  /** Members of a whole answer behind `choices`, around usage. */
  readonly whole?: { readonly before?: object; readonly after?: object }
  readonly choice: (index: number, delta: object, finish: Finish | null) => object
  readonly wholeChoice: (index: number, message: object, finish: Finish) => object
  /** null: no opening event. */
  readonly opening: (thinks: boolean) => object | null
  readonly delta: (piece: Piece, about: About, thinks: boolean, desk: Desk) => object
  readonly lastDelta: (thinks: boolean) => object
  readonly message: (parts: Parts, desk: Desk) => object
  readonly callId: (about: About, choice: number, index: number) => string
  readonly usage: (usage: Usage, desk: Desk) => object
  /** Members that follow usage wherever it stands. */
  readonly besideUsage?: (usage: Usage) => object
  /** `finish`: usage rides on the finishing chunk; `own`: on one without choices. */
  readonly usageChunk: 'own' | 'finish'
  /** Chunks without usage say `usage: null` where the caller asked for usage. */
  readonly nullUsage?: boolean
  /** The stream option by which every chunk tells the usage so far. */
  readonly everyChunk?: string
  /** Servers that do not stream the arguments of calls. */
  readonly wholeToolCalls?: boolean
  /** Members of the first delta of each choice, before its own. */
  readonly first?: object
  /** Names in the order the vendor writes them; others follow. */
  readonly order?: readonly string[]
  /** Usage comes unasked too. */
  readonly usageUnasked?: boolean
}

interface Parts {
  readonly text: string
  readonly reasoning: string
  /** As `tool_calls` has them. */
  readonly calls: readonly object[]
}

export function createChatApi(vendor: OpenAiLike): ChatApi {
  return {
    streamType: vendor.streamType,
    jsonType: vendor.jsonType,
    headAtOnce: vendor.headAtOnce,
    authorises: (incoming, desk) => authorises(incoming, desk, vendor.needsKey),
    modelOf: modelField,
    isStreaming: streamField,
    read(incoming, desk) {
      const body = readOpenAiBody(incoming.body)
      const adjusted = isBody(body) ? vendor.adjust(body) : body
      if (!isBody(adjusted)) return adjusted
      return {
        chat: adjusted.chat,
        encoder: (model, about, thinks) =>
          createEncoder(vendor, { model, about, thinks, desk, body: adjusted }),
      }
    },
    allows: vendor.allows,
    refuse: vendor.reply,
    refuseInStream: vendor.streamError,
    moderates: (desk) => desk.options.moderatedOutput ?? 'error',
    headers: vendor.headers ?? (() => ({})),
  }
}

export function authorises(incoming: Incoming, desk: Desk, needsKey: boolean): Refusal | null {
  const key = bearerKey(incoming)
  if (key === null) return needsKey || !desk.accepts('any') ? { kind: 'auth' } : null
  return desk.accepts(key) ? null : { kind: 'auth' }
}

interface Writing {
  readonly model: string
  readonly about: About
  readonly thinks: boolean
  readonly desk: Desk
  readonly body: OpenAiBody
}

function createEncoder(vendor: OpenAiLike, writing: Writing): Encoder {
  const { about, thinks, desk, body } = writing
  const wantsEvery = vendor.everyChunk !== undefined && body.streamOptions[vendor.everyChunk] === true
  const asked = 'include_usage' in body.streamOptions ? body.streamOptions['include_usage'] === true : null
  const wantsUsage = asked ?? vendor.usageUnasked === true
  const told = (usage: Usage): object => ({
    usage: vendor.usage(usage, desk),
    ...vendor.besideUsage?.(usage),
  })
  const chunk = (choices: readonly object[], usage: Usage | null): Frame =>
    event(
      ordered(vendor.order, {
        id: vendor.id(about),
        object: 'chat.completion.chunk',
        created: about.createdSeconds,
        model: writing.model,
        ...vendor.afterModel,
        choices,
        ...(usage !== null ? told(usage) : vendor.nullUsage === true && wantsUsage ? { usage: null } : {}),
      }),
    )
  const every = (usage: Usage | null): Usage | null => (wantsEvery ? usage : null)
  const held: Piece[] = []
  const begun = new Set<number>()
  const deltaOf = (piece: Piece): object => {
    const delta = vendor.delta(piece, about, thinks, desk)
    if (vendor.first === undefined || begun.has(piece.choice)) return delta
    begun.add(piece.choice)
    return { ...vendor.first, ...delta }
  }
  return {
    open(usage) {
      const opening = vendor.opening(thinks)
      if (opening === null) return []
      return Array.from({ length: body.chat.choices }, (_, index) =>
        chunk([vendor.choice(index, opening, null)], every(usage)),
      )
    },
    piece(piece, usage) {
      if (vendor.wholeToolCalls === true && (piece.kind === 'call' || piece.kind === 'arguments')) {
        held.push(piece)
        return []
      }
      return [chunk([vendor.choice(piece.choice, deltaOf(piece), null)], every(usage))]
    },
    finish(choice, reason, usage) {
      const calls = callsOf(
        vendor,
        about,
        choice,
        held.filter((piece) => piece.choice === choice),
      )
      const whole = calls.map((call, index) =>
        chunk(
          [vendor.choice(choice, { role: 'assistant', content: '', tool_calls: [{ index, ...call }] }, null)],
          null,
        ),
      )
      const tells = wantsEvery || (vendor.usageChunk === 'finish' && wantsUsage)
      return [
        ...whole,
        chunk([vendor.choice(choice, vendor.lastDelta(thinks), reason)], tells ? usage : null),
      ]
    },
    end(usage) {
      return vendor.usageChunk === 'own' && wantsUsage && usage !== null ? [chunk([], usage), DONE] : [DONE]
    },
    whole: (choices, usage) =>
      ordered(vendor.order, {
        id: vendor.id(about),
        object: 'chat.completion',
        created: about.createdSeconds,
        model: writing.model,
        choices: choices.map(({ pieces, finish }, index) =>
          vendor.wholeChoice(
            index,
            vendor.message(
              {
                text: wholeText(pieces, 'text'),
                reasoning: wholeText(pieces, 'reasoning'),
                calls: callsOf(vendor, about, index, pieces),
              },
              desk,
            ),
            finish,
          ),
        ),
        ...vendor.whole?.before,
        ...(usage === null ? {} : told(usage)),
        ...vendor.whole?.after,
      }),
  }
}

function ordered(order: readonly string[] | undefined, value: Readonly<Record<string, unknown>>): object {
  if (order === undefined) return value
  const first = order.filter((name) => name in value).map((name) => [name, value[name]])
  return { ...Object.fromEntries(first), ...value }
}

function callsOf(
  vendor: OpenAiLike,
  about: About,
  choice: number,
  pieces: readonly Piece[],
): readonly object[] {
  return wholeCalls(pieces).map((call, index) => ({
    id: vendor.callId(about, choice, index),
    type: 'function',
    function: call,
  }))
}

/** Streamed text, reasoning and calls as OpenAI's own deltas have them. */
export function plainDelta(piece: Piece, reasoningFields: readonly string[], callId: string): object {
  switch (piece.kind) {
    case 'text':
      return { content: piece.text }
    case 'reasoning':
      return Object.fromEntries(reasoningFields.map((name) => [name, piece.text]))
    case 'call': {
      const call = {
        index: piece.callIndex,
        id: callId,
        type: 'function',
        function: { name: piece.text, arguments: '' },
      }
      return { tool_calls: [call] }
    }
    case 'arguments':
      return { tool_calls: [{ index: piece.callIndex, function: { arguments: piece.text } }] }
  }
}

/** Names under which reasoning stands. */
export function reasoningFields(desk: Desk, usual: 'reasoning' | 'reasoning_content'): readonly string[] {
  const field = desk.options.reasoningField ?? usual
  return field === 'both' ? ['reasoning', 'reasoning_content'] : [field]
}

/** `GET /models`, each entry as the vendor has it. */
export function listModels(desk: Desk, entry: (id: string, model: ModelConfig) => object): Reply {
  const data = Object.entries(desk.models).map(([id, model]) => entry(id, model))
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ object: 'list', data }),
  }
}
