// The name that was probably meant.

import { editDistance } from '#core/edit-distance.ts'

/** Longer words are no mistyped names. */
const WORD_CHARS_MAX = 100

/** The known name at the least edit distance, if that is small against the word; ties go to the first. */
export function nearestName(word: string, known: Iterable<string>): string | null {
  if (word.length > WORD_CHARS_MAX) return null
  const asked = word.toLowerCase()
  let best: string | null = null
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const name of known) {
    if (Math.abs(name.length - word.length) >= bestDistance || name === word) continue
    const distance = editDistance(asked, name.toLowerCase())
    // A word changed in every letter is another word.
    if (distance >= bestDistance || distance >= Math.max(word.length, name.length)) continue
    best = name
    bestDistance = distance
  }
  return best
}
