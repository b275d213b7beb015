// Questions to the ledger of record, and answers, as text: what instances say to each other.

import type { AdjustmentQuery } from '#core/adjustments.ts'
import { type ErrorCode, GatewayError } from '#core/errors.ts'
import { ReportError, type RequestQuery, type UsageQuery } from '#core/ledger.ts'
import type { SpentAsked } from '#core/spent.ts'
import { StoreUnavailableError } from './errors.ts'

export type ArchiveQuestion =
  | { readonly kind: 'usage'; readonly query: UsageQuery }
  | { readonly kind: 'requests'; readonly query: RequestQuery }
  | { readonly kind: 'request'; readonly id: string }
  | { readonly kind: 'adjustments'; readonly query: AdjustmentQuery }
  | { readonly kind: 'spent'; readonly asked: readonly SpentAsked[] }
  /** Whether it counts by the close of a month, and has its report. */
  | { readonly kind: 'month'; readonly month: string; readonly hasReport: boolean }

/** Money and maps are no JSON. */
const BIGINT = '$bigint'
const MAP = '$map'

export function writeWords(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner === 'bigint') return { [BIGINT]: inner.toString() }
    if (inner instanceof Map) return { [MAP]: [...inner] }
    return inner
  })
}

export function readWords(text: string): unknown {
  return JSON.parse(text, (_, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null) return inner
    if (BIGINT in inner) return BigInt(String(inner[BIGINT]))
    if (MAP in inner) return new Map(inner[MAP] as [unknown, unknown][])
    return inner
  })
}

type AnswerJson =
  | { readonly value: unknown }
  | {
      readonly error: string
      /** Of a ReportError; the code of a GatewayError. */
      readonly reason: string | null
      readonly message: string
    }

/** The answer of a function, or how it failed. */
export async function answerText(run: () => Promise<unknown>): Promise<string> {
  try {
    return writeWords({ value: await run() })
  } catch (error) {
    const reason =
      error instanceof ReportError ? error.reason : error instanceof GatewayError ? error.code : null
    const [name, message] = error instanceof Error ? [error.name, error.message] : ['Error', String(error)]
    return writeWords({ error: name, reason, message })
  }
}

/** @throws ReportError, RangeError, StoreUnavailableError: as the archive's own would */
export function readAnswer(text: string): unknown {
  const answer = readWords(text) as AnswerJson
  if ('value' in answer) return answer.value
  const { error, reason, message } = answer
  if (error === 'ReportError') throw new ReportError(reason as ReportError['reason'], message)
  if (error === 'GatewayError') throw new GatewayError(reason as ErrorCode, message)
  if (error === 'RangeError') throw new RangeError(message)
  throw new StoreUnavailableError(`the archive cannot answer: ${message}`)
}
