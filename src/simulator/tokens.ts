// The simulators' token counter. A token is up to six Latin letters with the space before them, up to three
// digits, one character of any other script or sign, or a run of white space. Tokens of a text joined are the text.
// No vendor counts so; what matters is that the count can be told from the text, by anyone, exactly.

import type { ChatRequest } from './chat.ts'

const TOKEN = / ?[A-Za-z]{1,6}|\d{1,3}|\s+|./gsu

export function splitTokens(text: string): readonly string[] {
  return text.match(TOKEN) ?? []
}

/** What the frame around each message and the opening of the answer cost. */
const MESSAGE_TOKENS = 4
const OPENING_TOKENS = 3

export interface Prompt {
  readonly tokens: readonly string[]
  /** Ends of the prefixes that the caller marked. */
  readonly marks: readonly number[]
}

/**
 * All input tokens in order, so that their number is the input count and equal beginnings are what a prefix cache
 * holds: the definitions of tools, then for each message its frame of four tokens, its text, its images and its
 * calls, and three tokens that open the answer.
 */
export function promptTokens(chat: ChatRequest, imageTokens: number): Prompt {
  const tokens: string[] = []
  const marks: number[] = []
  const add = (text: string): void => {
    // No spread: a prompt may hold more tokens than a call may have arguments.
    for (const token of splitTokens(text)) tokens.push(token)
  }
  if (chat.tools.length > 0) add(JSON.stringify(chat.tools))
  for (const message of chat.messages) {
    for (let index = 0; index < MESSAGE_TOKENS; index++) tokens.push(`<${message.role}>`)
    add(message.text)
    for (const image of message.images) {
      const patch = `<image ${image.slice(0, 256)} ${image.length}>`
      for (let index = 0; index < imageTokens; index++) tokens.push(patch)
    }
    for (const call of message.calls) add(call.name + call.arguments)
    if (message.isCacheMark === true) marks.push(tokens.length)
  }
  for (let index = 0; index < OPENING_TOKENS; index++) tokens.push('<answer>')
  return { tokens, marks }
}
