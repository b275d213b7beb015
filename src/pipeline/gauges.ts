// What a target counts teaches how many tokens the next body and the next answer are.

import type { AnswerState } from '#core/answer.ts'
import type { AttemptRow } from '#core/ledger.ts'
import type { Call, Deps } from './context.ts'
import { hasClip, textOf } from './hold.ts'

/** `streamed`: the answer's text was counted as it came; null: it came whole. */
export function learnTokens(
  deps: Pick<Deps, 'gauge' | 'outputGauge'>,
  call: Call,
  row: AttemptRow,
  streamed: AnswerState | null,
): void {
  const { usage } = row
  // Only the last word on a whole answer says how many tokens its text is.
  const isCounted = row.usageSource === 'provider' || row.usageSource === 'drained'
  if (!isCounted || row.estimateError !== null || row.usageDoubt !== null || usage.inputTokens === 0) return
  const { bytes, pictures } = textOf(call)
  if (pictures === 0 && !hasClip(call)) deps.gauge.observe(row.target, bytes, usage.inputTokens)
  deps.outputGauge.observe(row.target, streamed?.outputBytes ?? 0, usage.outputTokens, row.durationMs)
}
