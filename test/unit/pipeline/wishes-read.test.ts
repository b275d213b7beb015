import { describe, expect, test } from 'vitest'
import { GatewayError } from '#core/errors.ts'
import type { Wishes } from '#pipeline/wishes.ts'
import { readWishes } from '#pipeline/wishes-read.ts'
import { askedModel } from '#wire/openai-chat/request.ts'
import { wishesOf } from './support.ts'

type Json = Readonly<Record<string, unknown>>

const read = (fields: Json, policy: string | null = null): Wishes | null => {
  const body = { model: 'assistant', ...fields }
  return readWishes(body, askedModel(body), policy)
}

function refusalOf(
  fields: Json,
  policy: string | null = null,
): { code: string; param: string | null; message: string } {
  try {
    read(fields, policy)
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, param: error.param, message: error.message }
    throw error
  }
  throw new Error('it was let through')
}

describe('a request that says nothing of its routing has no wishes', () => {
  test.each([
    {},
    { models: null, provider: null },
    { model: 'qwen3:8b' },
    { model: 'a:floor:b' },
    { user: 'x', policy: 'quick' },
  ])('%j', (fields) => expect(read(fields)).toBeNull())
})

describe('models', () => {
  test.each<{ fields: Json; names: readonly string[]; sort?: Wishes['sort'] }>([
    { fields: { models: ['b', 'c'] }, names: ['assistant', 'b', 'c'] },
    { fields: { models: ['b', 'assistant', 'b'] }, names: ['assistant', 'b'] },
    { fields: { model: undefined, models: ['b', 'c'] }, names: ['b', 'c'] },
    { fields: { model: null, models: ['b'] }, names: ['b'] },
    { fields: { model: 'a:floor' }, names: ['a'], sort: 'price' },
    { fields: { model: 'a:nitro' }, names: ['a'], sort: 'throughput' },
    { fields: { model: 'qwen3:8b:nitro' }, names: ['qwen3:8b'], sort: 'throughput' },
    { fields: { model: 'a:floor:floor' }, names: ['a'], sort: 'price' },
    { fields: { model: 'a', models: ['a:floor', 'b'] }, names: ['a', 'b'], sort: 'price' },
    { fields: { model: undefined, models: ['a:floor', 'b:floor'] }, names: ['a', 'b'], sort: 'price' },
    { fields: { model: 'a:floor', provider: { sort: 'price' } }, names: ['a'], sort: 'price' },
    { fields: { models: Array.from({ length: 16 }, () => 'b') }, names: ['assistant', 'b'] },
  ])('$fields → $names, sort $sort', ({ fields, names, sort = null }) => {
    expect(read(fields)).toEqual(wishesOf({ names, sort }))
  })

  test.each<{ fields: Json; param: string; says: string }>([
    { fields: { models: 'b' }, param: 'models', says: 'an array of strings; found the string "b"' },
    { fields: { models: {} }, param: 'models', says: 'found an object' },
    { fields: { models: [] }, param: 'models', says: 'empty' },
    { fields: { models: ['b', 7] }, param: 'models[1]', says: 'found the number 7' },
    { fields: { models: ['b', ''] }, param: 'models[1]', says: 'found the string ""' },
    { fields: { models: ['b', null] }, param: 'models[1]', says: 'found null' },
    { fields: { models: ['b'.repeat(513)] }, param: 'models[0]', says: 'longer than 512' },
    { fields: { models: Array.from({ length: 17 }, () => 'b') }, param: 'models', says: '17 entries' },
    { fields: { model: ':floor' }, param: 'model', says: 'suffix without a model' },
    { fields: { models: [':nitro'] }, param: 'models', says: 'suffix without a model' },
    { fields: { model: 'a:floor', models: ['b:nitro'] }, param: 'models', says: 'exclude each other' },
    { fields: { model: 'a:floor:nitro' }, param: 'model', says: 'exclude each other' },
    {
      fields: { model: undefined, models: ['a:nitro', 'b:floor'] },
      param: 'models',
      says: '`:floor` and `:nitro`',
    },
    {
      fields: { model: 'a:floor', provider: { sort: 'latency' } },
      param: 'provider.sort',
      says: '`:floor` means `provider.sort` "price", but it is "latency"',
    },
    {
      fields: { model: 'a:nitro', provider: { sort: { by: 'price' } } },
      param: 'provider.sort',
      says: '`:nitro` means `provider.sort` "throughput", but it is "price"',
    },
  ])('$fields is refused for $param', ({ fields, param, says }) => {
    expect(refusalOf(fields)).toMatchObject({ code: 'invalid_request', param })
    expect(refusalOf(fields).message).toContain(says)
  })
})

describe('x-sluice-policy', () => {
  test('is kept as it is', () => expect(read({}, 'quick')).toEqual(wishesOf({ policy: 'quick' })))

  test.each(['', '  '])('%j is refused by the name of the header', (policy) => {
    const { code, param, message } = refusalOf({}, policy)
    expect({ code, param }).toEqual({ code: 'invalid_request', param: null })
    expect(message).toContain('`x-sluice-policy` is empty')
  })
})
