// What is wrong with a disk, in one word that anybody may read: messages of the system name paths.

export type StoreFault = 'disk_full' | 'read_only' | 'locked' | 'corrupt' | 'io_error'

/** Primary result codes of SQLite. */
const SQLITE: Readonly<Record<number, StoreFault>> = {
  5: 'locked',
  6: 'locked',
  8: 'read_only',
  11: 'corrupt',
  13: 'disk_full',
  26: 'corrupt',
}
const SYSTEM: Readonly<Record<string, StoreFault>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EROFS: 'read_only',
  EACCES: 'read_only',
  EPERM: 'read_only',
}

export function faultOf(error: Error): StoreFault {
  const { errcode, code } = error as { readonly errcode?: unknown; readonly code?: unknown }
  // Extended codes carry more in their upper bits.
  if (typeof errcode === 'number') return SQLITE[errcode & 0xff] ?? 'io_error'
  return SYSTEM[String(code)] ?? 'io_error'
}
