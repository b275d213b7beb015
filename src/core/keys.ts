// Keys that are made while the gateway runs, and the contract of the places that keep them. A key's secret is in none
// of these words: it is shown once, and from then on there is its digest.

/** What a key may do, as in the configuration file and the admin API. Absent: not limited, not required. */
export interface KeyFields {
  readonly team?: string | undefined
  readonly models?: readonly string[] | undefined
  readonly providers?: readonly string[] | undefined
  readonly tags?: Readonly<Record<string, string>> | undefined
  readonly max_budget?: string | undefined
  readonly budget_duration?: string | undefined
  readonly budget_mode?: 'soft' | 'strict' | undefined
  readonly rpm?: number | undefined
  readonly tpm?: number | undefined
  readonly concurrency?: number | undefined
  readonly expires_at?: string | undefined
  readonly ip_ranges?: readonly string[] | undefined
  readonly data_policy?: DataPolicyFields | undefined
}

export interface DataPolicyFields {
  readonly region?: string | readonly string[] | undefined
  readonly retention?: string | undefined
  readonly trains_on_data?: boolean | undefined
  readonly filing_no?: true | string | readonly string[] | undefined
}

export interface StoredSecret {
  /** HMAC-SHA-256 of the secret, hex. */
  readonly digest: string
  /** Tells which pepper the digest was made with, and nothing else of it. */
  readonly pepper: string
  /** Its first characters. */
  readonly hint: string
  readonly createdAtMs: number
  /** The end of its overlap with the secret that took its place; null: it is the present one. */
  readonly endsAtMs: number | null
}

export interface StoredKey {
  /** Made by us, in the order of creation. */
  readonly id: string
  /** Rows of the ledger and budgets go by it, so it never changes. */
  readonly name: string
  /** 1, 2, …: one more with every write. */
  readonly version: number
  readonly fields: KeyFields
  /** The present one first. */
  readonly secrets: readonly StoredSecret[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly revokedAtMs: number | null
  /** Kept for a while, so that its secrets are still told to be revoked; its name is free. */
  readonly deletedAtMs: number | null
}

export type KeyWrite =
  | 'written'
  /** Another key has this name. */
  | 'name_taken'
  /** Somebody else wrote it meanwhile, or it is gone. */
  | 'stale'

export interface KeyChanges {
  /** How far this reaches; to be given back for the next. */
  readonly mark: string
  /** True: what is not among `keys` is not in the store. */
  readonly isWhole: boolean
  readonly keys: readonly StoredKey[]
}

/** A place that keeps keys: memory, SQLite, Redis. What was deleted is seen by `changes` only. */
export interface KeyStore {
  create(key: StoredKey): Promise<KeyWrite>
  /** `key.version` is one more than that of the key that it takes the place of. */
  replace(key: StoredKey): Promise<KeyWrite>
  get(id: string): Promise<StoredKey | null>
  named(name: string): Promise<StoredKey | null>
  /** In the order of creation, beginning behind the id `after`. */
  list(page: { readonly limit: number; readonly after: string | null }): Promise<readonly StoredKey[]>
  /** null, or a mark of another life of the store: all keys. */
  changes(since: string | null): Promise<KeyChanges>
  /** Forgets keys that were deleted or revoked before. Returns how many. */
  purge(beforeMs: number): Promise<number>
  close(): Promise<void>
}

/** Since when a key is of no use any more; null: it may be. */
export function endedAtMs(key: StoredKey): number | null {
  if (key.revokedAtMs === null || key.deletedAtMs === null) return key.revokedAtMs ?? key.deletedAtMs
  return Math.min(key.revokedAtMs, key.deletedAtMs)
}
