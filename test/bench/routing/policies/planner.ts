// The gateway's own planner, and what it is without each of its parts.

import { join } from 'node:path'
import { commandContender } from './command.ts'
import type { Contender } from './contender.ts'

const SLUICE = join(import.meta.dirname, '../../../../src/cli/sluice.ts')
const COMMAND = `exec ${process.execPath} ${SLUICE} decide --config {config} --seed {seed}`

/** `planner-95` is told a share to reach instead of a value. */
export const PLANNERS: readonly Contender[] = [
  commandContender('planner', COMMAND),
  commandContender('planner-no-hedge', COMMAND, { hedge: { enabled: false } }),
  commandContender('planner-no-explore', COMMAND, { explore: { max_share: 0 } }),
  commandContender('planner-no-affinity', COMMAND, { affinity: 'none' }),
]
