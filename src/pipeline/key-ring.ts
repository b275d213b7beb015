// The keys of the store as requests need them: all in memory, found by digest, compiled on first use. What is compiled
// holds for one configuration; another one compiles it anew.

import type { Scope } from '#core/admission.ts'
import { GatewayError } from '#core/errors.ts'
import { endedAtMs, type StoredKey } from '#core/keys.ts'
import { KEYS_UNCHECKED_MS_MAX } from '#core/limits.ts'
import type { KeySettings, Settings } from '#core/settings.ts'

/** @throws GatewayError when the key cannot be used under this configuration */
export type CompileKey = (key: StoredKey, settings: Settings) => KeySettings

interface Entry {
  key: StoredKey
  compiled: KeySettings | GatewayError | null
  compiledFor: Settings | null
}

export class KeyRing {
  readonly #compile: CompileKey
  readonly #monotonicMs: () => number
  readonly #byId = new Map<string, Entry>()
  readonly #byDigest = new Map<string, Entry>()
  /** Names of keys that are not deleted. */
  readonly #byName = new Map<string, Entry>()
  /** Of keys that are and that were. */
  readonly #namesSeen = new Set<string>()
  /** null: the store has not been read yet; infinite: nobody else writes to it. */
  #checkedMs: number | null = null

  constructor(compile: CompileKey, monotonicMs: () => number) {
    this.#compile = compile
    this.#monotonicMs = monotonicMs
  }

  get size(): number {
    return this.#byName.size
  }

  /** The store was read until now. `isOurs`: nobody else can write to it, so that stays true. */
  checked(isOurs: boolean): void {
    this.#checkedMs = isOurs ? Number.POSITIVE_INFINITY : this.#monotonicMs()
  }

  /** False: what is known of the store may be too old to be used, or nothing is known. */
  get isFresh(): boolean {
    return this.#checkedMs !== null && this.#monotonicMs() - this.#checkedMs <= KEYS_UNCHECKED_MS_MAX
  }

  /** Takes over what was written; older states of a key change nothing. */
  apply(keys: readonly StoredKey[]): void {
    for (const key of keys) {
      const entry = this.#byId.get(key.id)
      if (entry === undefined) this.#add(key)
      else if (entry.key.version < key.version) {
        this.#remove(entry)
        this.#add(key)
      }
    }
  }

  /** Forgets the keys that are not among these. */
  keepOnly(keys: readonly StoredKey[]): void {
    const kept = new Set(keys.map((key) => key.id))
    for (const [id, entry] of this.#byId) if (!kept.has(id)) this.#remove(entry)
  }

  /** Forgets keys that have been of no use since before. */
  purge(beforeMs: number): void {
    for (const entry of this.#byId.values()) {
      const endedMs = endedAtMs(entry.key)
      if (endedMs !== null && endedMs < beforeMs) this.#remove(entry)
    }
  }

  /** undefined: the store has no such key. @throws GatewayError when it has and it may not be used */
  find(digest: string, settings: Settings, nowMs: number): KeySettings | undefined {
    const entry = this.#byDigest.get(digest)
    if (entry === undefined) return undefined
    if (!this.isFresh) throw unchecked()
    refuseEnded(entry.key, digest, nowMs)
    return this.#compiled(entry, settings)
  }

  /** null: there is none, or it cannot be used any more. */
  named(name: string, settings: Settings): KeySettings | null {
    const entry = this.#byName.get(name)
    return entry === undefined ? null : this.#usable(entry, settings)
  }

  isNameTaken(name: string): boolean {
    return this.#byName.has(name)
  }

  /** True: a key of this name is or was here, so that something may still run in its name. */
  hadName(name: string): boolean {
    return this.#namesSeen.has(name)
  }

  /** Of all keys that can be used; scopes of teams come as often as they have keys. */
  *scopes(settings: Settings): Generator<Scope> {
    for (const entry of this.#byName.values()) {
      const key = this.#usable(entry, settings)
      if (key !== null) yield* key.scopes
    }
  }

  /** Keys with a secret that was digested under another pepper than this: nobody can use it. */
  countOfOtherPepper(pepper: string): number {
    let count = 0
    for (const { key } of this.#byName.values()) if (key.secrets[0]?.pepper !== pepper) count++
    return count
  }

  #usable(entry: Entry, settings: Settings): KeySettings | null {
    if (endedAtMs(entry.key) !== null) return null
    try {
      return this.#compiled(entry, settings)
    } catch {
      return null
    }
  }

  #compiled(entry: Entry, settings: Settings): KeySettings {
    if (entry.compiledFor !== settings || entry.compiled === null) {
      entry.compiled = this.#attempt(entry.key, settings)
      entry.compiledFor = settings
    }
    if (entry.compiled instanceof GatewayError) throw entry.compiled
    return entry.compiled
  }

  #attempt(key: StoredKey, settings: Settings): KeySettings | GatewayError {
    try {
      return this.#compile(key, settings)
    } catch (error) {
      if (error instanceof GatewayError) return error
      throw error
    }
  }

  #add(key: StoredKey): void {
    const entry: Entry = { key, compiled: null, compiledFor: null }
    this.#byId.set(key.id, entry)
    for (const { digest } of key.secrets) this.#byDigest.set(digest, entry)
    this.#namesSeen.add(key.name)
    if (key.deletedAtMs === null) this.#byName.set(key.name, entry)
  }

  #remove(entry: Entry): void {
    const { id, name, secrets } = entry.key
    this.#byId.delete(id)
    for (const { digest } of secrets) this.#byDigest.delete(digest)
    // A key that was deleted may have left its name to another.
    if (this.#byName.get(name) === entry) this.#byName.delete(name)
  }
}

function refuseEnded(key: StoredKey, digest: string, nowMs: number): void {
  const endedMs = endedAtMs(key)
  if (endedMs !== null) {
    throw new GatewayError('invalid_api_key', `the API key was revoked at ${instant(endedMs)}`)
  }
  const secret = key.secrets.find((candidate) => candidate.digest === digest)
  if (secret === undefined || secret.endsAtMs === null || nowMs < secret.endsAtMs) return
  const message = `the API key was rotated, and this secret of it ended at ${instant(secret.endsAtMs)}: use the new one`
  throw new GatewayError('invalid_api_key', message)
}

/** What was read is too old: it may have been revoked. */
export function unchecked(): GatewayError {
  return new GatewayError('store_unavailable', 'the store of keys does not answer', { retryAfterMs: 1_000 })
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString()
}
