// What a simulated model says to a prompt: plausible, in the language of the question, the same each time.

import type { ChatRequest, ChoicePlan, Finish, Piece, Tool } from './chat.ts'
import { createRandom, hashText, type Random } from './random.ts'
import { valueFor } from './schema-value.ts'
import { splitTokens } from './tokens.ts'

export interface Speaker {
  readonly seed: number
  /** A fixed answer; null: prose of `answerTokens`. */
  readonly answer: string | null
  readonly answerTokens: number
  /** Tokens of reasoning when the model thinks. */
  readonly reasoningTokens: number
  readonly thinks: boolean
  /** What is left of the context window and the model's own bound. */
  readonly outputTokensMax: number
}

type Words = readonly [string, ...string[]]

const QUESTION_CHARS_MAX = 40
const CALLS_MAX = 8
const CJK = /[\u3400-\u9fff]/

const PROSE: { readonly zh: Words; readonly en: Words } = {
  zh: [
    '先看最直接的原因，再看它背后的条件。',
    '通常有三个方面需要考虑：背景、方法和结果。',
    '在大多数情况下，简单的做法就足够好。',
    '如果数据量较大，建议分批处理并记录每一步。',
    '需要注意的是，结论取决于具体的使用场景。',
    '可以先做一个小规模的试验，再决定是否推广。',
    '这样做的好处是清楚、可靠，也便于以后修改。',
    '最后，请把关键数字核对一遍，避免误差累积。',
  ],
  en: [
    'The most direct cause comes first, then the conditions behind it.',
    'There are usually three things to weigh: the setting, the method and the result.',
    'In most cases the simple way is good enough.',
    'With more data it pays to work in batches and to note each step.',
    'Keep in mind that the conclusion depends on how it will be used.',
    'A small trial shows quickly whether the idea carries further.',
    'This keeps things clear and reliable, and easy to change later.',
    'Finally, check the key numbers once more so that errors do not add up.',
  ],
}

const THOUGHTS: { readonly zh: Words; readonly en: Words } = {
  zh: ['用户想知道这个问题的要点。', '先整理已知条件。', '再检查有没有例外。', '答案应当简短而完整。'],
  en: [
    'The user wants the essence of this.',
    'First collect what is known.',
    'Then check for exceptions.',
    'The answer should be short and complete.',
  ],
}

const CITIES =
  /北京|上海|广州|深圳|杭州|成都|武汉|南京|西安|重庆|Beijing|Shanghai|Hangzhou|Shenzhen|Guangzhou|Paris|London|Berlin|Tokyo|Boston|New York|San Francisco/g

/** The choices of one answer. */
export function planAnswer(chat: ChatRequest, speaker: Speaker): readonly ChoicePlan[] {
  const last = lastText(chat, 'user')
  const seed = hashText(JSON.stringify(chat.messages), hashText(chat.model, speaker.seed))
  return Array.from({ length: chat.choices }, (_, choice) => {
    const random = createRandom(seed + choice)
    const question = chat.prompts?.[choice] ?? last
    const reasoning = speaker.thinks ? think(chat, speaker, random) : []
    const calls = chooseCalls(chat, question)
    const said =
      calls.length > 0
        ? calls.flatMap((call, index) => callPieces(call, index))
        : textPieces(cutAtStop(say(chat, speaker, question, random), chat.stop))
    return bound(chat, speaker, {
      pieces: [...reasoning, ...said].map((piece) => ({ ...piece, choice })),
      finish: calls.length > 0 ? 'tool_calls' : 'stop',
    })
  })
}

function think(chat: ChatRequest, speaker: Speaker, random: Random): readonly Piece[] {
  const scale = chat.effort === 'low' || chat.effort === 'minimal' ? 0.5 : chat.effort === 'high' ? 2 : 1
  const wanted = Math.max(1, Math.round(speaker.reasoningTokens * scale))
  const count = Math.min(wanted, chat.reasoningTokensMax ?? wanted)
  const words = THOUGHTS[languageOf(lastText(chat, 'user'))]
  return splitTokens(compose(words, count, random))
    .slice(0, count)
    .map((text) => piece('reasoning', text, 0))
}

function say(chat: ChatRequest, speaker: Speaker, question: string, random: Random): string {
  if (speaker.answer !== null) return speaker.answer
  const isChinese = languageOf(question) === 'zh'
  if (chat.format.kind === 'json') {
    const subject = question.slice(0, QUESTION_CHARS_MAX)
    const value =
      chat.format.schema === null ? { answer: subject } : valueFor(chat.format.schema, { subject })
    return JSON.stringify(value)
  }
  const last = chat.messages.at(-1)
  if (last?.role === 'tool' || last?.role === 'function') {
    return isChinese ? `根据工具返回的结果：${last.text}` : `According to the tool: ${last.text}`
  }
  const asked = question.length > QUESTION_CHARS_MAX ? `${question.slice(0, QUESTION_CHARS_MAX)}…` : question
  const images = chat.messages.reduce((sum, message) => sum + message.images.length, 0)
  const seen =
    images === 0 ? '' : isChinese ? `我看到了 ${images} 张图片。` : `I can see ${images} image(s). `
  const opening = isChinese ? `关于“${asked}”：` : `About "${asked}": `
  const rest = speaker.answerTokens - splitTokens(seen + opening).length
  return seen + opening + compose(PROSE[isChinese ? 'zh' : 'en'], Math.max(1, rest), random)
}

/** Sentences until there are about so many tokens. */
function compose(words: Words, tokens: number, random: Random): string {
  const separator = CJK.test(words[0]) ? '' : ' '
  let text = random.pick(words)
  let count = splitTokens(text).length
  while (count < tokens) {
    const sentence = separator + random.pick(words)
    text += sentence
    count += splitTokens(sentence).length
  }
  return text
}

interface Call {
  readonly name: string
  readonly arguments: string
}

function chooseCalls(chat: ChatRequest, question: string): readonly Call[] {
  const { toolChoice } = chat
  const lastRole = chat.messages.at(-1)?.role
  if (toolChoice === 'none' || chat.tools.length === 0) return []
  if (lastRole === 'tool' || lastRole === 'function') return []
  const named =
    typeof toolChoice === 'object' ? chat.tools.filter((tool) => tool.name === toolChoice.name) : null
  let chosen = named ?? chat.tools.filter((tool) => asksFor(question, tool))
  if (chosen.length === 0 && toolChoice === 'required') chosen = chat.tools.slice(0, 1)
  const subjects = [...new Set(question.match(CITIES) ?? [])]
  const fallback = question.slice(0, QUESTION_CHARS_MAX)
  const calls = chosen.flatMap((tool) =>
    (subjects.length === 0 ? [fallback] : subjects).map((subject) => ({
      name: tool.name,
      arguments: JSON.stringify(tool.parameters === undefined ? {} : valueFor(tool.parameters, { subject })),
    })),
  )
  return calls.slice(0, chat.parallelToolCalls ? CALLS_MAX : 1)
}

/** Words too common to mean a tool. */
const COMMON =
  /^(with|from|this|that|what|when|where|which|have|will|your|about|would|should|need|tell|give|find|make|returns?|information|city|call|tool|current|given|list|name|user)$/

/** A tool is asked for when the question holds its name, or a telling word of its name or description. */
function asksFor(question: string, tool: Tool): boolean {
  const asked = question.toLowerCase()
  if (asked.includes(tool.name.toLowerCase())) return true
  const said = `${tool.name.replaceAll(/([a-z])([A-Z])/g, '$1 $2')} ${tool.description}`.toLowerCase()
  const words = said.match(/[a-z]{4,}/g) ?? []
  if (words.some((word) => !COMMON.test(word) && asked.includes(word))) return true
  return chinesePairs(said).some((pair) => asked.includes(pair))
}

function chinesePairs(text: string): readonly string[] {
  return [...text.matchAll(/(?=([\u3400-\u9fff]{2}))/g)].map((match) => match[1] ?? '')
}

function callPieces(call: Call, callIndex: number): readonly Piece[] {
  const open = { ...piece('call', call.name, callIndex), tokens: splitTokens(call.name).length }
  return [open, ...splitTokens(call.arguments).map((text) => piece('arguments', text, callIndex))]
}

function textPieces(text: string): readonly Piece[] {
  return splitTokens(text).map((token) => piece('text', token, 0))
}

function piece(kind: Piece['kind'], text: string, callIndex: number): Piece {
  return { kind, choice: 0, text, tokens: 1, callIndex }
}

function cutAtStop(text: string, stop: readonly string[]): string {
  const ends = stop.map((word) => (word === '' ? -1 : text.indexOf(word))).filter((index) => index !== -1)
  return ends.length === 0 ? text : text.slice(0, Math.min(...ends))
}

/** Cuts the plan where a length bound ends it. */
function bound(chat: ChatRequest, speaker: Speaker, plan: ChoicePlan): ChoicePlan {
  const totalMax = Math.min(chat.totalTokensMax ?? Number.POSITIVE_INFINITY, speaker.outputTokensMax)
  const answerMax = chat.answerTokensMax ?? Number.POSITIVE_INFINITY
  let total = 0
  let answer = 0
  const kept: Piece[] = []
  let finish: Finish = plan.finish
  for (const next of plan.pieces) {
    const answerAfter = next.kind === 'reasoning' ? answer : answer + next.tokens
    if (total + next.tokens > totalMax || answerAfter > answerMax) {
      finish = 'length'
      break
    }
    total += next.tokens
    answer = answerAfter
    kept.push(next)
  }
  return { pieces: kept, finish }
}

function lastText(chat: ChatRequest, role: string): string {
  return chat.messages.findLast((message) => message.role === role)?.text ?? ''
}

function languageOf(text: string): 'zh' | 'en' {
  return CJK.test(text) || text === '' ? 'zh' : 'en'
}
