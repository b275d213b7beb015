// Validates a parsed chat body by hand (ten times cheaper than a schema, and only what we rely on is checked;
// fields we do not know pass). What a request needs of a target is read here too.

import type { ChatRequest } from '#core/chat.ts'
import { GatewayError } from '#core/errors.ts'
import { NAME_CHARS_MAX } from '#core/limits.ts'
import type { Capability } from '#core/provider.ts'
import { isObject } from '../json-object.ts'

type Json = Readonly<Record<string, unknown>>

/** @throws GatewayError `invalid_request` naming the field, what was found and what would be right. */
export function checkChatRequest(body: unknown): asserts body is ChatRequest {
  if (!isObject(body)) throw wrong(null, body, 'a JSON object')
  checkModel(body)
  const messages = body['messages']
  if (!Array.isArray(messages)) throw wrong('messages', messages, 'an array of messages')
  if (messages.length === 0)
    throw invalid('messages', '`messages` is empty; it must hold at least one message')
  for (let index = 0; index < messages.length; index++) checkMessage(messages[index], `messages[${index}]`)
  checkSampling(body)
  checkTools(body)
}

/** The model that a checked body asks for first: `model`, or where that is absent the first of `models`. */
export function askedModel(body: Json): string {
  return String(isListed(body) ? body.models[0] : body['model'])
}

/** Checks the name that `askedModel` gives; the rest of `models` is checked where the list is read. */
export function checkModel(body: Json): void {
  if (isListed(body)) checkName(body.models[0], 'models[0]')
  else checkName(body['model'], 'model')
}

function isListed(body: Json): body is Json & { readonly models: readonly unknown[] } {
  const { model, models } = body
  return (model === undefined || model === null) && Array.isArray(models) && models.length > 0
}

function checkName(name: unknown, param: string): void {
  if (typeof name !== 'string') throw wrong(param, name, 'the name of a model as a string')
  if (name === '') throw invalid(param, `\`${param}\` is empty; GET /v1/models lists the names`)
  if (name.length > NAME_CHARS_MAX)
    throw invalid(param, `\`${param}\` is longer than ${NAME_CHARS_MAX} characters`)
}

function checkMessage(message: unknown, path: string): void {
  if (!isObject(message)) throw wrong(path, message, 'an object with `role` and `content`')
  const role = message['role']
  if (typeof role !== 'string' || role === '') {
    throw wrong(`${path}.role`, role, 'one of "system", "developer", "user", "assistant", "tool"')
  }
  const content = message['content']
  if (Array.isArray(content)) {
    for (let index = 0; index < content.length; index++) {
      const part: unknown = content[index]
      const partPath = `${path}.content[${index}]`
      if (!isObject(part)) throw wrong(partPath, part, 'an object with `type`')
      if (typeof part['type'] !== 'string')
        throw wrong(`${partPath}.type`, part['type'], 'a string such as "text"')
      if (part['type'] === 'text' && typeof part['text'] !== 'string') {
        throw wrong(`${partPath}.text`, part['text'], 'a string')
      }
    }
  } else if (typeof content !== 'string' && content !== null && content !== undefined) {
    throw wrong(`${path}.content`, content, 'a string, null or an array of parts')
  }
  const calls = message['tool_calls']
  if (calls !== undefined && calls !== null) {
    if (!Array.isArray(calls)) throw wrong(`${path}.tool_calls`, calls, 'an array')
    for (let index = 0; index < calls.length; index++) checkCall(calls[index], `${path}.tool_calls[${index}]`)
  }
  const old = message['function_call']
  if (old !== undefined && old !== null) checkFunction(old, `${path}.function_call`)
  const name = message['name']
  if (name !== undefined && name !== null && typeof name !== 'string')
    throw wrong(`${path}.name`, name, 'a string')
}

/** `custom` calls and what may come pass: only what translation reads is looked at. */
function checkCall(call: unknown, path: string): void {
  if (!isObject(call)) throw wrong(path, call, 'an object with `id`, `type` and `function`')
  const { id, function: called } = call
  if (id !== undefined && id !== null && typeof id !== 'string') throw wrong(`${path}.id`, id, 'a string')
  if (called !== undefined && called !== null) checkFunction(called, `${path}.function`)
}

function checkFunction(called: unknown, path: string): void {
  if (!isObject(called)) throw wrong(path, called, 'an object with `name` and `arguments`')
  for (const field of ['name', 'arguments'] as const) {
    const value = called[field]
    if (value !== undefined && value !== null && typeof value !== 'string')
      throw wrong(`${path}.${field}`, value, field === 'name' ? 'a string' : 'a string of JSON')
  }
}

/** Fields that completions share with chat. */
export function checkSampling(body: Json): void {
  checkType(body, 'stream', 'boolean')
  for (const field of ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty'] as const) {
    checkType(body, field, 'number')
  }
  for (const field of ['max_tokens', 'max_completion_tokens', 'n'] as const) {
    const value = body[field]
    if (value === undefined || value === null) continue
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
      throw wrong(field, value, 'an integer of 1 or more')
    }
  }
  const stop = body['stop']
  if (stop !== undefined && stop !== null && typeof stop !== 'string' && !isStrings(stop)) {
    throw wrong('stop', stop, 'a string or an array of strings')
  }
  const options = body['stream_options']
  if (options !== undefined && options !== null) {
    if (!isObject(options)) throw wrong('stream_options', options, 'an object')
    if (body['stream'] !== true) {
      throw invalid('stream_options', '`stream_options` is only allowed when `stream` is true')
    }
    const include = options['include_usage']
    if (include !== undefined && include !== null && typeof include !== 'boolean') {
      throw wrong('stream_options.include_usage', include, 'a boolean')
    }
  }
}

function checkTools(body: Json): void {
  const tools = body['tools']
  if (tools !== undefined && tools !== null) {
    if (!Array.isArray(tools)) throw wrong('tools', tools, 'an array')
    for (let index = 0; index < tools.length; index++) {
      const tool: unknown = tools[index]
      if (!isObject(tool) || typeof tool['type'] !== 'string') {
        throw wrong(`tools[${index}]`, tool, 'an object with `type`')
      }
    }
  }
  const functions = body['functions']
  if (functions !== undefined && functions !== null) {
    if (!Array.isArray(functions)) throw wrong('functions', functions, 'an array')
    for (let index = 0; index < functions.length; index++) {
      const declared: unknown = functions[index]
      if (!isObject(declared)) throw wrong(`functions[${index}]`, declared, 'an object with `name`')
    }
  }
  const choice = body['tool_choice']
  if (choice !== undefined && choice !== null && typeof choice !== 'string' && !isObject(choice)) {
    throw wrong('tool_choice', choice, '"none", "auto", "required" or an object that names a tool')
  }
  const format = body['response_format']
  if (format !== undefined && format !== null && (!isObject(format) || typeof format['type'] !== 'string')) {
    throw wrong('response_format', format, 'an object with `type`')
  }
}

function checkType(body: Json, field: string, type: 'boolean' | 'number'): void {
  const value = body[field]
  if (value !== undefined && value !== null && typeof value !== type) throw wrong(field, value, `a ${type}`)
}

/** A need and the request field it comes from, for the error's `param`. */
export interface Need {
  readonly capability: Capability
  readonly param: string
}

/** What a target must be able to do for this request. */
export function readNeeds(request: ChatRequest): readonly Need[] {
  const needs: Need[] = [request.stream === true ? STREAM_NEED : UNSTREAMED_NEED]
  if (Array.isArray(request['tools']) && request['tools'].length > 0)
    needs.push({ capability: 'tools', param: 'tools' })
  else if (Array.isArray(request['functions']) && request['functions'].length > 0) {
    needs.push({ capability: 'tools', param: 'functions' })
  }
  const choice = request['tool_choice']
  if (choice === 'required' || isObject(choice))
    needs.push({ capability: 'tool_choice', param: 'tool_choice' })
  else if (isObject(request['function_call']))
    needs.push({ capability: 'tool_choice', param: 'function_call' })
  const format = request['response_format']
  if (isObject(format)) {
    if (format['type'] === 'json_schema') needs.push({ capability: 'json_schema', param: 'response_format' })
    else if (format['type'] === 'json_object')
      needs.push({ capability: 'json_object', param: 'response_format' })
  }
  if (typeof request['n'] === 'number' && request['n'] > 1) needs.push({ capability: 'n', param: 'n' })
  if (request['logprobs'] === true) needs.push({ capability: 'logprobs', param: 'logprobs' })
  const stop = request['stop']
  if (typeof stop === 'string' || (Array.isArray(stop) && stop.length > 0))
    needs.push({ capability: 'stop', param: 'stop' })
  addMediaNeeds(request, needs)
  return needs
}

const STREAM_NEED: Need = { capability: 'stream', param: 'stream' }
const UNSTREAMED_NEED: Need = { capability: 'unstreamed', param: 'stream' }

const MEDIA: ReadonlyMap<string, Capability> = new Map([
  ['image_url', 'vision'],
  ['input_audio', 'audio_input'],
  ['video_url', 'video_input'],
  ['video', 'video_input'],
  ['file', 'file_input'],
])

function addMediaNeeds(request: ChatRequest, needs: Need[]): void {
  for (let index = 0; index < request.messages.length; index++) {
    const content = request.messages[index]?.content
    if (!Array.isArray(content)) continue
    for (const part of content as readonly { readonly type: string }[]) {
      const capability = MEDIA.get(part.type)
      if (capability !== undefined && !needs.some((need) => need.capability === capability)) {
        needs.push({ capability, param: `messages[${index}].content` })
      }
    }
  }
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

export function invalid(param: string | null, message: string): GatewayError {
  return new GatewayError('invalid_request', message, { param })
}

/** @param right what would have been right, as a noun */
export function wrong(param: string | null, found: unknown, right: string): GatewayError {
  const subject = param === null ? 'the request body' : `\`${param}\``
  return invalid(param, `${subject} must be ${right}; found ${describe(found)}`)
}

/** Names a wrong value without repeating what may be long or private. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'string')
    return value.length <= 40 ? `the string ${JSON.stringify(value)}` : 'a string'
  return `the ${typeof value} ${String(value)}`
}
