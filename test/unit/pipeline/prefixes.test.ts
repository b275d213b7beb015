import { describe, expect, test } from 'vitest'
import { readCall } from '#pipeline/ingress.ts'
import { prefixesOf } from '#pipeline/prefixes.ts'
import { encode } from './support.ts'

interface Message {
  readonly role: string
  readonly content: string
}

const say = (role: string, content: string): Message => ({ role, content })
const LONG = say('system', 'You are helpful. '.repeat(600))

function namesOf(messages: readonly Message[], more: object = {}): readonly number[] {
  return prefixesOf(readCall('chat', encode(JSON.stringify({ model: 'm', ...more, messages }))))
}

describe('names of prefixes', () => {
  test('a short prompt has none', () => {
    expect(namesOf([say('user', 'hi')])).toEqual([])
  })

  test('a conversation that goes on keeps those it had', () => {
    const first = namesOf([LONG, say('user', 'one')])
    const second = namesOf([
      LONG,
      say('user', 'one'),
      say('assistant', 'x'.repeat(5_000)),
      say('user', 'two'),
    ])
    expect(first.length).toBeGreaterThan(3)
    expect(second.length).toBeGreaterThan(first.length)
    expect(second.slice(0, first.length)).toEqual(first)
  })

  test('are one for each 2,048 bytes, all different, whole numbers that are exact', () => {
    const names = namesOf([say('user', 'a'.repeat(20_480))])
    expect(names).toHaveLength(10)
    expect(new Set(names).size).toBe(10)
    for (const name of names) expect(Number.isSafeInteger(name)).toBe(true)
  })

  test('prompts that differ at the beginning have none in common', () => {
    const other = say('system', `x${LONG.content}`)
    const names = new Set(namesOf([LONG]))
    expect(namesOf([other]).filter((name) => names.has(name))).toEqual([])
  })

  test('one changed letter changes those behind it and not those before', () => {
    const text = 'lorem ipsum '.repeat(1_000)
    const changed = `${text.slice(0, 6_000)}X${text.slice(6_001)}`
    const [one, other] = [text, changed].map((content) => namesOf([say('user', content)]))
    const same = (one ?? []).filter((name, index) => name === other?.[index]).length
    expect(same).toBe(2)
    expect(one?.at(-1)).not.toBe(other?.at(-1))
  })

  test('tools are part of what a model reads, wherever they stand; other fields are not', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }]
    expect(namesOf([LONG], { tools })).not.toEqual(namesOf([LONG]))
    expect(namesOf([LONG], { temperature: 1, user: 'u' })).toEqual(namesOf([LONG]))
  })

  test('very long prompts have a bound', () => {
    expect(namesOf([say('user', 'b'.repeat(3_000_000))])).toHaveLength(512)
  })
})
