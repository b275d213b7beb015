// `client.models`: what a key may ask for, ids with slashes among them.

import type OpenAI from 'openai'
import { AuthenticationError, NotFoundError } from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type LocalGateway, startLocalGateway } from '../support/gateway.ts'
import { configOf } from '../support/gateway-config.ts'
import { openAi } from './clients.ts'

const NARROW_KEY = 'sk-narrow-0123456789'
const UPSTREAM = 'http://127.0.0.1:9/v1'

let gateway: LocalGateway
let client: OpenAI

beforeAll(async () => {
  gateway = await startLocalGateway({
    config: configOf({
      providers: { one: UPSTREAM, two: UPSTREAM },
      targets: ['one/x', 'two/organisation/model@2026', 'two/模型'],
      models: { assistant: { policy: 'p', targets: ['one/x'] } },
      over: {
        keys: [
          { name: 'wide', key: 'sk-test-0123456789' },
          { name: 'narrow', key: NARROW_KEY, models: ['assistant', 'one/*'] },
        ],
      },
    }),
  })
  client = openAi(gateway.url)
})

afterAll(async () => gateway?.close())

const idsOf = async (list: OpenAI.ModelsPage | AsyncIterable<OpenAI.Model>): Promise<string[]> => {
  const ids: string[] = []
  for await (const model of list) ids.push(model.id)
  return ids
}

test('lists the models of the configuration and their targets', async () => {
  const ids = await idsOf(await client.models.list())
  expect(ids).toEqual(['m', 'assistant', 'one/x', 'two/organisation/model@2026', 'two/模型'])
})

test("describes each model in OpenAI's shape", async () => {
  for await (const model of await client.models.list()) {
    expect(model).toMatchObject({ object: 'model', owned_by: expect.stringMatching(/\S/) })
    expect(Number.isInteger(model.created)).toBe(true)
  }
})

test('lists only what the key may use', async () => {
  const ids = await idsOf(await openAi(gateway.url, { apiKey: NARROW_KEY }).models.list())
  expect(ids).toEqual(['assistant', 'one/x'])
})

test.each(['assistant', 'one/x', 'two/organisation/model@2026', 'two/模型'])('retrieves %s', async (id) => {
  expect(await client.models.retrieve(id)).toMatchObject({ id, object: 'model' })
})

test('has no model that it does not know, or that the key may not use', async () => {
  await expect(client.models.retrieve('nothing/like-it')).rejects.toBeInstanceOf(NotFoundError)
  const narrow = openAi(gateway.url, { apiKey: NARROW_KEY })
  await expect(narrow.models.retrieve('two/模型')).rejects.toMatchObject({
    status: 404,
    code: 'model_not_found',
  })
})

test('refuses a stranger', async () => {
  const stranger = openAi(gateway.url, { apiKey: 'sk-wrong-0123456789' })
  await expect(stranger.models.list()).rejects.toBeInstanceOf(AuthenticationError)
})

test('works without /v1 in the base URL too', async () => {
  const bare = openAi(gateway.url, { baseURL: gateway.url })
  expect(await idsOf(await bare.models.list())).toContain('assistant')
})
