// Reads error bodies of all dialects into (code, type, message) and names the kind of failure by a vendor's
// table, then by shape, then by status.

import type { FailureKind, UpstreamFailure } from '#core/errors.ts'
import type { ErrorRule } from '#core/provider.ts'
import { decodeUtf8 } from '../bytes.ts'

type Json = Readonly<Record<string, unknown>>

export interface ErrorWords {
  readonly code: string | null
  readonly type: string | null
  readonly message: string
}

/** What the wire itself shows, without a word of the vendor. */
export function wireFailure(kind: 'protocol' | 'truncated', vendorMessage: string): UpstreamFailure {
  return { kind, status: 200, vendorCode: null, vendorMessage, retryAfterMs: null }
}

/** Error body of any shape. A body framed as SSE (`data: {…}`, DashScope) is unwrapped first. */
export function readErrorBody(body: Uint8Array): ErrorWords {
  const text = decodeUtf8(body).trim()
  const unframed = /^(?:event:[^\n]*\n|id:[^\n]*\n|:[^\n]*\n)*data:\s*(.*)/s.exec(text)?.[1] ?? text
  const first = unframed.split(/\r?\n\r?\n/, 1)[0] ?? ''
  for (const candidate of [unframed, first]) {
    try {
      return readErrorValue(JSON.parse(candidate) as unknown)
    } catch {
      // Not JSON in this cut: the next one, else the plain text below.
    }
  }
  return { code: null, type: null, message: text }
}

/** The same for a parsed body. */
export function readErrorValue(value: unknown): ErrorWords {
  if (typeof value === 'string') return { code: null, type: null, message: value }
  const body = object(value)
  if (body === null) return { code: null, type: null, message: '' }
  const error = object(body['error']) ?? choiceError(body)
  const base = object(body['base_resp'])
  const code = error?.['code'] ?? body['code'] ?? body['error_code'] ?? base?.['status_code']
  const type = error?.['type'] ?? body['type'] ?? body['error_type']
  const message =
    error?.['message'] ??
    (typeof body['error'] === 'string' ? body['error'] : undefined) ??
    body['message'] ??
    body['error_msg'] ??
    base?.['status_msg'] ??
    body['detail'] ??
    body['msg']
  return {
    code: word(code),
    type: word(type),
    message:
      typeof message === 'string'
        ? message
        : message === undefined || message === null
          ? ''
          : JSON.stringify(message),
  }
}

/** HTTP 200 is not success: is this parsed body an error all the same? */
export function isErrorBody(value: unknown): boolean {
  const body = object(value)
  if (body === null) return true
  // As the official SDKs see it (openai-node core/streaming.ts): only a truthy `error` is one.
  if (body['error'] || choiceError(body) !== null) return true
  if (isCode(object(body['base_resp'])?.['status_code']) || isCode(body['error_code'])) return true
  if (Array.isArray(body['choices'])) return false
  return body['object'] === 'error' || isCode(body['code']) || body['detail'] !== undefined
}

/** OpenRouter says in a choice what went wrong behind it. */
function choiceError(body: Json): Json | null {
  if (!Array.isArray(body['choices'])) return null
  for (const choice of body['choices'] as readonly unknown[]) {
    const error = object(object(choice)?.['error'])
    if (error !== null) return error
  }
  return null
}

/** Vendors that always send a code say 0 for success. */
function isCode(code: unknown): boolean {
  return code !== undefined && code !== null && code !== 0 && code !== '0' && code !== ''
}

export function classify(
  words: ErrorWords,
  status: number,
  rules: readonly ErrorRule[],
): { readonly kind: FailureKind; readonly renew: boolean } {
  for (const rule of rules) {
    if (matches(rule, words, status)) return { kind: rule.kind, renew: rule.renew === true }
  }
  return { kind: kindByShape(words) ?? kindByStatus(status), renew: false }
}

export function toFailure(
  words: ErrorWords,
  status: number,
  rules: readonly ErrorRule[],
  retryAfterMs: number | null,
): UpstreamFailure & { readonly renew: boolean } {
  const { kind, renew } = classify(words, status, rules)
  return {
    kind,
    status,
    vendorCode: words.code ?? words.type,
    vendorMessage: words.message,
    retryAfterMs,
    renew,
  }
}

function matches(rule: ErrorRule, words: ErrorWords, status: number): boolean {
  if (rule.status !== undefined && rule.status !== status) return false
  if (rule.code !== undefined && !matchesText(rule.code, words.code)) return false
  if (rule.type !== undefined && !matchesText(rule.type, words.type)) return false
  if (rule.message !== undefined && !rule.message.test(words.message)) return false
  return true
}

function matchesText(pattern: string | RegExp, text: string | null): boolean {
  if (text === null) return false
  return typeof pattern === 'string' ? pattern === text : pattern.test(text)
}

const CONTEXT_LENGTH =
  /context[_ ](length|window|size)|maximum context|max(imum)? (input|prompt|model) (length|tokens)|exceed(s|ed)? (the )?(model|context|max)[^.]{0,40}(token|length|limit)|(prompt|input|messages?)[^.]{0,30} (is |are )?too (long|many tokens|large)|range of input length|上下文长度|输入(长度|过长)|超(过|出)[^。]{0,12}(长度|最大)/i
/** The words for rates and for lengths are much the same. */
const RATE = /rate limit|per[- ]?(min|sec|hour|day)|\b(rp[ms]|tp[md]|qp[ms])\b|每(分钟|秒)/i
const MODERATION =
  /content[_ -]?(filter|policy|moderation|management)|moderation|inappropriate content|(?<!case[- ])\bsensitive|unsafe|prohibited[_ ]content|risk control|high risk|敏感|违规|不安全|内容安全/i

/** What no table names but every vendor says in much the same words. */
function kindByShape(words: ErrorWords): FailureKind | null {
  const names = `${words.code ?? ''} ${words.type ?? ''}`
  if (/context_length|exceed_context|tokens_too_long|prompt_too_long|input_too_long/i.test(names))
    return 'context_length'
  if (/content_filter|content_policy|moderation|data_inspection|sensitive|unsafe/i.test(names))
    return 'moderation'
  if (CONTEXT_LENGTH.test(words.message) && !RATE.test(words.message)) return 'context_length'
  if (MODERATION.test(words.message)) return 'moderation'
  if (/insufficient_(quota|balance)|arrear|overdue|billing/i.test(names)) return 'quota'
  if (/rate_limit|too_many_requests/i.test(names)) return 'rate_limit'
  if (/overloaded|unavailable/i.test(names)) return 'overloaded'
  if (/model_not_found/i.test(names)) return 'model_unavailable'
  return /invalid_api_key|authentication_error/i.test(names) ? 'auth' : null
}

function kindByStatus(status: number): FailureKind {
  switch (status) {
    case 401:
    case 403:
      return 'auth'
    case 402:
      return 'quota'
    case 404:
      return 'model_unavailable'
    case 408:
    case 504:
      return 'timeout'
    case 429:
      return 'rate_limit'
    case 503:
    case 529:
      return 'overloaded'
    default:
      if (status === 200 || status >= 500) return 'server'
      return status >= 400 ? 'invalid_request' : 'protocol'
  }
}

/** `retry-after` (seconds or a date) or `retry-after-ms` → ms, clamped; null when absent or unreadable. */
export function readRetryAfter(
  headers: Readonly<Record<string, string>>,
  nowMs: number,
  maxMs: number,
): number | null {
  const exact = headers['retry-after-ms']
  const seconds = headers['retry-after']
  let waitMs: number
  if (exact !== undefined && /^\d{1,12}(\.\d+)?$/.test(exact)) waitMs = Number(exact)
  else if (seconds === undefined) return null
  else if (/^\d{1,12}(\.\d+)?$/.test(seconds)) waitMs = Number(seconds) * 1000
  else {
    // An HTTP date begins with a day's name; Date.parse takes almost any number for a year.
    const at = /^[a-z]{3}/i.test(seconds) ? Date.parse(seconds) : Number.NaN
    if (Number.isNaN(at)) return null
    waitMs = at - nowMs
  }
  return Math.min(Math.max(0, Math.round(waitMs)), maxMs)
}

function object(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null
}

function word(value: unknown): string | null {
  if (typeof value === 'string') return value === '' ? null : value
  return typeof value === 'number' ? String(value) : null
}
