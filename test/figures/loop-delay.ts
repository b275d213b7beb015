// Loaded into a gateway under test (`--import`): at each SIGUSR2 it writes how late turns of the event loop were since
// the last one, as a line of the file SLUICE_FIGURES_DELAY.

import { appendFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const RESOLUTION_MS = 2
const path = process.env['SLUICE_FIGURES_DELAY'] ?? ''

if (isMainThread && path !== '') {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const lateMs = (nanos: number): number => Math.max(0, nanos / 1e6 - RESOLUTION_MS)
  process.on('SIGUSR2', () => {
    const line = {
      p50: lateMs(delay.percentile(50)),
      p99: lateMs(delay.percentile(99)),
      max: lateMs(delay.max),
    }
    appendFileSync(path, `${JSON.stringify(line)}\n`)
    delay.reset()
  })
}
