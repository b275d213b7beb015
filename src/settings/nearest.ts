// The name that was probably meant.

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

/** Levenshtein's: single insertions, deletions and substitutions. O(a × b). */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
