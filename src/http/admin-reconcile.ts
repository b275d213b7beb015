// `POST /admin/v1/reconcile`: a provider's bill (a table as the body) beside our rows.

import type { Context, Hono } from 'hono'
import type { BillDifference, Finding, Reconcile, Reconciliation, Tolerance } from '#core/bill.ts'
import { BILL_BYTES_MAX } from '#core/limits.ts'
import { formatPico, type Pico, parseDecimal } from '#core/money.ts'
import { type AccessOptions, requireAdmin } from './access.ts'
import { readBytes } from './admin-body.ts'
import { badParameter, readInstant } from './admin-query.ts'
import type { WorkDesk } from './work-desk.ts'

export interface ReconcileRoutesOptions extends AccessOptions {
  readonly reconcile: Reconcile
}

// biome-ignore lint/suspicious/noExplicitAny: the routes do not look at the runtime's bindings
type AnyApp = Hono<any>

const DEFAULT_ABSOLUTE = '0.000001'

export function reconcileRoutes(app: AnyApp, desk: WorkDesk, options: ReconcileRoutesOptions): void {
  app.post('/admin/v1/reconcile', async (context) => {
    requireAdmin(context, options)
    const provider = context.req.query('provider') ?? ''
    const bill = options.deps.live().settings.bills.get(provider)
    // A bare date means its start where the bill's days are.
    const timeZone = bill?.timeZone ?? options.deps.live().settings.timeZone
    const ask = {
      provider,
      fromMs: readInstant(context, 'from', timeZone),
      toMs: readInstant(context, 'to', timeZone),
      tolerance: readTolerance(context, bill?.tolerance ?? null),
      bytes: await readBytes(context, BILL_BYTES_MAX),
    }
    return desk.ask(context, async (onProgress) =>
      reconciliationJson(await options.reconcile(ask, onProgress)),
    )
  })
}

function readTolerance(context: Context, known: Tolerance | null): Tolerance | null {
  const absolute = context.req.query('absolute')
  const relative = context.req.query('relative')
  if (absolute === undefined && relative === undefined) return known
  const decimal = (name: string, text: string): bigint => {
    try {
      const value = parseDecimal(text, 12)
      if (value >= 0n) return value
    } catch {
      // As below.
    }
    throw badParameter(name, text, 'a decimal number such as 0.01')
  }
  return {
    absolute:
      absolute === undefined
        ? (known?.absolute ?? (parseDecimal(DEFAULT_ABSOLUTE, 12) as Pico))
        : (decimal('absolute', absolute) as Pico),
    relativeMicro:
      relative === undefined ? (known?.relativeMicro ?? 0n) : decimal('relative', relative) / 1_000_000n,
  }
}

export function reconciliationJson(found: Reconciliation): Record<string, unknown> {
  return {
    provider: found.provider,
    currency: found.currency,
    joined_by: found.joinedBy,
    time_zone: found.timeZone,
    from: new Date(found.fromMs).toISOString(),
    to: new Date(found.toMs).toISOString(),
    tolerance: {
      absolute: formatPico(found.tolerance.absolute),
      relative: formatPico((found.tolerance.relativeMicro * 1_000_000n) as Pico),
    },
    rounding: {
      place: formatPico(found.roundingPlace),
      rule: 'each amount of the bill may be off by its last place, each of ours by a billionth',
    },
    lines: found.lines,
    skipped_lines: found.skippedLines,
    attempts: found.attempts,
    theirs: formatPico(found.theirs),
    ours: formatPico(found.ours),
    difference: formatPico(found.difference),
    exceeding: found.exceeding,
    within: found.within,
    findings: found.findings.map(findingJson),
    differences: found.differences.map(differenceJson),
  }
}

function findingJson(finding: Finding): Record<string, unknown> {
  return {
    cause: finding.kind,
    model: finding.model,
    item: finding.item,
    theirs: finding.theirs,
    ours: finding.ours,
    since: finding.since,
    until: finding.until,
    count: finding.count,
    amount: formatPico(finding.amount),
  }
}

function differenceJson(one: BillDifference): Record<string, unknown> {
  return {
    request: one.request,
    model: one.model,
    period: one.period,
    theirs: formatPico(one.theirs),
    ours: formatPico(one.ours),
    difference: formatPico(one.difference),
    within_tolerance: one.isWithin,
    causes: one.causes.map((cause) => ({
      cause: cause.kind,
      item: cause.item,
      theirs: cause.theirs,
      ours: cause.ours,
      amount: formatPico(cause.amount),
      ...(cause.requestCount === 0 ? {} : { requests: cause.requests, request_count: cause.requestCount }),
    })),
  }
}
