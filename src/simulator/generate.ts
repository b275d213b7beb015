// From a planned answer to bytes: at the model's pace, counting every token that is emitted, with the faults that
// strike in the middle.

import { setImmediate as turn } from 'node:timers/promises'
import type { ChoicePlan, Piece, Usage } from './chat.ts'
import type { About, ChatApi, Desk, Encoder, Frame, RefusalKind } from './dialects/dialect.ts'
import type { Random } from './random.ts'
import type { FaultRule } from './settings.ts'
import type { SimulatedModel } from './simulated-model.ts'
import type { Transmission } from './transmission.ts'

export interface Generation {
  readonly api: ChatApi
  readonly about: About
  readonly desk: Desk
  readonly encoder: Encoder
  readonly model: SimulatedModel
  readonly plans: readonly ChoicePlan[]
  readonly fault: FaultRule | null
  readonly random: Random
  readonly transmission: Transmission
  readonly nowMs: () => number
  /** When the prompt has been read and the first token stands. */
  readonly firstTokenAtMs: number
  /** A caller who leaves is billed to the end. */
  readonly billsOn: boolean
  /** How many pieces are on the bill. */
  booked: number
  /** Input as counted; output is added as it is emitted. */
  usage: Usage
  onFirstToken(): void
  /** After each piece. */
  onUsage(usage: Usage): void
}

/** Without a timer in between, the event loop turns after so many pieces. */
const PIECES_PER_TURN = 64
const AFTER_EVENTS = 3

/** Where a fault may strike within an answer. */
const MIDWAY: ReadonlySet<string> = new Set([
  'stall',
  'cut',
  'truncate',
  'reset',
  'garbage',
  'error_in_200',
  'moderation_output',
])

export async function stream(generation: Generation): Promise<void> {
  const { api, about, desk, transmission } = generation
  const head = (): void =>
    transmission.head(200, {
      'content-type': api.streamType,
      'cache-control': 'no-cache',
      ...api.headers(about, desk),
    })
  if (api.headAtOnce) head()
  if (!(await waitForFirstToken(generation, ': keep-alive\n\n'))) return billOn(generation)
  generation.onFirstToken()
  if (!api.headAtOnce) head()
  if (!(await send(generation, generation.encoder.open(told(generation))))) return billOn(generation)
  if (await emit(generation)) await close(generation)
  else billOn(generation)
}

/** Of a caller who has left: the rest of the answer, generated for nobody. */
function billOn(generation: Generation): void {
  const { billsOn, fault, plans, transmission } = generation
  if (!billsOn || fault !== null || !transmission.signal.aborted) return
  for (const piece of [...interleave(plans)].slice(generation.booked)) book(generation, piece)
}

/** With `keep_alive_ms` something goes out in the meantime: a comment, or an empty line before a whole answer. */
async function waitForFirstToken(generation: Generation, filler: string): Promise<boolean> {
  const { desk, transmission, firstTokenAtMs, nowMs } = generation
  const { keepAliveMs } = desk.options
  while (transmission.hasHead && keepAliveMs !== undefined && firstTokenAtMs - nowMs() > keepAliveMs) {
    if (!(await transmission.sleep(keepAliveMs)) || !(await transmission.write(filler))) return false
  }
  return await transmission.sleep(firstTokenAtMs - nowMs())
}

/** Sends all pieces; false: the answer has ended already, well or badly. */
async function emit(generation: Generation): Promise<boolean> {
  const { encoder, plans, transmission, random, nowMs } = generation
  const fault = isMidway(generation.fault) ? generation.fault : null
  const left = plans.map((plan) => plan.pieces.length)
  let strikesAt = fault === null ? Number.POSITIVE_INFINITY : strikesAfter(fault)
  let dueAtMs = generation.firstTokenAtMs
  let events = 0
  let pieces = 0
  /** Before the end at the latest. */
  const survives = async (choice: number, isEnd: boolean): Promise<boolean> => {
    const strikes = events >= strikesAt || (isEnd && strikesAt !== Number.POSITIVE_INFINITY)
    if (!strikes) return true
    strikesAt = Number.POSITIVE_INFINITY
    return await strike(generation, choice)
  }
  for (const piece of interleave(plans)) {
    if (!(await survives(piece.choice, false))) return false
    if (dueAtMs > nowMs()) {
      if (!(await transmission.sleep(dueAtMs - nowMs()))) return false
    } else if (++pieces % PIECES_PER_TURN === 0) await turn()
    dueAtMs += generation.model.tokenMs(random)
    book(generation, piece)
    const frames = encoder.piece(piece, told(generation))
    events += frames.length
    left[piece.choice] = (left[piece.choice] ?? 0) - 1
    if (!(await send(generation, frames))) return false
    if (left[piece.choice] !== 0) continue
    const isEnd = left.every((count) => count === 0)
    if (!(await survives(piece.choice, isEnd))) return false
    const finish = plans[piece.choice]?.finish ?? 'stop'
    if (!(await send(generation, encoder.finish(piece.choice, finish, told(generation))))) return false
  }
  return await finishEmpty(generation)
}

/** Choices of which nothing was to be said. */
async function finishEmpty(generation: Generation): Promise<boolean> {
  for (const [index, plan] of generation.plans.entries()) {
    if (plan.pieces.length > 0) continue
    const frames = generation.encoder.finish(index, plan.finish, told(generation))
    if (!(await send(generation, frames))) return false
  }
  return true
}

async function close(generation: Generation): Promise<void> {
  const { encoder, fault, transmission } = generation
  const frames = encoder.end(told(generation))
  const kept = fault?.fault === 'no_done' ? frames.filter((frame) => frame.part !== 'done') : frames
  if (await send(generation, kept)) transmission.end()
}

/** Answers whole, when all tokens would have been emitted. */
export async function answerWhole(generation: Generation): Promise<void> {
  const { api, about, desk, encoder, fault, plans, transmission } = generation
  const isModerated = fault?.fault === 'moderation_output'
  const pieces = [...interleave(plans)].slice(0, isModerated ? strikesAfter(fault) : undefined)
  if (!(await emitUnseen(generation, pieces))) return billOn(generation)
  const isFinished = isModerated && api.moderates(desk) === 'finish'
  if (isModerated && !isFinished) {
    const { status, headers, body } = api.refuse({ kind: 'moderation_output' }, about, desk)
    return transmission.whole(status, headers, body)
  }
  if (fault?.fault === 'error_in_200') {
    const { headers, body } = api.refuse({ kind: errorKind(fault) }, about, desk)
    return transmission.whole(200, headers, body)
  }
  const choices = plans.map((plan, index) => ({
    pieces: pieces.filter((piece) => piece.choice === index),
    finish: isFinished ? ('content_filter' as const) : plan.finish,
  }))
  const body = JSON.stringify(encoder.whole(choices, told(generation)))
  const headers = { 'content-type': api.jsonType, ...api.headers(about, desk) }
  await sendWhole(generation, headers, body)
}

/** The time of all tokens passes; a caller who leaves has what was due by then on the bill. */
async function emitUnseen(generation: Generation, pieces: readonly Piece[]): Promise<boolean> {
  const { api, about, desk, transmission, random, nowMs } = generation
  if (api.headAtOnce && desk.options.keepAliveMs !== undefined) {
    transmission.head(200, { 'content-type': api.jsonType, ...api.headers(about, desk) })
  }
  if (!(await waitForFirstToken(generation, '\n'))) return false
  generation.onFirstToken()
  const dues: number[] = []
  let dueAtMs = generation.firstTokenAtMs
  for (const _ of pieces) {
    dues.push(dueAtMs)
    dueAtMs += generation.model.tokenMs(random)
  }
  const isHeard = await transmission.sleep((dues.at(-1) ?? 0) - nowMs())
  for (const [index, piece] of pieces.entries()) {
    if (isHeard || (dues[index] ?? 0) <= nowMs()) book(generation, piece)
  }
  return isHeard
}

async function sendWhole(
  generation: Generation,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<void> {
  const { fault, transmission } = generation
  switch (fault?.fault) {
    case 'malformed':
    case 'garbage':
    case 'truncate':
      return transmission.whole(200, headers, body.slice(0, Math.floor(body.length / 2)))
    case 'stall':
      await transmission.half(200, headers, body)
      return await transmission.gone()
    case 'cut':
      await transmission.half(200, headers, body)
      return transmission.cut()
    case 'reset':
      await transmission.half(200, headers, body)
      return await transmission.reset()
    default:
      return transmission.whole(200, headers, body)
  }
}

/** Lets the fault strike; true: the answer goes on. */
async function strike(generation: Generation, choice: number): Promise<boolean> {
  const { api, about, desk, fault, encoder, transmission } = generation
  switch (fault?.fault) {
    case 'garbage':
      return await transmission.write('data: {"choices":[{"delta":{"cont\n\n')
    case 'stall':
      await transmission.gone()
      return false
    case 'cut':
      transmission.cut()
      return false
    case 'truncate':
      transmission.end()
      return false
    case 'reset':
      await transmission.reset()
      return false
    case 'moderation_output':
      if (api.moderates(desk) === 'error') break
      if (await send(generation, encoder.finish(choice, 'content_filter', told(generation))))
        await close(generation)
      return false
  }
  await send(generation, api.refuseInStream({ kind: errorKind(fault) }, about, desk))
  transmission.end()
  return false
}

async function send(generation: Generation, frames: readonly Frame[]): Promise<boolean> {
  const text = frames.map((frame) => frame.text).join('')
  return text === '' ? !generation.transmission.signal.aborted : await generation.transmission.write(text)
}

function told(generation: Generation): Usage | null {
  return generation.fault?.fault === 'no_usage' ? null : generation.usage
}

function book(generation: Generation, piece: Piece): void {
  const { usage } = generation
  generation.booked++
  generation.usage = {
    ...usage,
    outputTokens: usage.outputTokens + piece.tokens,
    reasoningTokens: usage.reasoningTokens + (piece.kind === 'reasoning' ? piece.tokens : 0),
  }
  generation.onUsage(generation.usage)
}

function isMidway(fault: FaultRule | null): boolean {
  return fault !== null && MIDWAY.has(fault.fault)
}

function strikesAfter(fault: FaultRule | null): number {
  return fault?.afterEvents ?? AFTER_EVENTS
}

function errorKind(fault: FaultRule | null): RefusalKind {
  return fault?.fault === 'moderation_output' ? 'moderation_output' : (fault?.error ?? 'server')
}

/** One piece of each choice in turn. */
function* interleave(plans: readonly ChoicePlan[]): Generator<Piece> {
  const longest = Math.max(0, ...plans.map((plan) => plan.pieces.length))
  for (let index = 0; index < longest; index++) {
    for (const plan of plans) {
      const piece = plan.pieces[index]
      if (piece !== undefined) yield piece
    }
  }
}
