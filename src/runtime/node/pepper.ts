// The pepper of key digests: the configuration's `secret`, else one that was made once and is kept in a file beside the
// store, readable by its owner alone.

import { createHmac, hash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

const FILE_MODE = 0o600
const SECRET_BYTES = 32

export class Pepper {
  readonly #fileOf: (store: string) => string | null
  /** Made or read, by file; '' for stores that forget with the process. */
  readonly #own = new Map<string, string>()
  /** The store that is open. Another one in a changed configuration holds from the next start on. */
  #store: string | null = null
  /** As `own` last said it. */
  #lastOwn: { readonly store: string; readonly secret: string } | null = null
  #last: { readonly secret: string; readonly digest: (text: string) => string } | null = null

  /** `fileOf` says where the secret of a store is kept; null: nowhere. */
  constructor(fileOf: (store: string) => string | null) {
    this.#fileOf = fileOf
  }

  /** HMAC-SHA-256, hex. `secret` is the configuration's; null: the one of this store. */
  digest(text: string, secret: string | null, store: string): string {
    return this.#keyed(secret ?? this.own(store))(text)
  }

  /** Tells one pepper from another in what is kept, and nothing of it. */
  name(secret: string | null, store: string): string {
    return this.digest('which pepper is this', secret, store).slice(0, 8)
  }

  /** The store's own secret; made now when it has none, and not written before `keep`. */
  own(store: string): string {
    const from = this.#store ?? store
    if (this.#lastOwn?.store === from) return this.#lastOwn.secret
    const file = this.#fileOf(from) ?? ''
    let secret = this.#own.get(file)
    if (secret === undefined) {
      secret = (file === '' ? null : readSecret(file)) ?? randomBytes(SECRET_BYTES).toString('hex')
      this.#own.set(file, secret)
    }
    this.#lastOwn = { store: from, secret }
    return secret
  }

  /** This store is open, and ours: its own secret is written where it is new. */
  keep(store: string): void {
    this.#store = store
    this.#write(this.own(store))
  }

  /** All instances share another one. */
  replace(secret: string): void {
    this.#own.set(this.#fileOf(this.#store ?? '') ?? '', secret)
    this.#lastOwn = null
    this.#write(secret)
  }

  #write(secret: string): void {
    const file = this.#fileOf(this.#store ?? '')
    if (file === null || readSecret(file) === secret) return
    mkdirSync(dirname(file), { recursive: true })
    // Whole or not at all: half a secret would make every key unknown.
    writeFileSync(`${file}.new`, `${secret}\n`, { mode: FILE_MODE })
    renameSync(`${file}.new`, file)
  }

  #keyed(secret: string): (text: string) => string {
    if (this.#last?.secret !== secret) this.#last = { secret, digest: keyedDigest(secret) }
    return this.#last.digest
  }
}

/** null: there is none yet. @throws when it is there and cannot be read */
function readSecret(file: string): string | null {
  try {
    const secret = readFileSync(file, 'utf8').trim()
    return secret === '' ? null : secret
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
/** Keys are far shorter. */
const TEXT_BYTES_MAX = 1_024

/**
 * HMAC-SHA-256 as its two hashes over buffers whose keyed half is written once: under 1 µs a request where `createHmac`
 * takes 3 to 9. So no cache from plain to keyed digests is needed, and a wrong key costs what a right one does.
 */
export function keyedDigest(secret: string): (text: string) => string {
  const bytes = Buffer.from(secret, 'utf8')
  const block = Buffer.alloc(BLOCK_BYTES)
  if (bytes.length > BLOCK_BYTES) hash('sha256', bytes, 'buffer').copy(block)
  else bytes.copy(block)
  const inner = Buffer.alloc(BLOCK_BYTES + TEXT_BYTES_MAX)
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES)
  for (let index = 0; index < BLOCK_BYTES; index++) {
    const byte = block[index] ?? 0
    inner[index] = byte ^ 0x36
    outer[index] = byte ^ 0x5c
  }
  return (text) => {
    // UTF-8 takes up to three bytes for a unit of UTF-16.
    if (3 * text.length > TEXT_BYTES_MAX) return createHmac('sha256', bytes).update(text).digest('hex')
    const length = inner.write(text, BLOCK_BYTES, 'utf8')
    outer.write(hash('sha256', inner.subarray(0, BLOCK_BYTES + length), 'binary'), BLOCK_BYTES, 'latin1')
    return hash('sha256', outer, 'hex')
  }
}
