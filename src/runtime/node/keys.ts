// The keys of the store on this instance: read at the start, followed where other instances write too, forgotten when
// they are long of no use.

import { randomBytes } from 'node:crypto'
import type { Scope } from '#core/admission.ts'
import { makeSecret, randomText } from '#core/key-secret.ts'
import type { KeyStore, StoredKey } from '#core/keys.ts'
import { KEYS_KEPT_MS } from '#core/limits.ts'
import type { Log } from '#core/telemetry.ts'
import { KeyDesk } from '#pipeline/key-desk.ts'
import { KeyRing } from '#pipeline/key-ring.ts'
import type { Live } from '#pipeline/live.ts'
import { compileStoredKey } from '#settings/stored-keys.ts'
import type { BudgetBooks } from './budgets.ts'
import type { Pepper } from './pepper.ts'
import { clock } from './system.ts'

/** What another instance wrote is in force here within a second, a slow answer included. */
const POLL_MS = 400
const PURGE_MS = 3_600_000
const ID_CHARS = 8

/** Where keys are kept, and whether others write there too. */
export interface SharedKeys {
  readonly store: KeyStore
  /** The secret that instances share which were told none; null: the store is this instance's alone. */
  readonly secret: ((proposed: string) => Promise<string>) | null
}

export interface NodeKeysOptions {
  readonly shared: SharedKeys
  readonly pepper: Pepper
  readonly live: () => Live
  readonly budgets: Pick<BudgetBooks, 'seed' | 'seedRunning'>
  readonly log: Log
  /** The pepper is another one than before: the keys of the file must be digested anew. */
  readonly onPepper: () => Promise<void>
}

export interface NodeKeys {
  readonly desk: KeyDesk
  /** Reads what is there; their purses are left to the caller. A shared store that does not answer is read later. */
  open(): Promise<void>
  close(): void
}

export function createKeyRing(): KeyRing {
  return new KeyRing(compileStoredKey, () => clock.monotonicMs())
}

export function createNodeKeys(ring: KeyRing, options: NodeKeysOptions): NodeKeys {
  const { shared, pepper, live, budgets, log } = options
  const { store } = shared
  const pepperName = (): string => pepper.name(live().settings.secret, live().settings.store)
  let mark: string | null = null
  let isDown = false
  let isAgreed = false
  let timers: NodeJS.Timeout[] = []

  async function agree(): Promise<void> {
    if (shared.secret === null || live().settings.secret !== null) return
    const own = pepper.own(live().settings.store)
    const common = await shared.secret(own)
    if (common === own) return
    pepper.replace(common)
    await options.onPepper()
  }

  async function follow(isStart: boolean): Promise<void> {
    if (!isAgreed) await agree()
    const changes = await store.changes(mark)
    // A store that was emptied has lost the secret too.
    isAgreed = !changes.isWhole || mark === null
    const isNew = (key: StoredKey): boolean => !ring.hadName(key.name)
    const fresh = changes.keys.filter(isNew)
    const others = changes.keys.filter((key) => !isNew(key))
    ring.apply(changes.keys)
    if (changes.isWhole) ring.keepOnly(changes.keys)
    mark = changes.mark
    ring.checked(shared.secret === null)
    if (changes.isWhole) sayOtherPepper()
    if (isStart) return
    if (fresh.length > 0) await budgets.seed(scopesFor(fresh))
    // Not waited for: keys that were revoked meanwhile must be known at once.
    if (others.length > 0) void budgets.seedRunning(scopesFor(others))
  }

  function scopesFor(keys: readonly StoredKey[]): readonly Scope[] {
    return keys.flatMap((key) => ring.named(key.name, live().settings)?.scopes ?? [])
  }

  function sayOtherPepper(): void {
    const count = ring.countOfOtherPepper(pepperName())
    if (count > 0) log.error('keys.other_secret', { keys: count, message: OTHER_SECRET })
  }

  async function attempt(isStart = false): Promise<void> {
    try {
      await follow(isStart)
      if (isDown) log.info('keys.read', { keys: ring.size })
      isDown = false
    } catch (error) {
      if (!isDown) log.error('keys.unread', { message: String(error) })
      isDown = true
    }
  }

  async function purge(): Promise<void> {
    const beforeMs = clock.nowMs() - KEYS_KEPT_MS
    try {
      await store.purge(beforeMs)
      ring.purge(beforeMs)
    } catch (error) {
      log.warn('keys.unpurged', { message: String(error) })
    }
  }

  return {
    desk: new KeyDesk({
      store,
      ring,
      clock,
      live,
      compile: compileStoredKey,
      makeId: () => `key_${clock.nowMs().toString(36).padStart(9, '0')}${randomText(ID_CHARS, randomBytes)}`,
      makeSecret: () => makeSecret(randomBytes),
      digest: (secret) => pepper.digest(secret, live().settings.secret, live().settings.store),
      pepperName,
      prepare: (scopes, isNew) => (isNew ? budgets.seed(scopes) : budgets.seedRunning(scopes)),
    }),
    async open() {
      if (shared.secret === null) await follow(true)
      else {
        await attempt(true)
        timers.push(everyMs(POLL_MS, attempt))
      }
      await purge()
      timers.push(everyMs(PURGE_MS, purge))
    },
    close() {
      for (const timer of timers) clearInterval(timer)
      timers = []
    },
  }
}

const OTHER_SECRET =
  'keys of the store were made under another secret, and nobody can use them: set `secret` to what it was, or rotate them'

/** One at a time: what takes longer than the interval is not begun again. */
function everyMs(intervalMs: number, run: () => Promise<void>): NodeJS.Timeout {
  let isRunning = false
  const timer = setInterval(() => {
    if (isRunning) return
    isRunning = true
    void run().finally(() => {
      isRunning = false
    })
  }, intervalMs)
  return timer.unref()
}
