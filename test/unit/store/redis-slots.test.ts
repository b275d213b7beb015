// No call to Redis crosses slots: keys of one script, and of one table of keys, carry one tag.

import { expect, test } from 'vitest'
import { RedisConnection, type ScriptName } from '#store/redis/connection.ts'
import * as tables from '#store/redis/keys.ts'
import { SCRIPTS } from '#store/redis/scripts.gen.ts'
import { slotOf } from '#store/redis/slots.ts'

const { KEYS, PURSE_KEYS } = tables

/** With names as they come: from clients, with braces, in other scripts, empty. */
const NAMES = ['one', 'a}b{c', '部门', 'qwen/flash', ' ', 'i'.repeat(300)]

/** By the name of the script without the number of its keys: what one call is given. */
const CALLS: Readonly<Record<string, (name: string) => readonly string[]>> = {
  apply: (name) => [
    KEYS.applied(name),
    KEYS.rows,
    KEYS.requests,
    KEYS.entries,
    KEYS.hours,
    KEYS.hour(1),
    KEYS.day(1),
    KEYS.balances,
    KEYS.adjustments,
    KEYS.adjustmentIndex,
    KEYS.meta,
    KEYS.touched,
  ],
  archive: () => [KEYS.archive, KEYS.archiveWanted, KEYS.meta],
  'close-month': () => [KEYS.meta, KEYS.months],
  'keep-month': () => [KEYS.months, KEYS.monthTables],
  disown: () => [KEYS.meta],
  follow: () => [KEYS.meta, KEYS.rows],
  refound: (name) => [KEYS.founding, KEYS.meta, KEYS.applied(name)],
  ship: (name) => [
    KEYS.applied(name),
    KEYS.meta,
    KEYS.rows,
    KEYS.requests,
    KEYS.entries,
    KEYS.hours,
    KEYS.touched,
    KEYS.balances,
    KEYS.hour(1),
    KEYS.day(1),
    KEYS.hour(2),
    KEYS.day(2),
  ],
  trim: () => [KEYS.meta, KEYS.rows, KEYS.requests, KEYS.entries],
  charge: (name) => purse(name, ['purse', 'lent', 'index', 'seen', 'windows', 'marks']),
  claim: (name) => [KEYS.instance(name)],
  found: (name) => purse(name, ['purse', 'windows', 'marks']),
  lease: (name) => purse(name, ['purse', 'lent', 'index', 'seen', 'answers', 'windows', 'marks']),
  'key-purge': () => clientKeys(),
  'key-put': () => [...clientKeys(), KEYS.clientKeysMeta],
  probe: (name) => tables.PROBE_KEYS(name),
  release: (name) => [KEYS.instance(name)],
}

function purse(name: string, parts: readonly (keyof ReturnType<typeof PURSE_KEYS>)[]): readonly string[] {
  return parts.map((part) => PURSE_KEYS(`org:${name}`)[part])
}

function clientKeys(): readonly string[] {
  return [
    KEYS.clientKeys,
    KEYS.clientKeyNames,
    KEYS.clientKeyIds,
    KEYS.clientKeyChanges,
    KEYS.clientKeysEnded,
  ]
}

/** All keys that a value of keys.ts can give for a name: texts, lists, tables, and functions of these. */
function keysIn(value: unknown, name: string): readonly string[] {
  if (typeof value === 'string') return value.includes('{') ? [value] : []
  if (typeof value === 'function') return keysIn(value(name), name)
  if (typeof value === 'object' && value !== null) {
    return Object.values(value).flatMap((inner) => keysIn(inner, name))
  }
  return []
}

test('slots are computed as the specification of clusters has them', () => {
  expect(slotOf('123456789')).toBe(0x31c3)
  expect(slotOf('foo')).toBe(12_182)
  expect(slotOf('{user1000}.following')).toBe(slotOf('user1000'))
  expect(slotOf('foo{}{bar}')).not.toBe(slotOf('bar'))
  expect(slotOf('foo{{bar}}zap')).toBe(slotOf('{bar'))
})

test.each(Object.keys(SCRIPTS))('fault 76: all keys of one call of %s lie in one slot', (script) => {
  const keysOf = CALLS[script.replace(/-\d+$/, '')]
  if (keysOf === undefined) throw new Error(`say in this test which keys ${script} is given`)
  for (const name of NAMES) {
    const keys = keysOf(name)
    expect(keys, `say in this test which keys ${script} is given`).toHaveLength(
      Number(/\d+$/.exec(script)?.[0]),
    )
    expect(new Set(keys.map(slotOf)).size, keys.join(' ')).toBe(1)
  }
})

test.each(Object.entries(tables))('fault 76: all keys of the table %s lie in one slot', (_, table) => {
  for (const name of NAMES) expect(new Set(keysIn(table, name).map(slotOf)).size).toBeLessThanOrEqual(1)
})

test('fault 76: a script is not called with keys of several slots, or without a tag', () => {
  const connection = new RedisConnection({ url: 'redis://127.0.0.1:1' })
  const call = (name: ScriptName, keys: readonly string[]) => () => connection.script(name, keys, [])
  expect(call('probe-3', ['{a}:1', '{a}:2', '{b}:1'])).toThrow('one slot')
  expect(call('claim-1', ['instance'])).toThrow('one slot')
  expect(call('claim-1', ['{a}:1', '{a}:2'])).toThrow('as many keys')
  connection.close()
})
