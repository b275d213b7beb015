// Watches a file through its folder: editors and config maps replace files rather than write them.

import { type FSWatcher, readFileSync, watch } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** An editor writes in several steps; one look after they have settled is enough. */
const SETTLE_MS = 100
/** Some file systems (network mounts) report nothing: a look now and then catches up. */
const POLL_MS = 5_000

export function watchFile(path: string, onChange: () => void): { close(): void } {
  const file = resolve(path)
  let last = readText(file)
  let timer: NodeJS.Timeout | null = null
  const look = (): void => {
    timer = null
    const text = readText(file)
    if (text === null || text === last) return
    last = text
    onChange()
  }
  const soon = (): void => {
    timer ??= setTimeout(look, SETTLE_MS)
  }
  let watcher: FSWatcher | null = null
  try {
    watcher = watch(dirname(file), { persistent: false }, soon)
    watcher.on('error', () => undefined)
  } catch {
    // No watches left on this machine: polling alone does it.
  }
  const poll = setInterval(look, POLL_MS)
  poll.unref()
  return {
    close() {
      watcher?.close()
      clearInterval(poll)
      if (timer !== null) clearTimeout(timer)
    },
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
