// The gateway's own planner, by the session that `sluice decide` speaks through, and what it is without its parts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDecideSession } from '#cli/decide-session.ts'
import { readProviderFolders } from '#runtime/node/providers.ts'
import { readConfig } from '#runtime/node/read-config.ts'
import { gatewayConfig, type PolicyChange } from '../gateway-config.ts'
import type { Answer, Line, Policy } from '../protocol.ts'
import type { Contender, Run } from './contender.ts'

export const PLANNERS: readonly Contender[] = [
  planner('planner', {}),
  planner('planner-no-hedge', { hedge: { enabled: false } }),
  planner('planner-no-explore', { explore: { max_share: 0 } }),
  planner('planner-no-affinity', { affinity: 'none' }),
]

function planner(name: string, change: PolicyChange): Contender {
  const kind = name === 'planner' ? 'candidate' : 'ablation'
  return { name, hasValue: true, kind, make: (run) => openSession(run, change) }
}

async function openSession({ world, seed, valueCny }: Run, change: PolicyChange): Promise<Policy> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-routing-'))
  const path = join(folder, 'config.json')
  writeFileSync(path, gatewayConfig(world, valueCny, change))
  try {
    const live = await readConfig(path, {}, await readProviderFolders())
    const session = createDecideSession({ live, seed })
    return { handle: (line: Line) => session.handle(line) as Answer | null }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
