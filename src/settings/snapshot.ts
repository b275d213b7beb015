// The settings in force, replaced whole: a request reads them once and keeps what it read.

import type { Settings } from '#core/settings.ts'

export interface Snapshot {
  current(): Settings
  /** Takes effect for whoever asks next; listeners are told in the order they came. */
  replace(next: Settings): void
  /** Returns what ends the listening. */
  onChange(listener: (next: Settings, before: Settings) => void): () => void
}

export function createSnapshot(initial: Settings): Snapshot {
  let settings = initial
  const listeners = new Set<(next: Settings, before: Settings) => void>()
  return {
    current: () => settings,
    replace(next) {
      const before = settings
      settings = next
      for (const listener of [...listeners]) listener(next, before)
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
