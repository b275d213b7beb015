// Names of the prefixes of a prompt: what two requests have in common from the beginning on has the same names, so
// that an upstream's cache of one can be expected to help the other.

import type { Call } from './context.ts'

/** About 512 tokens, the unit that the planner counts in: 4 bytes each in English, 4.5 in Chinese. */
const BLOCK_BYTES = 2_048
const BLOCKS_MAX = 512

const NONE: readonly number[] = Object.freeze([])

/** Each names a whole prefix, of one block more than the one before; a last part of a block has none. */
export function prefixesOf({ bytes, scan }: Call): readonly number[] {
  if (bytes.length < BLOCK_BYTES || scan === null) return NONE
  let first = FNV_OFFSET
  let second = FNV_OFFSET ^ 0x5bd1e995
  // Tools stand before the messages in what a model reads, wherever the client writes them.
  for (const name of ['tools', 'functions']) {
    const member = scan.members.find(({ key }) => key === name)
    if (member === undefined) continue
    for (let at = member.valueStart; at < member.valueEnd; at++) first = mix(first, bytes[at] ?? 0)
  }
  const prompt = scan.members.find(({ key }) => key === 'messages' || key === 'prompt')
  if (prompt === undefined) return NONE
  const blocks = Math.min(Math.floor((prompt.valueEnd - prompt.valueStart) / BLOCK_BYTES), BLOCKS_MAX)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const names = new Array<number>(blocks)
  for (let block = 0; block < blocks; block++) {
    const start = prompt.valueStart + block * BLOCK_BYTES
    for (let at = start; at < start + BLOCK_BYTES; at += 8) {
      first = mix(first, view.getUint32(at, true))
      second = mix(second, view.getUint32(at + 4, true) ^ first)
    }
    names[block] = (first >>> 0) * 0x200000 + (second >>> 11)
  }
  return names
}

const FNV_OFFSET = 0x811c9dc5

/** A step of FNV-1a over words rather than bytes, with its high bits folded back. */
function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x01000193)
  return mixed ^ (mixed >>> 15)
}
