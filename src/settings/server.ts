// `server:`, `admin:`, `store:` and `ledger:` of a configuration, and the environment that goes over them.

import type { Settings } from '#core/settings.ts'
import { isRedisUrl, parseRedisUrl, STORE_FORMS, StoreUrlError } from '#core/store-url.ts'
import { LOG_LEVELS } from '#core/telemetry.ts'
import { checkTimeZone } from './dates.ts'
import type { Environment } from './expand.ts'
import { allowedAt } from './json-schema.ts'
import { describe, describeSecret, listNames, type Path, type Report } from './problems.ts'
import { readRanges } from './restrictions.ts'
import { configSchema } from './schema.ts'
import { type Scope, templateAt } from './scope.ts'

const DAY_MS = 86_400_000
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS }

export type Base = Pick<Settings, 'server' | 'admin' | 'metrics' | 'store' | 'timeZone' | 'ledger' | 'secret'>

export function readBase(scope: Scope, env: Environment): Base {
  const { server, admin, metrics, store, ledger, secret, time_zone: timeZone } = scope.config
  const { report } = scope
  checkHost(report, ['server', 'host'], server.host)
  checkTimeZone(scope, ['time_zone'], timeZone)
  const storePath = ['store']
  checkStore(report, storePath, store, templateAt(scope, storePath)?.text ?? null)
  const token = admin.token === undefined || admin.token === '' ? null : admin.token
  checkToken(report, ['admin', 'token'], token)
  // Who starts the gateway reads it; here it is checked with all the rest.
  fromEnv(env, 'SLUICE_LOG_LEVEL', (value, path) => checkLogLevel(report, path, value))
  return {
    server: {
      host: fromEnv(env, 'SLUICE_HOST', (value, path) => checkHost(report, path, value)) ?? server.host,
      port: portFromEnv(env, report) ?? server.port,
      drainMs: server.drain_ms,
      bodyBytesMax: server.body_bytes_max,
      bodyIdleMs: server.body_idle_ms,
      bodyMsMax: server.body_ms_max,
      abandoned: {
        drainMs: server.abandoned.drain_ms,
        bytesMax: server.abandoned.bytes_max,
        drainsMax: server.abandoned.drains_max,
      },
      trustedProxies: readRanges(scope, ['server', 'trusted_proxies'], server.trusted_proxies),
    },
    admin: {
      token: fromEnv(env, 'SLUICE_ADMIN_TOKEN', (value, path) => checkToken(report, path, value)) ?? token,
    },
    metrics: { public: metrics.public },
    timeZone,
    store: fromEnv(env, 'SLUICE_STORE', (value, path) => checkStore(report, path, value, null)) ?? store,
    // A form that is not known has been reported by the schema.
    ledger: {
      retentionMs: Number.parseInt(ledger.retention, 10) * DAY_MS,
      durability: ledger.durability,
      archive: ledger.archive,
      redisRowsMs: Number.parseInt(ledger.redis_rows, 10) * (UNIT_MS[ledger.redis_rows.at(-1) ?? ''] ?? 1),
    },
    secret: readSecret(scope, secret),
  }
}

/** It is made by people; what a machine made is longer. */
const SECRET_CHARS_MIN = 12

function readSecret(scope: Scope, secret: string | undefined): string | null {
  if (secret === undefined || secret === '') return null
  if (secret.length < SECRET_CHARS_MIN) {
    scope.report.add(['secret'], {
      message: 'is too short',
      found: describeSecret(secret),
      allowed: `${SECRET_CHARS_MIN} characters or more, or nothing`,
    })
  }
  return secret
}

type EnvPath = `env ${string}`

/** A variable that is set and empty says nothing, as in `${NAME:-default}`. */
function fromEnv(
  env: Environment,
  name: string,
  check: (value: string, path: EnvPath) => void,
): string | null {
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  if (value === undefined || value === '') return null
  check(value, `env ${name}`)
  return value
}

function portFromEnv(env: Environment, report: Report): number | null {
  let port: number | null = null
  fromEnv(env, 'SLUICE_PORT', (value, path) => {
    const schema = configSchema.shape.server.unwrap().shape.port
    const parsed = schema.safeParse(/^\d{1,9}$/.test(value) ? Number(value) : value)
    if (parsed.success) port = parsed.data
    else {
      const allowed = allowedAt(['server', 'port'])
      report.add(path, { message: 'is no port', found: describe(value), allowed })
    }
  })
  return port
}

function checkLogLevel(report: Report, path: EnvPath, level: string): void {
  if (LOG_LEVELS.some((known) => known === level)) return
  const nearest = report.nearest(level, LOG_LEVELS)
  report.add(path, {
    message: 'is no log level',
    found: describe(level),
    allowed: listNames(LOG_LEVELS),
    nearest,
  })
}

function checkHost(report: Report, path: Path | EnvPath, host: string): void {
  if (/^[\w.-]+$/.test(host) || /^[\da-f:.]+(%\w+)?$/i.test(host)) return
  const allowed = 'a host name or an address, without brackets and port'
  report.add(path, { message: 'is no host', found: describe(host), allowed })
}

/** It comes in a header. */
function checkToken(report: Report, path: Path | EnvPath, token: string | null): void {
  if (token === null || /^[\x21-\x7e]+$/.test(token)) return
  const allowed = 'visible ASCII characters'
  report.add(path, { message: 'cannot be sent in a header', found: describeSecret(token), allowed })
}

/** Store URLs may hold a password: only the scheme is ever shown. */
function checkStore(report: Report, path: Path | EnvPath, store: string, template: string | null): void {
  const scheme = /^[a-z][a-z0-9+-]*:/i.exec(store)?.[0] ?? ''
  const found =
    template === null ? (scheme === '' ? describeSecret(store) : `${scheme}…`) : describe(template)
  const form = Object.hasOwn(STORE_FORMS, scheme) ? STORE_FORMS[scheme] : undefined
  if (form === undefined) {
    const schemes = Object.keys(STORE_FORMS)
    const nearest = scheme === '' ? null : report.nearest(scheme, schemes)
    const allowed = `${schemes.join(', ')} and what follows them`
    report.add(path, { message: 'is no store', found, allowed, nearest })
  } else {
    const problem = problemOf(scheme, store)
    if (problem !== null) report.add(path, { message: problem, found, allowed: form })
  }
}

function problemOf(scheme: string, store: string): string | null {
  if (isRedisUrl(store)) {
    try {
      parseRedisUrl(store)
      return null
    } catch (error) {
      if (error instanceof StoreUrlError) return error.message
      throw error
    }
  }
  const isWhole = scheme === 'memory:' ? store === scheme : /[^/\s]/.test(store.slice(scheme.length))
  return isWhole ? null : 'is not whole'
}
