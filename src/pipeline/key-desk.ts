// Keys made, changed, rotated and ended while requests run. The store is written first; what it took is in force on this
// instance when the call returns, and on others when they next look.

import type { Scope } from '#core/admission.ts'
import { GatewayError } from '#core/errors.ts'
import { hintOf } from '#core/key-secret.ts'
import {
  endedAtMs,
  type KeyFields,
  type KeyStore,
  type KeyWrite,
  type StoredKey,
  type StoredSecret,
} from '#core/keys.ts'
import { KEY_SECRETS_MAX } from '#core/limits.ts'
import type { Clock } from '#core/ports.ts'
import type { ConfiguredKey } from '#core/settings.ts'
import type { CompileKey, KeyRing } from './key-ring.ts'
import type { Live } from './live.ts'

export interface KeyDeskPorts {
  readonly store: KeyStore
  readonly ring: KeyRing
  readonly clock: Pick<Clock, 'nowMs'>
  readonly live: () => Live
  readonly compile: CompileKey
  readonly makeId: () => string
  readonly makeSecret: () => string
  /** Under the pepper in force, which `pepperName` tells from others. */
  readonly digest: (secret: string) => string
  readonly pepperName: () => string
  /** Fills the purses that a key will have, before it has them. `isNew`: nothing runs that could still be booked there. */
  readonly prepare: (scopes: readonly Scope[], isNew: boolean) => Promise<void>
}

export interface MadeKey {
  readonly key: StoredKey
  /** Shown to who asked, and kept nowhere. */
  readonly secret: string
}

/** Somebody else writes now and then; not four times in a row. */
const TRIES_MAX = 4

/** Keys of the file, in the order of the list. */
const CONFIG_ID = 'config:'

export class KeyDesk {
  readonly #ports: KeyDeskPorts

  constructor(ports: KeyDeskPorts) {
    this.#ports = ports
  }

  async create(name: string, fields: KeyFields): Promise<MadeKey> {
    const { store, ring, clock, makeId, makeSecret } = this.#ports
    if (this.configured(name) !== null) throw taken(name)
    const nowMs = clock.nowMs()
    const secret = makeSecret()
    const key: StoredKey = {
      id: makeId(),
      name,
      version: 1,
      fields,
      secrets: [this.#secretOf(secret, nowMs)],
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      revokedAtMs: null,
      deletedAtMs: null,
    }
    await this.#prepare(key, !ring.hadName(name))
    const outcome = await store.create(key)
    if (outcome !== 'written') throw taken(name)
    ring.apply([key])
    return { key, secret }
  }

  /** A key of the store by its id, else by its name. @throws GatewayError `not_found`, `forbidden` for one of the file */
  async get(idOrName: string): Promise<StoredKey> {
    const { store } = this.#ports
    const key = (await store.get(idOrName)) ?? (await store.named(idOrName))
    if (key !== null) return key
    if (this.configured(idOrName) !== null) {
      const message = `key "${clip(idOrName)}" is kept in the configuration file: change it there`
      throw new GatewayError('forbidden', message, { param: 'id' })
    }
    throw new GatewayError('not_found', `there is no key "${clip(idOrName)}"`, { param: 'id' })
  }

  /** A key of the file, by its name or the id that the list gives it. */
  configured(idOrName: string): ConfiguredKey | null {
    const { keys } = this.#ports.live().settings
    const byName = keys.find((key) => key.name === idOrName)
    if (byName !== undefined || !idOrName.startsWith(CONFIG_ID)) return byName ?? null
    return keys.find((key) => configId(key) === idOrName) ?? null
  }

  /** In the order of their ids; keys of the file come first. */
  async list(
    limit: number,
    after: string | null,
  ): Promise<{ readonly keys: readonly (StoredKey | ConfiguredKey)[]; readonly next: string | null }> {
    const { store, live } = this.#ports
    const isInFile = after === null || after.startsWith(CONFIG_ID)
    const ofFile = isInFile ? live().settings.keys.filter((key) => configId(key) > (after ?? '')) : []
    const sorted = ofFile.toSorted((left, right) => (configId(left) < configId(right) ? -1 : 1))
    const left = limit + 1 - sorted.length
    const ofStore = left > 0 ? await store.list({ limit: left, after: isInFile ? null : after }) : []
    const found = [...sorted, ...ofStore]
    const keys = found.slice(0, limit)
    const last = keys.at(-1)
    return { keys, next: found.length > limit && last !== undefined ? idOf(last) : null }
  }

  update(
    idOrName: string,
    ifVersion: number | null,
    change: (key: StoredKey) => KeyFields,
  ): Promise<StoredKey> {
    return this.#write(idOrName, ifVersion, (key) => ({ ...stillOpen(key), fields: change(key) }))
  }

  /** What was the secret until now is valid for so long; 0: it ends at once, and all older ones with it. */
  async rotate(idOrName: string, ifVersion: number | null, overlapMs: number): Promise<MadeKey> {
    const secret = this.#ports.makeSecret()
    const key = await this.#write(idOrName, ifVersion, (before, nowMs) => {
      const endsAtMs = nowMs + overlapMs
      const older = before.secrets.map((one) => ({
        ...one,
        endsAtMs: one.endsAtMs === null ? endsAtMs : Math.min(one.endsAtMs, endsAtMs),
      }))
      const secrets = [this.#secretOf(secret, nowMs), ...older].slice(0, KEY_SECRETS_MAX)
      return { ...stillOpen(before), secrets }
    })
    return { key, secret }
  }

  /** For ever. */
  revoke(idOrName: string, ifVersion: number | null): Promise<StoredKey> {
    return this.#write(idOrName, ifVersion, (key, nowMs) => ({
      ...key,
      revokedAtMs: key.revokedAtMs ?? nowMs,
    }))
  }

  /** Revoked, no longer shown, its name free; forgotten when nobody can need the word that it was revoked. */
  async remove(idOrName: string, ifVersion: number | null): Promise<void> {
    await this.#write(idOrName, ifVersion, (key, nowMs) => ({ ...key, deletedAtMs: nowMs }))
  }

  async #write(
    idOrName: string,
    ifVersion: number | null,
    change: (key: StoredKey, nowMs: number) => StoredKey,
  ): Promise<StoredKey> {
    const { store, ring, clock } = this.#ports
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const before = await this.get(idOrName)
      if (ifVersion !== null && before.version !== ifVersion) throw stale(before)
      const nowMs = clock.nowMs()
      const key = { ...change(before, nowMs), version: before.version + 1, updatedAtMs: nowMs }
      await this.#prepare(key, false)
      const outcome: KeyWrite = await store.replace(key)
      if (outcome === 'written') {
        ring.apply([key])
        return key
      }
    }
    throw new GatewayError('conflict', `key "${clip(idOrName)}" is being changed by others: try again`)
  }

  async #prepare(key: StoredKey, isNew: boolean): Promise<void> {
    if (endedAtMs(key) !== null) return
    const { compile, live, prepare } = this.#ports
    await prepare(compile(key, live().settings).scopes, isNew)
  }

  #secretOf(secret: string, nowMs: number): StoredSecret {
    const { digest, pepperName } = this.#ports
    return {
      digest: digest(secret),
      pepper: pepperName(),
      hint: hintOf(secret),
      createdAtMs: nowMs,
      endsAtMs: null,
    }
  }
}

export function idOf(key: StoredKey | ConfiguredKey): string {
  return 'id' in key ? key.id : configId(key)
}

function configId(key: ConfiguredKey): string {
  return CONFIG_ID + key.name
}

function stillOpen(key: StoredKey): StoredKey {
  if (key.revokedAtMs === null) return key
  throw new GatewayError('conflict', `key "${key.name}" is revoked, which is for ever: make another one`)
}

function taken(name: string): GatewayError {
  const message = `name: there is a key of that name (found "${clip(name)}"; allowed: a name that no key has)`
  return new GatewayError('conflict', message, { param: 'name' })
}

function stale(key: StoredKey): GatewayError {
  const message = `key "${key.name}" was changed meanwhile: it has version ${key.version} now`
  return new GatewayError('conflict', message, { param: 'if-match' })
}

function clip(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`
}
