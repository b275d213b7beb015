// Keys as the admin API shows them: snake case, instants as ISO 8601, and nothing secret.

import type { KeyFields, StoredKey, StoredSecret } from '#core/keys.ts'
import type { ConfiguredKey } from '#core/settings.ts'
import { idOf } from '#pipeline/key-desk.ts'

/** `expiresAtMs`: when the key or its team ends. */
export function keyJson(
  key: StoredKey | ConfiguredKey,
  expiresAtMs: number | null,
  nowMs: number,
): Record<string, unknown> {
  const isExpired = expiresAtMs !== null && expiresAtMs <= nowMs
  const fields = fieldsJson(key.fields)
  if (!('id' in key)) {
    const status = isExpired ? 'expired' : 'active'
    return { id: idOf(key), name: key.name, source: 'config', status, ...fields, ...NOT_OF_THE_FILE }
  }
  return {
    id: key.id,
    name: key.name,
    source: 'store',
    status: key.revokedAtMs !== null ? 'revoked' : isExpired ? 'expired' : 'active',
    ...fields,
    version: key.version,
    secrets: key.secrets
      .filter(({ endsAtMs }) => endsAtMs === null || endsAtMs > nowMs)
      .map((secret) => secretJson(secret)),
    created_at: instant(key.createdAtMs),
    updated_at: instant(key.updatedAtMs),
    revoked_at: key.revokedAtMs === null ? null : instant(key.revokedAtMs),
  }
}

const NOT_OF_THE_FILE = {
  version: null,
  secrets: [],
  created_at: null,
  updated_at: null,
  revoked_at: null,
}

function fieldsJson(fields: KeyFields): Record<string, unknown> {
  return {
    team: fields.team ?? null,
    models: fields.models ?? null,
    providers: fields.providers ?? null,
    tags: fields.tags ?? {},
    max_budget: fields.max_budget ?? null,
    budget_duration: fields.budget_duration ?? null,
    budget_mode: fields.budget_mode ?? null,
    rpm: fields.rpm ?? null,
    tpm: fields.tpm ?? null,
    concurrency: fields.concurrency ?? null,
    expires_at: fields.expires_at ?? null,
    ip_ranges: fields.ip_ranges ?? null,
    data_policy: fields.data_policy ?? null,
  }
}

function secretJson({ hint, createdAtMs, endsAtMs }: StoredSecret): object {
  return {
    hint,
    created_at: instant(createdAtMs),
    ends_at: endsAtMs === null ? null : instant(endsAtMs),
  }
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString()
}
