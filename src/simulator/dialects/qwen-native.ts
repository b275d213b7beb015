// DashScope's native API: text and multimodal generation.
// https://help.aliyun.com/zh/model-studio/deep-thinking (stream sample): no space behind the field names, the status in
// a comment, the string "null" for no finish reason, usage on every event, no [DONE]. The error within a 200 stream is
// the one quoted in higress's qwen.go.

import type { ChatRequest, Message, Piece, Usage } from '../chat.ts'
import { bearerKey, modelField } from './credentials.ts'
import type { About, Asked, ChatApi, Encoder, Frame, Incoming, Refusal } from './dialect.ts'
import {
  countOf,
  type Fields,
  isFields,
  readFormat,
  readMessage,
  readStop,
  readToolChoice,
  readTools,
  wholeCalls,
  wholeText,
} from './openai-body.ts'
import { errorEvent, refuseNative } from './qwen-native-errors.ts'
import { refusedByModel, refusedParameter } from './qwen-rules.ts'

const TEXT = '/api/v1/services/aigc/text-generation/generation'
const MULTIMODAL = '/api/v1/services/aigc/multimodal-generation/generation'

export function routeNative(path: string): ChatApi | null {
  if (path === TEXT) return text
  return path === MULTIMODAL ? multimodal : null
}

const text = nativeApi(false)
const multimodal = nativeApi(true)

function nativeApi(isMultimodal: boolean): ChatApi {
  return {
    streamType: 'text/event-stream;charset=UTF-8',
    jsonType: 'application/json',
    headAtOnce: false,
    authorises(incoming, desk) {
      const key = bearerKey(incoming)
      return key !== null && desk.accepts(key) ? null : { kind: 'auth' }
    },
    modelOf: modelField,
    isStreaming,
    read: (incoming) => read(incoming, isMultimodal),
    allows(asked, model, inputTokens) {
      if ((model.vision === true) === isMultimodal) return refusedByModel(asked.chat, model, inputTokens)
      return { kind: 'invalid_request', message: 'url error, please check url！' }
    },
    refuse: refuseNative,
    refuseInStream: (refusal, about) => [errorEvent(refusal, about)],
    moderates: (desk) => desk.options.moderatedOutput ?? 'error',
    headers: (about) => ({ 'x-request-id': about.requestId }),
  }
}

function read(incoming: Incoming, isMultimodal: boolean): Asked | Refusal {
  const { body } = incoming
  if (!isFields(body) || typeof body['model'] !== 'string')
    return invalid('Model can not be empty', 'BadRequest.EmptyModel')
  const input = isFields(body['input']) ? body['input'] : null
  if (input === null) return invalid('Required input parameter missing', 'BadRequest.EmptyInput')
  const parameters = isFields(body['parameters']) ? body['parameters'] : {}
  const messages = readMessages(input)
  if (messages.length === 0)
    return invalid('Either "prompt" or "messages" must exist and cannot both be none')
  const streams = isStreaming(incoming)
  const chat = readChat(body['model'], messages, parameters, streams)
  const isIncremental = parameters['incremental_output'] === true
  if (chat.thinking === true && streams && !isIncremental) {
    return invalid('The incremental_output parameter must be "true" when enable_thinking is true')
  }
  const isText = !isMultimodal && parameters['result_format'] !== 'message'
  if (chat.thinking === true && isText) {
    return invalid('The result_format parameter must be "message" when enable_thinking is true')
  }
  const message = refusedParameter(parameters, chat)
  if (message !== null) return invalid(message)
  return {
    chat,
    encoder: (_model, about) => encoder(about, { isMultimodal, isIncremental, isText }),
  }
}

/** By a header, not by the body. */
function isStreaming(incoming: Incoming): boolean {
  return incoming.headers['x-dashscope-sse'] === 'enable'
}

function invalid(message: string, code?: string): Refusal {
  return { kind: 'invalid_request', message, ...(code === undefined ? {} : { code }) }
}

function readMessages(input: Fields): readonly Message[] {
  if (Array.isArray(input['messages'])) {
    return input['messages'].filter(isFields).map((message) => readMessage(String(message['role']), message))
  }
  const { prompt } = input
  return typeof prompt === 'string' ? [{ role: 'user', text: prompt, images: [], calls: [] }] : []
}

function readChat(
  model: string,
  messages: readonly Message[],
  parameters: Fields,
  isStreaming: boolean,
): ChatRequest {
  const thinking = parameters['enable_thinking']
  return {
    model,
    messages,
    tools: readTools(parameters['tools']),
    toolChoice: readToolChoice(parameters['tool_choice']),
    parallelToolCalls: parameters['parallel_tool_calls'] === true,
    isStreaming,
    answerTokensMax: countOf(parameters['max_tokens']),
    totalTokensMax: null,
    stop: readStop(parameters['stop']),
    choices: Math.min(countOf(parameters['n']) ?? 1, 4),
    thinking: typeof thinking === 'boolean' ? thinking : null,
    reasoningTokensMax: countOf(parameters['thinking_budget']),
    effort: null,
    format: readFormat(parameters['response_format']),
  }
}

interface Form {
  readonly isMultimodal: boolean
  readonly isIncremental: boolean
  readonly isText: boolean
}

function encoder(about: About, form: Form): Encoder {
  const said: Piece[][] = []
  let sequence = 0
  const write = (choice: number, message: object, finish: string, usage: Usage | null): Frame => {
    sequence++
    const choices = [{ message, finish_reason: finish, ...(choice === 0 ? {} : { index: choice }) }]
    const { content } = message as { readonly content: unknown }
    const output = form.isText ? { finish_reason: finish, text: content } : { choices }
    const told = usage === null ? {} : { usage: usageOf(usage) }
    const data = JSON.stringify({ output, ...told, request_id: about.requestId })
    return { text: `id:${sequence}\nevent:result\n:HTTP_STATUS/200\ndata:${data}\n\n`, part: 'content' }
  }
  return {
    open: () => [],
    piece(piece, usage) {
      const { choice } = piece
      said[choice] ??= []
      const all = said[choice]
      all.push(piece)
      // Without incremental output each event repeats everything so far.
      const message = form.isIncremental
        ? fragmentOf(piece, about, form)
        : messageOf(all, about, choice, form)
      return [write(choice, message, 'null', usage)]
    },
    finish(choice, reason, usage) {
      const message = form.isIncremental
        ? emptyMessage(said[choice] ?? [], form)
        : messageOf(said[choice] ?? [], about, choice, form)
      return [write(choice, message, reason, usage)]
    },
    end: () => [],
    whole(choices, usage) {
      const [first] = choices
      const output = form.isText
        ? { finish_reason: first?.finish ?? 'stop', text: wholeText(first?.pieces ?? [], 'text') }
        : {
            ...(form.isMultimodal ? {} : { text: null, finish_reason: null }),
            choices: choices.map(({ pieces, finish }, index) => ({
              finish_reason: finish,
              message: messageOf(pieces, about, index, form),
            })),
          }
      return { output, ...(usage === null ? {} : { usage: usageOf(usage) }), request_id: about.requestId }
    },
  }
}

function contentOf(said: string, form: Form): unknown {
  if (!form.isMultimodal) return said
  return said === '' ? [] : [{ text: said }]
}

function fragmentOf(piece: Piece, about: About, form: Form): object {
  const { choice, callIndex: index } = piece
  const content = contentOf(piece.kind === 'text' ? piece.text : '', form)
  const common = { content, ...(piece.kind === 'reasoning' ? { reasoning_content: piece.text } : {}) }
  const calls =
    piece.kind === 'call'
      ? [
          {
            index,
            id: callId(about, choice, index),
            type: 'function',
            function: { name: piece.text, arguments: '' },
          },
        ]
      : piece.kind === 'arguments'
        ? [{ index, id: '', type: 'function', function: { name: '', arguments: piece.text } }]
        : null
  return { ...common, ...(calls === null ? {} : { tool_calls: calls }), role: 'assistant' }
}

function emptyMessage(said: readonly Piece[], form: Form): object {
  const hasReasoning = said.some((piece) => piece.kind === 'reasoning')
  return {
    content: contentOf('', form),
    ...(hasReasoning ? { reasoning_content: '' } : {}),
    role: 'assistant',
  }
}

function messageOf(pieces: readonly Piece[], about: About, choice: number, form: Form): object {
  const reasoning = wholeText(pieces, 'reasoning')
  const calls = wholeCalls(pieces).map((call, index) => ({
    index,
    id: callId(about, choice, index),
    type: 'function',
    function: call,
  }))
  return {
    role: 'assistant',
    content: contentOf(wholeText(pieces, 'text'), form),
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

function callId(about: About, choice: number, index: number): string {
  return `call_${about.requestId.replaceAll('-', '').slice(0, 20)}${choice}${index}`
}

function usageOf(usage: Usage): object {
  return {
    total_tokens: usage.inputTokens + usage.outputTokens,
    output_tokens: usage.outputTokens,
    input_tokens: usage.inputTokens,
    ...(usage.imageTokens === 0 ? {} : { image_tokens: usage.imageTokens }),
    ...(usage.reasoningTokens === 0
      ? {}
      : { output_tokens_details: { reasoning_tokens: usage.reasoningTokens } }),
    ...(usage.cachedTokens === 0 ? {} : { prompt_tokens_details: { cached_tokens: usage.cachedTokens } }),
  }
}
