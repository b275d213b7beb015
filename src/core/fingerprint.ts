// A short name for a text's content: the same text has the same one. Nothing secret hangs on it.

/** FNV-1a over UTF-16 units, 32 bits as 8 hex digits. */
export function fingerprint(text: string): string {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return (hash >>> 0).toString(16).padStart(8, '0')
}
