// What the ledger asks of an SQLite binding. The runtime gives it; nothing here knows which binding it is.

/** Integers above 2^53 are bound as bigint and read as text (`CAST(x AS TEXT)`), so no binding needs a mode for them. */
export type SqlValue = string | number | bigint | null

export type SqlRow = Readonly<Record<string, SqlValue | Uint8Array>>

export interface SqlStatement {
  run(...values: SqlValue[]): { readonly changes: number | bigint }
  get(...values: SqlValue[]): SqlRow | undefined
  all(...values: SqlValue[]): SqlRow[]
}

export interface SqlDriver {
  /** For messages. */
  readonly path: string
  exec(sql: string): void
  prepare(sql: string): SqlStatement
  /** All or nothing; takes the write lock at its start. @throws whatever `run` or the commit throws, after rolling back. */
  transaction(run: () => void): void
  close(): void
}
