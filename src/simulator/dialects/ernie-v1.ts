// Baidu's old API (wenxinworkshop): a token from an OAuth exchange, the model as a path suffix, flat errors under
// HTTP 200, streams of sentences without an end mark.
// https://ai.baidu.com/ai-doc/WENXINWORKSHOP/tlmyncueh (errors), /flzjjlya6 (chat); headers as in lobehub#4522.

import type { Finish, Message, Piece, Usage } from '../chat.ts'
import { streamField } from './credentials.ts'
import type { About, Asked, ChatApi, Desk, Encoder, Frame, Incoming, Refusal, Reply } from './dialect.ts'
import { bodyOf, flat, headersOf, JSON_TYPE, json, refuse } from './ernie-v1-errors.ts'
import { countOf, type Fields, isFields, readStop, readTools, wholeCalls, wholeText } from './openai-body.ts'

const TOKEN_PATH = '/oauth/2.0/token'
const CHAT_PATH = '/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/'
const TOKEN_TTL_SECONDS = 2_592_000
const TOKENS_MAX = 1_000

/** Path suffixes whose model is not called so. */
const SUFFIXES: Readonly<Record<string, string>> = {
  completions_pro: 'ernie-4.0-8k',
  completions: 'ernie-3.5-8k',
  'eb-instant': 'ernie-lite-8k-0922',
  ernie_speed: 'ernie-speed-8k',
}

export function routeV1(incoming: Incoming, desk: Desk): ChatApi | Reply | null {
  if (incoming.path === TOKEN_PATH) return giveToken(incoming, desk)
  if (!incoming.path.startsWith(CHAT_PATH)) return null
  return incoming.method === 'POST'
    ? chat(desk)
    : flat({ error_code: 336101, error_msg: 'Only POST requests are accepted' })
}

function giveToken(incoming: Incoming, desk: Desk): Reply {
  const id = incoming.query.get('client_id') ?? ''
  const secret = incoming.query.get('client_secret') ?? ''
  const isKnown = id !== '' && secret !== '' && desk.accepts(`${id}:${secret}`)
  if (!isKnown) {
    const error_description = id === '' ? 'unknown client id' : 'Client authentication failed'
    return json(401, { error: 'invalid_client', error_description })
  }
  const seconds = desk.options.tokenTtlSeconds ?? TOKEN_TTL_SECONDS
  const token = `24.${desk.random.hex(32)}.${seconds}.${Math.floor(desk.nowMs() / 1000) + seconds}.282335-1`
  desk.memory.set(token, desk.nowMs() + seconds * 1000)
  for (const oldest of desk.memory.keys()) {
    if (desk.memory.size <= TOKENS_MAX) break
    desk.memory.delete(oldest)
  }
  return json(200, {
    refresh_token: `25.${desk.random.hex(32)}.315360000.2000000000.282335-1`,
    expires_in: seconds,
    session_key: desk.random.hex(48),
    access_token: token,
    scope: 'public brain_all_scope wenxinworkshop_mgr',
    session_secret: desk.random.hex(32),
  })
}

function chat(desk: Desk): ChatApi {
  return {
    streamType: 'text/event-stream; charset=utf-8',
    jsonType: JSON_TYPE,
    headAtOnce: false,
    authorises,
    modelOf: (incoming) => modelOf(incoming, desk),
    isStreaming: streamField,
    read: (incoming) => read(incoming, desk),
    allows: () => null,
    refuse,
    // Even within a stream: one line of JSON without a field name.
    refuseInStream: (refusal, about) => [
      { text: `${JSON.stringify(bodyOf(refusal, about))}\n\n`, part: 'content' },
    ],
    moderates: () => desk.options.moderatedOutput ?? 'finish',
    headers: headersOf,
  }
}

function authorises(incoming: Incoming, desk: Desk): Refusal | null {
  const token = incoming.query.get('access_token') ?? ''
  const expiresAtMs = desk.memory.get(token)
  if (expiresAtMs === undefined) return { kind: 'auth' }
  if (expiresAtMs > desk.nowMs()) return null
  return { kind: 'auth', code: '111', message: 'Access token expired' }
}

function modelOf(incoming: Incoming, desk: Desk): string {
  const suffix = incoming.path.slice(CHAT_PATH.length)
  const isNamed = suffix in desk.models || suffix in desk.endpoints
  return isNamed ? suffix : (SUFFIXES[suffix] ?? suffix)
}

function read(incoming: Incoming, desk: Desk): Asked | Refusal {
  const { body } = incoming
  if (!isFields(body)) return invalid(336002, 'Invalid JSON')
  const messages = Array.isArray(body['messages']) ? body['messages'].filter(isFields).map(readMessage) : []
  const problem = alternationProblem(messages) ?? parameterProblem(body)
  if (problem !== null) return problem
  const system = typeof body['system'] === 'string' ? [plain('system', body['system'])] : []
  const functions = readTools(body['functions'])
  return {
    chat: {
      model: modelOf(incoming, desk),
      messages: [...system, ...messages],
      tools: functions,
      toolChoice: functions.length === 0 ? 'none' : chosenFunction(body),
      parallelToolCalls: false,
      isStreaming: body['stream'] === true,
      answerTokensMax: countOf(body['max_output_tokens']),
      totalTokensMax: null,
      stop: readStop(body['stop']),
      choices: 1,
      thinking: false,
      reasoningTokensMax: null,
      effort: null,
      format: { kind: body['response_format'] === 'json_object' ? 'json' : 'text', schema: null },
    },
    encoder: (_model, about) => encoder(about, desk),
  }
}

function chosenFunction(body: Fields): 'auto' | { readonly name: string } {
  const choice = isFields(body['tool_choice']) ? body['tool_choice']['function'] : null
  return isFields(choice) && typeof choice['name'] === 'string' ? { name: choice['name'] } : 'auto'
}

function plain(role: string, text: string): Message {
  return { role, text, images: [], calls: [] }
}

function readMessage(message: Fields): Message {
  const call = isFields(message['function_call']) ? message['function_call'] : null
  return {
    ...plain(String(message['role']), typeof message['content'] === 'string' ? message['content'] : ''),
    calls:
      call === null ? [] : [{ name: String(call['name'] ?? ''), arguments: String(call['arguments'] ?? '') }],
  }
}

/** An odd number, user (or function) and assistant in turn; a system message is none of them. */
function alternationProblem(messages: readonly Message[]): Refusal | null {
  if (messages.length % 2 === 0) return invalid(336_006, 'the length of messages must be an odd number')
  for (const [index, message] of messages.entries()) {
    const isAnswer = index % 2 === 1
    const fits = isAnswer ? message.role === 'assistant' : /^(user|function)$/.test(message.role)
    if (fits) continue
    const [place, role] = isAnswer ? ['odd', 'assistant'] : ['even', 'user or function']
    return invalid(336_006, `the role of message with ${place} index in the messages must be ${role}`)
  }
  if (messages.some((message) => message.calls.some((call) => call.name === ''))) {
    return invalid(336_003, "function_call's name can't be blank")
  }
  return messages.at(-1)?.text.trim() === '' ? invalid(336_003, 'the content of last message is empty') : null
}

function parameterProblem(body: Fields): Refusal | null {
  const { temperature } = body
  const fits = typeof temperature !== 'number' || (temperature > 0 && temperature <= 1)
  return fits ? null : invalid(336_003, 'temperature must be in (0, 1.0]')
}

function invalid(code: number, message: string): Refusal {
  return { kind: 'invalid_request', code: String(code), message }
}

const SENTENCE_END = /[。！？；，：,.!?;:\n]$/
const SENTENCE_TOKENS_MAX = 24

/** Chunks are sentences, so tokens wait for the end of theirs. */
function encoder(about: About, desk: Desk): Encoder {
  let sentence = 0
  let held: Piece[] = []
  const calls: Piece[] = []
  let reason: Finish = 'stop'
  const write = (result: string, isEnd: boolean, usage: Usage | null, extra: object = {}): Frame => {
    const chunk = {
      id: about.requestId,
      object: 'chat.completion',
      created: Math.floor(desk.nowMs() / 1000),
      sentence_id: sentence++,
      is_end: isEnd,
      is_truncated: isEnd && reason === 'length',
      result,
      need_clear_history: reason === 'content_filter',
      ...(reason === 'content_filter' ? { ban_round: -1, flag: 3 } : {}),
      finish_reason: finishOf(isEnd ? reason : 'stop'),
      ...(usage === null ? {} : { usage: usageOf(usage) }),
      ...extra,
    }
    return { text: `data: ${JSON.stringify(chunk)}\n\n`, part: 'content' }
  }
  const flush = (usage: Usage | null): readonly Frame[] => {
    if (held.length === 0) return []
    const result = wholeText(held, 'text')
    held = []
    return [write(result, false, usage)]
  }
  return {
    open: () => [],
    piece(piece, usage) {
      if (piece.kind !== 'text') {
        calls.push(piece)
        return []
      }
      held.push(piece)
      return SENTENCE_END.test(piece.text) || held.length >= SENTENCE_TOKENS_MAX ? flush(usage) : []
    },
    finish(_choice, finish, usage) {
      const frames = flush(usage)
      reason = finish
      return frames
    },
    end: (usage) => [write('', true, usage, functionCall(calls))],
    whole(choices, usage) {
      const [first] = choices
      const pieces = first?.pieces ?? []
      const finish = first?.finish ?? 'stop'
      return {
        id: about.requestId,
        object: 'chat.completion',
        created: about.createdSeconds,
        result: wholeText(pieces, 'text'),
        is_truncated: finish === 'length',
        need_clear_history: finish === 'content_filter',
        ...(finish === 'content_filter' ? { ban_round: -1, flag: 3 } : {}),
        finish_reason: finishOf(finish),
        ...functionCall(pieces),
        ...(usage === null ? {} : { usage: usageOf(usage) }),
      }
    },
  }
}

function functionCall(pieces: readonly Piece[]): object {
  const [call] = wholeCalls(pieces)
  if (call === undefined) return {}
  return { function_call: { name: call.name, thoughts: `需要调用${call.name}。`, arguments: call.arguments } }
}

function finishOf(finish: Finish): string {
  if (finish === 'stop') return 'normal'
  return finish === 'tool_calls' ? 'function_call' : finish
}

function usageOf(usage: Usage): object {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
  }
}
