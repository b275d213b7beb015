// Tells of budgets that are used up or soon will be: looks at them now and then, writes what is new into the log, the
// metrics and the instance's file, and posts it to the webhook until that takes it.

import { createHmac } from 'node:crypto'
import type { Admission, Scope } from '#core/admission.ts'
import { alertJson } from '#core/alert-json.ts'
import type { AlertBook, BudgetAlert, FleetAlerts, KeptAlert } from '#core/alerts.ts'
import type { Clock, Upstream } from '#core/ports.ts'
import type { Settings } from '#core/settings.ts'
import type { Log, Metrics } from '#core/telemetry.ts'
import { alertsFor } from '#store/admission/budget-alerts.ts'

const LOOK_MS = 5_000
/** Scopes that are looked at in one turn of the event loop. */
const TURN_SCOPES = 500
/** Alerts that were told and are remembered without asking the file. */
const TOLD_MAX = 100_000
const RETRY_MS_FIRST = 1_000
const RETRY_MS_MAX = 5 * 60_000
const ANSWER_MS_MAX = 10_000
/** What no webhook has taken by then is old news. */
const DELIVER_WITHIN_MS = 24 * 60 * 60_000
const KEPT_MS = 400 * 24 * 60 * 60_000
const PRUNE_MS = 24 * 60 * 60_000
const AT_ONCE = 20

export interface AlertsOptions {
  readonly book: AlertBook
  /** null: no other instance tells. */
  readonly fleet: FleetAlerts | null
  readonly admission: Pick<Admission, 'budgetState'>
  readonly scopes: () => readonly Scope[]
  readonly settings: () => Settings
  /** What bodies are signed with. */
  readonly secret: () => string
  readonly upstream: Upstream
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
}

export function followAlerts(options: AlertsOptions): { close(): void } {
  const { book, clock, log } = options
  const told = new Set<string>()
  let isClosed = false
  let isLooking = false
  let retryMs = 0
  let retryAtMs = 0
  let prunedAtMs = 0

  async function look(): Promise<void> {
    const scopes = options.scopes().filter(({ budget }) => budget !== null)
    for (const [index, scope] of scopes.entries()) {
      if (index % TURN_SCOPES === 0) await new Promise((resolve) => setImmediate(resolve))
      if (isClosed) return
      const spentNano = options.admission.budgetState(scope)?.spentNano ?? null
      if (spentNano !== null) await tell(scope, spentNano)
    }
    if (clock.nowMs() - prunedAtMs > PRUNE_MS) {
      prunedAtMs = clock.nowMs()
      book.prune(prunedAtMs - KEPT_MS)
    }
    await deliver()
  }

  async function tell(scope: Scope, spentNano: bigint): Promise<void> {
    for (const alert of alertsFor(scope, spentNano, clock.nowMs())) {
      if (told.has(alert.id)) continue
      const isOurs = await isToTell(alert)
      if (told.size >= TOLD_MAX) told.clear()
      told.add(alert.id)
      if (!isOurs || !book.add(alert)) continue
      options.metrics.budgetAlert(alert.kind, alert.threshold)
      log.warn('budget.alert', alertJson(alert, options.settings().currency))
    }
  }

  /** Where the others cannot be asked: rather twice than not at all. */
  async function isToTell(alert: BudgetAlert): Promise<boolean> {
    try {
      return options.fleet === null || (await options.fleet.claim(alert))
    } catch (error) {
      log.warn('alerts.unshared', { id: alert.id, message: String(error) })
      return true
    }
  }

  /** In order; the first that is not taken keeps the others, so that a webhook that is away is asked once at a time. */
  async function deliver(): Promise<void> {
    const { webhook } = options.settings().finance.alerts
    const nowMs = clock.nowMs()
    if (webhook === null || nowMs < retryAtMs) return
    for (const alert of book.undelivered(nowMs - DELIVER_WITHIN_MS, AT_ONCE)) {
      const fault = await post(options, new URL(webhook), alert)
      if (isClosed) return
      if (fault !== null) {
        retryMs = Math.min(RETRY_MS_MAX, retryMs === 0 ? RETRY_MS_FIRST : retryMs * 2)
        retryAtMs = clock.nowMs() + retryMs
        return log.warn('alerts.undelivered', { id: alert.id, fault, retry_ms: retryMs })
      }
      retryMs = 0
      book.delivered(alert.id, clock.nowMs())
      await options.fleet?.delivered(alert.id, clock.nowMs()).catch(() => undefined)
    }
  }

  const timer = setInterval(() => {
    if (isLooking) return
    isLooking = true
    void look()
      .catch((error: unknown) => log.error('alerts.failed', { message: String(error) }))
      .finally(() => {
        isLooking = false
      })
  }, LOOK_MS)
  timer.unref()
  return {
    close() {
      isClosed = true
      clearInterval(timer)
    },
  }
}

/** Why it was not taken; null: it was. Redirects are not followed. */
function post(options: AlertsOptions, url: URL, alert: KeptAlert): Promise<string | null> {
  const { settings, secret, clock, upstream } = options
  const { currency, finance } = settings()
  const body = JSON.stringify({ type: 'budget.alert', ...alertJson(alert, currency) })
  const seconds = Math.floor(clock.nowMs() / 1000)
  const signature = createHmac('sha256', secret()).update(`${seconds}.${body}`).digest('hex')
  return new Promise((resolve) => {
    let status = 0
    const call = upstream.send(
      {
        method: 'POST',
        url,
        headers: {
          'content-type': 'application/json',
          'x-sluice-alert': alert.id.replaceAll(/[^\x21-\x7e]+/g, '_'),
          'x-sluice-signature': `t=${seconds},v1=${signature}`,
        },
        body,
        allowPrivate: finance.alerts.allowPrivate,
      },
      {
        onConnected: () => undefined,
        onHead(found) {
          status = found
        },
        onBytes: () => undefined,
        onEnd() {
          timer.cancel()
          resolve(status >= 200 && status < 300 ? null : `status ${status}`)
        },
        onFault(fault) {
          timer.cancel()
          resolve(fault)
        },
      },
    )
    const timer = clock.after(ANSWER_MS_MAX, () => {
      call.abort()
      resolve('timeout')
    })
  })
}
