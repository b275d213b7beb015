// Starts simulators for a test and calls them over plain sockets, so that every byte and every bad ending is seen.

import { type ClientRequest, type IncomingMessage, request as openRequest } from 'node:http'
import { onTestFinished } from 'vitest'
import type { ModelConfig, SimulatorConfig } from '#simulator/settings.ts'
import { type Simulator, startSimulator } from '#simulator/simulate.ts'

/** Immediate, so that tests do not wait. */
const QUICK: ModelConfig = { ttftMs: 0, ttftMsPer1kInput: 0, jitter: 0, tokensPerSecond: 1_000_000 }

export async function start(
  dialect: SimulatorConfig['dialect'],
  model: ModelConfig = {},
  rest: Partial<SimulatorConfig> = {},
): Promise<Simulator> {
  const simulator = await startSimulator({ dialect, models: { m: { ...QUICK, ...model } }, ...rest })
  onTestFinished(() => simulator.close())
  return simulator
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** How the answer ended if not properly; null: properly. */
  readonly fault: string | null
}

export interface CallOptions {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly key?: string | null
}

/** POSTs to the chat endpoint of the base URL unless the options say otherwise. */
export async function call(simulator: Simulator, body: unknown, options: CallOptions = {}): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const request = open(simulator, options)
    let fault: string | null = null
    let hasAnswer = false
    // Rejects when there is no answer at all; a connection that breaks later is told beside the text.
    request.on('error', (error: Error & { code?: string }) => {
      fault = error.code ?? error.message
      if (!hasAnswer) reject(error)
    })
    request.on('response', (response) => {
      hasAnswer = true
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', (error: Error & { code?: string }) => {
        fault = error.code ?? error.message
      })
      response.on('close', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, fault }),
      )
    })
    request.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
  })
}

export function open(simulator: Simulator, options: CallOptions = {}): ClientRequest {
  const url =
    options.path === undefined ? `${simulator.baseUrl}/chat/completions` : simulator.url + options.path
  const { key = 'k' } = options
  return openRequest(url, {
    method: options.method ?? 'POST',
    agent: false,
    headers: {
      'content-type': 'application/json',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...options.headers,
    },
  })
}

/** The head of an answer whose body the test reads itself. */
export async function head(request: ClientRequest, body: unknown): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', resolve)
    request.end(JSON.stringify(body))
  })
}

export function ask(text: string, rest: object = {}): Readonly<Record<string, unknown>> {
  return { model: 'm', messages: [{ role: 'user', content: text }], ...rest }
}

/** Ids, times and fingerprints replaced, so that everything else can be compared to the byte. */
export function plain(text: string): string {
  return text
    .replaceAll(/"created":\d+/g, '"created":0')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}/g, 'UUID')
    .replaceAll(/"02\d{13}[0-9a-f]{38}"/g, '"02…"')
    .replaceAll(/Request id: 02\d{13}[0-9a-f]{38}/g, 'Request id: 02…')
    .replaceAll(/as-[0-9a-z]{10}/g, 'as-…')
    .replaceAll(/chatcmpl-[0-9a-f]{29,32}/g, 'chatcmpl-…')
}

/** The JSON of each event. */
export function events(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data:') && !line.includes('[DONE]'))
    .map((line) => JSON.parse(line.slice(5)) as Readonly<Record<string, unknown>>)
}

/** Until a condition holds; the test's own time limit ends a wait in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}
