// One request's way through a simulated upstream: read, fault, credential, rules, limits, answer.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { planAnswer } from './answer.ts'
import type { ChatRequest, Usage } from './chat.ts'
import {
  type About,
  type Asked,
  type ChatApi,
  type Desk,
  type Dialect,
  type Incoming,
  isRefusal,
  REFUSALS,
  type Refusal,
  type RefusalKind,
} from './dialects/dialect.ts'
import type { FaultPicker } from './faults.ts'
import { answerWhole, type Generation, stream } from './generate.ts'
import type { Random } from './random.ts'
import type { RateWindow } from './rate-window.ts'
import type { LoggedRequest } from './request-log.ts'
import type { FaultRule, SimulatorConfig } from './settings.ts'
import type { SimulatedModel } from './simulated-model.ts'
import { type Prompt, promptTokens } from './tokens.ts'
import { Transmission } from './transmission.ts'

/** What all requests of a server share. */
export interface Station {
  readonly dialect: Dialect
  readonly config: SimulatorConfig
  readonly models: Map<string, SimulatedModel>
  readonly window: RateWindow
  readonly faults: FaultPicker
  readonly desk: Desk
  readonly random: Random
  readonly seed: number
  setBody(entry: LoggedRequest, body: string): void
}

const BODY_BYTES_MAX = 64 * 1024 * 1024
const SLOW_HEAD_MS = 5_000
const OVERSIZE_BYTES = 40 * 1024 * 1024
const BAD_GATEWAY =
  '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n'
const TOO_LARGE =
  '<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n'

export async function serve(
  station: Station,
  entry: LoggedRequest,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const transmission = new Transmission(response)
  try {
    const bodyText = await readBody(request, station.config.bodyBytesMax ?? BODY_BYTES_MAX)
    if (bodyText === null)
      transmission.whole(413, { 'content-type': 'text/html', connection: 'close' }, TOO_LARGE)
    else {
      station.setBody(entry, bodyText)
      await answer(station, entry, transmission, readIncoming(request, bodyText))
    }
  } finally {
    entry.status = transmission.status
    entry.aborted = transmission.signal.aborted && !endsBadly(entry.fault)
    entry.endedAtMs = station.desk.nowMs()
  }
}

/** A caller is not to blame for a connection that the simulator broke. */
function endsBadly(fault: string | null): boolean {
  return fault === 'cut' || fault === 'reset'
}

/** null: longer than allowed. */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<string | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Leaving the loop must not destroy the connection that the refusal goes out on.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function readIncoming(request: IncomingMessage, bodyText: string): Incoming {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value ?? '')])
  return {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    headers: Object.fromEntries(headers),
    bodyText,
    body: parse(bodyText),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function answer(
  station: Station,
  entry: LoggedRequest,
  transmission: Transmission,
  incoming: Incoming,
): Promise<void> {
  const { dialect, desk } = station
  const about = { requestId: dialect.makeId(desk), createdSeconds: Math.floor(desk.nowMs() / 1000), incoming }
  const route = dialect.route(incoming, desk) ?? dialect.wrongPath(incoming, about)
  if ('body' in route) return transmission.whole(route.status, route.headers, route.body)
  entry.model = route.modelOf(incoming)
  const fault = station.faults.pick(nameOf(station, entry.model))
  entry.fault = fault?.fault ?? null
  if (fault !== null && (await strikeEarly(route, about, station, fault, transmission))) return
  const refuse = (refusal: Refusal): void => {
    const reply = route.refuse(refusal, about, desk)
    transmission.whole(reply.status, reply.headers, reply.body)
  }
  const refusal = route.authorises(incoming, desk)
  if (refusal !== null) return refuse(refusal)
  const asked = route.read(incoming, desk)
  if (isRefusal(asked)) return refuse(asked)
  const model = station.models.get(nameOf(station, asked.chat.model))
  if (model === undefined) return refuse({ kind: 'model_unavailable', model: asked.chat.model })
  await admit(station, entry, { route, about, asked, model, fault, transmission, refuse })
}

function nameOf(station: Station, asked: string): string {
  const name = station.config.endpoints?.[asked] ?? asked
  if (station.dialect.anyModel !== true || station.models.has(name)) return name
  return [...station.models.keys()][0] ?? name
}

/** Faults that need no answer; true: the request has been dealt with. */
async function strikeEarly(
  api: ChatApi,
  about: About,
  station: Station,
  fault: FaultRule,
  transmission: Transmission,
): Promise<boolean> {
  switch (fault.fault) {
    case 'hang':
      await transmission.gone()
      return true
    case 'slow_head':
      return !(await transmission.sleep(fault.delayMs ?? SLOW_HEAD_MS))
    case 'html':
      transmission.whole(502, { 'content-type': 'text/html' }, BAD_GATEWAY)
      return true
    case 'oversize': {
      const isStream = api.isStreaming(about.incoming)
      const before = isStream ? 'data: {"choices":[{"index":0,"delta":{"content":"' : '{"padding":"'
      transmission.head(200, { 'content-type': isStream ? api.streamType : api.jsonType })
      await transmission.writeLong(before, fault.bytes ?? OVERSIZE_BYTES, isStream ? '"}}]}\n\n' : '"}')
      transmission.end()
      return true
    }
  }
  if (!isKind(fault.fault) || fault.fault === 'moderation_output') return false
  const refusal: Refusal = { kind: fault.fault, model: api.modelOf(about.incoming) }
  const reply = api.refuse(refusal, about, station.desk)
  transmission.whole(reply.status, reply.headers, reply.body)
  return true
}

function isKind(fault: string): fault is RefusalKind {
  return REFUSALS.some((kind) => kind === fault)
}

interface Admission {
  readonly route: ChatApi
  readonly about: About
  readonly asked: Asked
  readonly model: SimulatedModel
  readonly fault: FaultRule | null
  readonly transmission: Transmission
  refuse(refusal: Refusal): void
}

async function admit(station: Station, entry: LoggedRequest, admission: Admission): Promise<void> {
  const { route, asked, model, refuse } = admission
  const { chat } = asked
  const prompt = promptTokens(chat, model.settings.imageTokens)
  const { tokens } = prompt
  const allowed = route.allows(asked, model.settings, tokens.length)
  if (allowed !== null) return refuse({ model: chat.model, ...allowed })
  if (tokens.length >= model.settings.contextWindow) {
    const output = chat.totalTokensMax ?? chat.answerTokensMax ?? 0
    const found = { max: model.settings.contextWindow, input: tokens.length, output }
    return refuse({ kind: 'context_length', model: chat.model, tokens: found })
  }
  const nowMs = station.desk.nowMs()
  const windows = [station.window, model.window]
  const limit = windows.map((window) => window.exceeded(tokens.length, nowMs)).find((found) => found !== null)
  if (limit !== undefined && limit !== null) return refuse({ kind: 'rate_limit', model: chat.model, limit })
  const leave = windows.map((window) => window.enter(tokens.length, nowMs))
  model.inFlight++
  const generation = begin(station, entry, admission, prompt)
  entry.billed = generation.usage
  try {
    await run(chat, generation)
  } finally {
    model.inFlight--
    for (const end of leave) end(generation.usage.outputTokens)
  }
}

function begin(station: Station, entry: LoggedRequest, admission: Admission, prompt: Prompt): Generation {
  const { route, about, asked, model, fault, transmission } = admission
  const { chat } = asked
  const { settings } = model
  const thinks = model.thinks(chat.thinking)
  const nowMs = station.desk.nowMs()
  const { tokens } = prompt
  const isExplicit = route.explicitCache === true && prompt.marks.length > 0
  const explicit = isExplicit ? model.cache?.explicit(prompt, nowMs) : undefined
  const cachedTokens = explicit?.cached ?? model.cache?.cachedTokens(tokens, nowMs) ?? 0
  const images = chat.messages.reduce((sum, message) => sum + message.images.length, 0)
  const usage: Usage = {
    inputTokens: tokens.length,
    cachedTokens,
    cacheWriteTokens: explicit?.written ?? null,
    imageTokens: images * settings.imageTokens,
    outputTokens: 0,
    reasoningTokens: 0,
  }
  return {
    api: route,
    about,
    desk: station.desk,
    encoder: asked.encoder(model.title, about, thinks),
    model,
    plans: planAnswer(chat, {
      seed: station.seed,
      answer: settings.answer ?? null,
      answerTokens: settings.answerTokens,
      reasoningTokens: settings.reasoningTokens,
      thinks,
      outputTokensMax: Math.min(settings.outputMax, settings.contextWindow - tokens.length),
    }),
    fault,
    random: station.random,
    transmission,
    nowMs: () => station.desk.nowMs(),
    firstTokenAtMs: nowMs + model.ttftMs(tokens.length - cachedTokens, station.random),
    usage,
    billsOn: station.config.onAbort === 'finish',
    booked: 0,
    onFirstToken() {
      entry.firstTokenAtMs = station.desk.nowMs()
      model.cache?.store(tokens, station.desk.nowMs())
    },
    onUsage(booked) {
      entry.billed = booked
    },
  }
}

async function run(chat: ChatRequest, generation: Generation): Promise<void> {
  if (!chat.isStreaming) return await answerWhole(generation)
  if (generation.fault?.fault !== 'malformed') return await stream(generation)
  const { api, transmission } = generation
  // A streaming caller gets a body that is neither a stream nor JSON.
  transmission.whole(
    200,
    { 'content-type': api.jsonType },
    '{"choices":[{"message":{"role":"assistant","cont',
  )
}
