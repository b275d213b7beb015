// What proves to a provider who asks. Short-lived tokens are made or fetched here: one fetch at a time for each
// credential, ahead of expiry, again when an answer says that the token is stale.

import { ownFailure, type UpstreamFailure } from '#core/errors.ts'
import type { Clock, Upstream } from '#core/ports.ts'
import type { CredentialExchange, HmacSha256 } from '#core/provider.ts'
import type { AccountSettings } from '#core/settings.ts'
import { concatBytes, decodeUtf8 } from '#wire/bytes.ts'
import type { TargetFacts } from './live.ts'

/** How a request is signed: headers to set, and a query parameter where the dialect wants it there. */
export interface Signature {
  readonly headers: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
}

interface Token {
  readonly token: string
  readonly expiresAtMs: number
  readonly secret: string
}

/** The last refusal of a token endpoint. */
interface Refusal {
  readonly secret: string
  readonly error: unknown
  readonly waitMs: number
  readonly untilMs: number
}

/** A token is renewed when less than this share of its life, or this time, is left. */
const RENEW_AHEAD_SHARE = 0.1
const RENEW_AHEAD_MS_MAX = 10 * 60_000
const EXCHANGE_TIMEOUT_MS = 10_000
const REFUSED_MS_FIRST = 1_000
const REFUSED_MS_MAX = 60_000
const EXCHANGE_BODY_BYTES_MAX = 64 * 1024

const NONE: Signature = Object.freeze({ headers: {}, query: {} })

export class TokenCache {
  readonly #tokens = new Map<string, Token & { readonly renewAtMs: number }>()
  readonly #pending = new Map<string, { readonly secret: string; readonly token: Promise<Token> }>()
  readonly #refused = new Map<string, Refusal>()
  readonly #constants = new Map<string, { readonly secret: string; readonly signature: Signature }>()
  readonly #clock: Clock
  readonly #upstream: Upstream
  readonly #hmacSha256: HmacSha256

  constructor(clock: Clock, upstream: Upstream, hmacSha256: HmacSha256) {
    this.#clock = clock
    this.#upstream = upstream
    this.#hmacSha256 = hmacSha256
  }

  /** The signature when it is at hand without a fetch, else a promise. @throws CredentialError */
  sign(facts: TargetFacts, account: AccountSettings | null = null): Signature | Promise<Signature> {
    const { credential } = facts.provider
    const secret = account === null ? facts.settings.apiKey : account.apiKey
    const name = holderOf(facts.settings.name, account)
    if (secret === null || secret === '') return NONE
    switch (credential.kind) {
      case 'none':
        return NONE
      case 'bearer':
        return this.#constant(name, secret, () => bearer(secret))
      case 'header':
        return this.#constant(name, secret, () => ({
          headers: { [credential.header]: secret },
          query: {},
        }))
      case 'jwt':
        return this.#signJwt(name, secret, credential.sign)
      case 'exchange':
        return this.#exchanged(facts, name, secret, credential)
    }
  }

  /** A key that is sent as it is: the same object for as long as it holds, so that headers are made once too. */
  #constant(name: string, secret: string, make: () => Signature): Signature {
    const known = this.#constants.get(name)
    if (known?.secret === secret) return known.signature
    const signature = make()
    this.#constants.set(name, { secret, signature })
    return signature
  }

  /** The upstream refused this signature as stale; a token that has been renewed since stays. */
  invalidate(provider: string, account: AccountSettings | null, refused: Signature | null = null): void {
    const name = holderOf(provider, account)
    const cached = this.#tokens.get(name)
    if (cached !== undefined && (refused === null || holds(refused, cached.token))) {
      this.#tokens.delete(name)
    }
  }

  #signJwt(
    name: string,
    secret: string,
    sign: (
      secret: string,
      nowMs: number,
      hmac: HmacSha256,
    ) => { readonly token: string; readonly expiresAtMs: number } | null,
  ): Signature {
    const nowMs = this.#clock.nowMs()
    const cached = this.#tokens.get(name)
    if (cached !== undefined && cached.secret === secret && nowMs < cached.renewAtMs)
      return bearer(cached.token)
    const made = sign(secret, nowMs, this.#hmacSha256)
    if (made === null) return bearer(secret)
    this.#store(name, { ...made, secret }, nowMs)
    return bearer(made.token)
  }

  #exchanged(
    facts: TargetFacts,
    name: string,
    secret: string,
    credential: CredentialExchange,
  ): Signature | Promise<Signature> {
    const request = credential.request(secret, facts.baseUrl)
    if (request === null) return bearer(secret)
    const nowMs = this.#clock.nowMs()
    const cached = this.#tokens.get(name)
    const usable = cached !== undefined && cached.secret === secret && nowMs < cached.expiresAtMs
    if (usable && nowMs < cached.renewAtMs) return placed(cached.token, credential)
    const fetched = this.#fetchOnce(facts, name, secret, credential, request)
    if (!usable) return fetched.then((token) => placed(token.token, credential))
    // The old token still holds; a failed renewal is tried again by the next request.
    fetched.catch(() => undefined)
    return placed(cached.token, credential)
  }

  #fetchOnce(
    facts: TargetFacts,
    name: string,
    secret: string,
    credential: CredentialExchange,
    request: NonNullable<ReturnType<CredentialExchange['request']>>,
  ): Promise<Token> {
    const running = this.#pending.get(name)
    // A key that was changed meanwhile needs a token of its own.
    if (running?.secret === secret) return running.token
    const refused = this.#refused.get(name)
    if (refused?.secret === secret && this.#clock.nowMs() < refused.untilMs)
      return Promise.reject(refused.error)
    const fetching = this.#fetch(request, facts.settings.allowPrivate)
      .then(({ status, body }) => {
        const answer = credential.read(status, body)
        if ('error' in answer) throw new CredentialError(answer.error, status)
        const nowMs = this.#clock.nowMs()
        const token = { token: answer.token, expiresAtMs: nowMs + answer.expiresInSeconds * 1000, secret }
        this.#store(name, token, nowMs)
        this.#refused.delete(name)
        return token
      })
      .catch((error: unknown) => {
        this.#refuse(name, secret, error)
        throw error
      })
      .finally(() => {
        if (this.#pending.get(name)?.token === fetching) this.#pending.delete(name)
      })
    this.#pending.set(name, { secret, token: fetching })
    return fetching
  }

  /** A token endpoint that says no is not asked again by every request. */
  #refuse(name: string, secret: string, error: unknown): void {
    const before = this.#refused.get(name)
    const doubledMs = before?.secret === secret ? before.waitMs * 2 : REFUSED_MS_FIRST
    const waitMs = Math.min(doubledMs, REFUSED_MS_MAX)
    this.#refused.set(name, { secret, error, waitMs, untilMs: this.#clock.nowMs() + waitMs })
  }

  #store(name: string, token: Token, nowMs: number): void {
    const lifeMs = token.expiresAtMs - nowMs
    const renewAtMs = token.expiresAtMs - Math.min(lifeMs * RENEW_AHEAD_SHARE, RENEW_AHEAD_MS_MAX)
    this.#tokens.set(name, { ...token, renewAtMs })
  }

  #fetch(
    request: {
      readonly method: 'GET' | 'POST'
      readonly url: string
      readonly headers: Readonly<Record<string, string>>
    },
    allowPrivate: boolean,
  ): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const parts: Uint8Array[] = []
      let length = 0
      let status = 0
      const timer = this.#clock.after(EXCHANGE_TIMEOUT_MS, () => {
        call.abort()
        reject(new CredentialError('the token endpoint did not answer in time', 0))
      })
      const settle = (run: () => void): void => {
        timer.cancel()
        run()
      }
      const call = this.#upstream.send(
        {
          method: request.method,
          url: new URL(request.url),
          headers: request.headers,
          body: null,
          allowPrivate,
        },
        {
          onConnected() {},
          onHead(answered) {
            status = answered
          },
          onBytes(chunk) {
            length += chunk.length
            if (length <= EXCHANGE_BODY_BYTES_MAX) parts.push(chunk)
          },
          onEnd: () => settle(() => resolve({ status, body: decodeUtf8(concatBytes(parts)) })),
          onFault: (fault, cause) =>
            settle(() => reject(new CredentialError(`the token endpoint failed (${fault})`, 0, cause))),
        },
      )
    })
  }
}

/** Whose token it is: the provider's, or that of one of its keys. */
function holderOf(provider: string, account: AccountSettings | null): string {
  return account === null ? provider : `${provider}#${account.name}`
}

/** A credential could not be had; becomes an upstream failure of kind `auth`. */
export class CredentialError extends Error {
  readonly status: number

  constructor(message: string, status: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'CredentialError'
    this.status = status
  }

  toFailure(): UpstreamFailure {
    // A token endpoint that is down says nothing of the key.
    const kind = this.status >= 400 && this.status < 500 ? 'auth' : 'connection'
    return ownFailure(kind, this.status, this.message)
  }
}

function holds(signature: Signature, token: string): boolean {
  const values = [...Object.values(signature.headers), ...Object.values(signature.query)]
  return values.some((value) => value.endsWith(token))
}

function bearer(token: string): Signature {
  return { headers: { authorization: `Bearer ${token}` }, query: {} }
}

function placed(token: string, credential: CredentialExchange): Signature {
  if ('query' in credential.place) return { headers: {}, query: { [credential.place.query]: token } }
  return { headers: { [credential.place.header]: `${credential.place.prefix ?? ''}${token}` }, query: {} }
}
