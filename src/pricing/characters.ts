// How vendors count the characters that speech is billed by.

import type { CharacterRule } from '#core/price.ts'

const HAN = /\p{Script=Han}/u
const MARKUP = /<[^<>]*>/g

const RULES: Readonly<Record<CharacterRule, (text: string) => number>> = {
  each: (text) => [...text].length,
  /** Sambert: whatever is spoken counts as one, SSML tags are free. */
  each_without_markup: (text) => [...text.replaceAll(MARKUP, '')].length,
  /** CosyVoice, MiniMax: a Chinese character is two, a letter, digit, space or mark (also a Chinese one) is one. */
  han_double: (text) => [...text].reduce((sum, character) => sum + (HAN.test(character) ? 2 : 1), 0),
}

export function countCharacters(text: string, rule: CharacterRule): number {
  return RULES[rule](text)
}

/** SiliconFlow bills speech by these. */
export function countUtf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length
}
