// What bounds the thinking of each provider's dialect, from its folder, and what switches its searches on.

import { describe, expect, test } from 'vitest'
import type { Provider } from '#core/provider.ts'
import { builtInsOf } from '#pipeline/built-ins.ts'
import { readCall } from '#pipeline/ingress.ts'
import { askedTokens, boundFieldsOf, withOutputBound } from '#pipeline/output-bound.ts'
import { encodeUpstream } from '#pipeline/translate.ts'
import { provider as baichuan } from '#providers/baichuan/provider.ts'
import { provider as deepseek } from '#providers/deepseek/provider.ts'
import { provider as doubao } from '#providers/doubao/provider.ts'
import { provider as ernie } from '#providers/ernie/provider.ts'
import { provider as hunyuan } from '#providers/hunyuan/provider.ts'
import { provider as llamacpp } from '#providers/llamacpp/provider.ts'
import { provider as lmdeploy } from '#providers/lmdeploy/provider.ts'
import { provider as moonshot } from '#providers/moonshot/provider.ts'
import { provider as ollama } from '#providers/ollama/provider.ts'
import { provider as openai } from '#providers/openai/provider.ts'
import { provider as openrouter } from '#providers/openrouter/provider.ts'
import { provider as qwen } from '#providers/qwen/provider.ts'
import { provider as sglang } from '#providers/sglang/provider.ts'
import { provider as tgi } from '#providers/tgi/provider.ts'
import { provider as vllm } from '#providers/vllm/provider.ts'
import { provider as xinference } from '#providers/xinference/provider.ts'
import { provider as zhipu } from '#providers/zhipu/provider.ts'
import { encode, liveWith } from './support.ts'

type Json = Record<string, unknown>

function factsOf(folder: Provider, model: string, settings: Json = {}) {
  const main: Json = { use: folder.id, api_key: 'secret-of-vendor', ...settings }
  if (folder.baseUrl === undefined) main['base_url'] = 'https://self.example/v1'
  const live = liveWith([folder], { providers: { main }, models: { m: { targets: [`main/${model}`] } } })
  const [target] = live.settings.models.get('m')?.targets ?? []
  if (target === undefined) throw new Error('no target')
  return live.factsOf(target)
}

const callOf = (body: Json) =>
  readCall(
    'chat',
    encode(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...body })),
  )

/** The lengths that are sent; null: nothing bounds the target. */
function sent(folder: Provider, model: string, body: Json): Json | null {
  const facts = factsOf(folder, model)
  const call = callOf(body)
  const fields = boundFieldsOf(facts, call)
  if (fields === null) return null
  const asked = askedTokens(call, fields, { room: null, maxOutput: null })
  const bounded = withOutputBound(call, fields, asked).body
  return Object.fromEntries(
    ['max_tokens', 'max_completion_tokens', 'thinking_budget']
      .filter((name) => bounded[name] !== undefined)
      .map((name) => [name, bounded[name]]),
  )
}

describe('max_tokens bounds thinking and answer', () => {
  test.each<[Provider, string, Json]>([
    [deepseek, 'deepseek-reasoner', {}],
    [ollama, 'qwen3:8b', { reasoning_effort: 'high' }],
    [vllm, 'qwen3-8b', { chat_template_kwargs: { enable_thinking: true } }],
    [sglang, 'qwen3-8b', { chat_template_kwargs: { enable_thinking: true } }],
    [llamacpp, 'qwen3-8b', { reasoning_effort: 'high' }],
    [lmdeploy, 'qwen3-8b', { chat_template_kwargs: { enable_thinking: true } }],
    [xinference, 'qwen3', { enable_thinking: true }],
    [tgi, 'tgi', { reasoning_effort: 'high' }],
    [zhipu, 'glm-5.2', {}],
    [zhipu, 'glm-5.3', {}],
  ])('$id $1', (folder, model, body) => {
    expect(sent(folder, model, { ...body, max_tokens: 300 })).toEqual({ max_tokens: 300 })
  })

  test('one that is left open has room for both', () => {
    expect(sent(deepseek, 'deepseek-reasoner', {})).toEqual({ max_tokens: 12_288 })
    expect(sent(deepseek, 'deepseek-chat', {})).toEqual({ max_tokens: 4_096 })
  })
})

test.each<[string, Provider, string, Json, Json | null]>([
  ['max_completion_tokens', doubao, 'doubao-seed-1-6', {}, { max_completion_tokens: 8_492 }],
  ['max_completion_tokens', ernie, 'ernie-x1-turbo-32k', {}, { max_completion_tokens: 8_492 }],
  ['max_completion_tokens', moonshot, 'kimi-k3', {}, { max_completion_tokens: 8_492 }],
  [
    'a budget of thinking',
    qwen,
    'qwen-plus',
    { enable_thinking: true },
    { max_tokens: 300, thinking_budget: 8_192 },
  ],
  // No source says what their max_tokens counts.
  ['nothing', zhipu, 'glm-4.6', {}, null],
  ['nothing', hunyuan, 'hunyuan-t1', {}, null],
])('thinking is bounded by %s: $1.id', (_by, folder, model, body, wanted) => {
  expect(sent(folder, model, { ...body, max_tokens: 300 })).toEqual(wanted)
})

// litellm #38176
test.each<[string, Provider, string, Json]>([
  ['a chat, where there is no such endpoint', doubao, 'doubao-seed-1-6', { max_completion_tokens: 8_492 }],
  ['itself, where there is one', vllm, 'qwen3-8b', { max_tokens: 300 }],
])('PEERS 34: a completion is bounded as %s', (_as, folder, model, wanted) => {
  const facts = factsOf(folder, model)
  const call = readCall('completions', encode('{"model":"m","prompt":"hello","max_tokens":300}'))
  const fields = boundFieldsOf(facts, call)
  if (fields === null) throw new Error('nothing bounds it')
  const asked = askedTokens(call, fields, { room: null, maxOutput: null })
  const { body } = encodeUpstream(withOutputBound(call, fields, asked), facts)
  const upstream = JSON.parse(typeof body === 'string' ? body : new TextDecoder().decode(body)) as Json
  const { max_tokens, max_completion_tokens } = upstream
  expect(JSON.parse(JSON.stringify({ max_tokens, max_completion_tokens }))).toEqual(wanted)
})

describe('searches are switched on', () => {
  const searches = (folder: Provider, model: string, body: Json, settings: Json = {}): boolean =>
    builtInsOf(factsOf(folder, model, settings), callOf(body)).calls.search_call !== undefined

  test.each<[Provider, string, Json, Json]>([
    [qwen, 'qwen-plus', { enable_search: true }, { enable_search: false }],
    [ernie, 'ernie-4.5', { web_search: { enable: true } }, { web_search: { enable: false } }],
    [baichuan, 'baichuan4', { with_search_enhance: true }, {}],
    [hunyuan, 'hunyuan-turbos', { enable_enhancement: true }, { enable_enhancement: false }],
    [openai, 'gpt-5.1', { web_search_options: {} }, {}],
    [openrouter, 'x-ai/grok-4', { plugins: [{ id: 'web' }] }, { plugins: [] }],
    [zhipu, 'glm-4.6', { tools: [{ type: 'web_search', web_search: { enable: true } }] }, {}],
    [moonshot, 'kimi-k2', { tools: [{ type: 'builtin_function', function: { name: '$web_search' } }] }, {}],
    [doubao, 'doubao-seed-1-6', { tools: [{ type: 'web_search' }] }, { tools: [{ type: 'function' }] }],
  ])('$id', (folder, model, on, off) => {
    expect(searches(folder, model, on)).toBe(true)
    expect(searches(folder, model, off)).toBe(false)
  })

  test('by the model alone', () => {
    expect(searches(openai, 'gpt-4o-search-preview', {})).toBe(true)
    expect(searches(openrouter, 'openai/gpt-5.1:online', {})).toBe(true)
    expect(factsOf(openrouter, 'openai/gpt-5.1:online').thinksByDefault).toBe(true)
  })

  test('unless told otherwise, on the old Qianfan', () => {
    const v1 = { api_key: 'ak-0123456789:sk-0123456789' }
    expect(factsOf(ernie, 'ernie-3.5-8k', v1).format).not.toBeNull()
    expect(searches(ernie, 'ernie-3.5-8k', {}, v1)).toBe(true)
    expect(searches(ernie, 'ernie-3.5-8k', { disable_search: true }, v1)).toBe(false)
  })

  test('nowhere on servers that have none', () => {
    expect(searches(vllm, 'qwen3-8b', { enable_search: true, web_search_options: {} })).toBe(false)
  })
})
