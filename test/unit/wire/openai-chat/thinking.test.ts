import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ThinkingRequest } from '#core/chat.ts'
import type { Quirks, ThinkingSwitch } from '#core/provider.ts'
import { readThinking, THINKING_FIELDS, writeThinking } from '#wire/openai-chat/thinking.ts'
import { type Json, PLAIN } from './support.ts'

describe('what a client says of thinking, in any vendor’s words', () => {
  const said = (enabled: ThinkingRequest['enabled'], effort: string | null, budgetTokens: number | null) => ({
    enabled,
    effort,
    budgetTokens,
  })
  const cases: readonly { request: Json; want: ThinkingRequest }[] = [
    { request: {}, want: said(null, null, null) },
    { request: { reasoning_effort: null, thinking: null }, want: said(null, null, null) },
    { request: { thinking: { type: 'enabled' } }, want: said(true, null, null) },
    { request: { thinking: { type: 'adaptive' } }, want: said(true, null, null) },
    { request: { thinking: { type: 'disabled' } }, want: said(false, null, null) },
    { request: { thinking: { type: 'auto' } }, want: said('auto', null, null) },
    { request: { thinking: { type: 'enabled', budget_tokens: 2000 } }, want: said(true, null, 2000) },
    { request: { enable_thinking: true, thinking_budget: 100 }, want: said(true, null, 100) },
    { request: { enable_thinking: false }, want: said(false, null, null) },
    { request: { thinking_budget: 0 }, want: said(false, null, 0) },
    { request: { thinking_budget: 500 }, want: said(true, null, 500) },
    { request: { thinking_budget: -1 }, want: said(null, null, null) },
    { request: { thinking_budget: '5' }, want: said(null, null, null) },
    { request: { chat_template_kwargs: { enable_thinking: false } }, want: said(false, null, null) },
    { request: { chat_template_kwargs: { thinking: true } }, want: said(true, null, null) },
    { request: { reasoning: { effort: 'high' } }, want: said(true, 'high', null) },
    { request: { reasoning: { effort: 'none' } }, want: said(false, null, null) },
    { request: { reasoning: { enabled: false } }, want: said(false, null, null) },
    { request: { reasoning: { max_tokens: 512 } }, want: said(true, null, 512) },
    { request: { reasoning_effort: 'low' }, want: said(true, 'low', null) },
    { request: { reasoning_effort: 'none' }, want: said(false, null, null) },
    // Sent together: the most specific one wins, for the switch and for the effort.
    { request: { thinking: { type: 'disabled' }, enable_thinking: true }, want: said(false, null, null) },
    { request: { enable_thinking: false, reasoning: { enabled: true } }, want: said(false, null, null) },
    {
      request: { reasoning: { enabled: false }, chat_template_kwargs: { enable_thinking: true } },
      want: said(false, null, null),
    },
    {
      request: { chat_template_kwargs: { enable_thinking: true }, reasoning_effort: 'none' },
      want: said(true, null, null),
    },
    { request: { enable_thinking: false, reasoning_effort: 'high' }, want: said(false, 'high', null) },
    { request: { reasoning: { effort: 'high' }, reasoning_effort: 'low' }, want: said(true, 'high', null) },
    { request: { reasoning: { effort: 'high' }, reasoning_effort: 'none' }, want: said(true, 'high', null) },
    {
      request: { thinking: { type: 'enabled', budget_tokens: 10 }, thinking_budget: 20 },
      want: said(true, null, 10),
    },
  ]
  test.each(cases)('$request', ({ request, want }) => expect(readThinking(request)).toEqual(want))
})

/** The request's thinking fields as the upstream gets them. */
function translate(request: Json, quirks: Quirks): { fields: Json; dropped: readonly string[] } {
  const { set, remove, dropped } = writeThinking(request, readThinking(request), quirks)
  const fields = { ...request }
  for (const field of remove) delete fields[field]
  for (const [field, value] of set) fields[field] = value
  return { fields: JSON.parse(JSON.stringify(fields)) as Json, dropped }
}

const withSwitch = (thinking: ThinkingSwitch, rest: Partial<Quirks> = {}): Quirks => ({
  ...PLAIN,
  thinking,
  ...rest,
})
const BUDGETS = { effortBudgets: { low: 1000, high: 9000 } }
const STYLES = {
  thinking: withSwitch({ style: 'thinking' }),
  'thinking with auto': withSwitch({ style: 'thinking', auto: true }),
  'thinking with efforts': withSwitch({ style: 'thinking', efforts: ['minimal', 'low', 'medium', 'high'] }),
  'thinking with budget': withSwitch({ style: 'thinking', budget: true }, BUDGETS),
  enable_thinking: withSwitch({ style: 'enable_thinking', budgetField: 'thinking_budget' }, BUDGETS),
  'enable_thinking with efforts': withSwitch({ style: 'enable_thinking', efforts: ['low', 'high'] }),
  chat_template_kwargs: withSwitch({ style: 'chat_template_kwargs', key: 'enable_thinking' }),
  'chat_template_kwargs.thinking': withSwitch({
    style: 'chat_template_kwargs',
    key: 'thinking',
    efforts: ['low', 'medium', 'high'],
  }),
  reasoning_effort: withSwitch({
    style: 'reasoning_effort',
    efforts: ['low', 'medium', 'high'],
    off: 'none',
  }),
  'reasoning_effort, always on': withSwitch({
    style: 'reasoning_effort',
    efforts: ['low', 'medium', 'high'],
    off: null,
  }),
  'reasoning_effort with none': withSwitch({
    style: 'reasoning_effort',
    efforts: ['none', 'low', 'high'],
    off: 'none',
  }),
  reasoning: withSwitch({ style: 'reasoning' }),
  none: withSwitch({ style: 'none' }),
} as const

type Style = keyof typeof STYLES

describe('the switch in a target’s words', () => {
  const cases: readonly { style: Style; request: Json; want: Json; dropped?: readonly string[] }[] = [
    { style: 'thinking', request: {}, want: {} },
    {
      style: 'thinking with auto',
      request: { thinking: { type: 'auto', x: 1 } },
      want: { thinking: { type: 'auto', x: 1 } },
    },
    // Only some vendors know the word `auto`, and none but Anthropic `adaptive`.
    {
      style: 'thinking',
      request: { thinking: { type: 'auto' } },
      want: { thinking: { type: 'enabled' } },
    },
    {
      style: 'thinking with auto',
      request: { thinking: { type: 'adaptive' } },
      want: { thinking: { type: 'enabled' } },
    },
    {
      style: 'thinking',
      request: { thinking: { type: 'enabled', budget_tokens: 2000 } },
      want: { thinking: { type: 'enabled' } },
      dropped: ['thinking.budget_tokens'],
    },
    {
      style: 'thinking with budget',
      request: { thinking: { type: 'enabled', budget_tokens: 2000 } },
      want: { thinking: { type: 'enabled', budget_tokens: 2000 } },
    },
    // A budget alone asks for thinking, which is off there unless switched on.
    {
      style: 'enable_thinking',
      request: { thinking_budget: 500 },
      want: { enable_thinking: true, thinking_budget: 500 },
    },
    {
      style: 'enable_thinking',
      request: { enable_thinking: null, reasoning_effort: 'high' },
      want: { enable_thinking: true, thinking_budget: 9000 },
    },
    { style: 'reasoning_effort', request: { enable_thinking: null }, want: {} },
    { style: 'thinking', request: { enable_thinking: false }, want: { thinking: { type: 'disabled' } } },
    { style: 'thinking', request: { reasoning_effort: 'high' }, want: { thinking: { type: 'enabled' } } },
    { style: 'thinking', request: { reasoning_effort: 'none' }, want: { thinking: { type: 'disabled' } } },
    {
      style: 'thinking with efforts',
      request: { reasoning_effort: 'high' },
      want: { reasoning_effort: 'high' },
    },
    {
      style: 'thinking with efforts',
      request: { reasoning_effort: 'xhigh' },
      want: { thinking: { type: 'enabled' }, reasoning_effort: 'high' },
    },
    {
      style: 'thinking with efforts',
      request: { reasoning_effort: 'none' },
      want: { thinking: { type: 'disabled' } },
    },
    {
      style: 'thinking with efforts',
      request: { enable_thinking: true, reasoning_effort: 'none' },
      want: { thinking: { type: 'enabled' } },
    },
    {
      style: 'thinking with efforts',
      request: { enable_thinking: false, reasoning_effort: 'high' },
      want: { thinking: { type: 'disabled' } },
    },
    {
      style: 'thinking with budget',
      request: { reasoning_effort: 'high' },
      want: { thinking: { type: 'enabled', budget_tokens: 9000 } },
    },
    {
      style: 'thinking with budget',
      request: { enable_thinking: true, thinking_budget: 7 },
      want: { thinking: { type: 'enabled', budget_tokens: 7 } },
    },
    {
      style: 'enable_thinking',
      request: { thinking: { type: 'enabled', budget_tokens: 7 } },
      want: { enable_thinking: true, thinking_budget: 7 },
    },
    { style: 'enable_thinking', request: { thinking: { type: 'auto' } }, want: { enable_thinking: true } },
    {
      style: 'enable_thinking',
      request: { reasoning_effort: 'low' },
      want: { enable_thinking: true, thinking_budget: 1000 },
    },
    {
      style: 'enable_thinking',
      request: { reasoning: { effort: 'none' } },
      want: { enable_thinking: false },
    },
    {
      style: 'enable_thinking',
      request: { enable_thinking: true, thinking_budget: 5 },
      want: { enable_thinking: true, thinking_budget: 5 },
    },
    {
      style: 'enable_thinking',
      request: { thinking: { type: 'disabled' }, enable_thinking: true, thinking_budget: 5 },
      want: { enable_thinking: false },
    },
    {
      style: 'enable_thinking with efforts',
      request: { reasoning_effort: 'none' },
      want: { enable_thinking: false },
    },
    {
      style: 'enable_thinking with efforts',
      request: { thinking: { type: 'enabled' }, reasoning_effort: 'max' },
      want: { enable_thinking: true, reasoning_effort: 'high' },
    },
    {
      style: 'chat_template_kwargs',
      request: { enable_thinking: false, chat_template_kwargs: { custom: 1 } },
      want: { chat_template_kwargs: { custom: 1, enable_thinking: false } },
    },
    {
      style: 'chat_template_kwargs.thinking',
      request: { chat_template_kwargs: { thinking: false } },
      want: { chat_template_kwargs: { thinking: false } },
    },
    {
      style: 'chat_template_kwargs.thinking',
      request: { chat_template_kwargs: { enable_thinking: false } },
      want: { chat_template_kwargs: { enable_thinking: false, thinking: false } },
    },
    {
      style: 'reasoning_effort',
      request: { thinking: { type: 'disabled' } },
      want: { reasoning_effort: 'none' },
    },
    { style: 'reasoning_effort', request: { reasoning_effort: 'off' }, want: { reasoning_effort: 'none' } },
    { style: 'reasoning_effort', request: { enable_thinking: true }, want: { reasoning_effort: 'medium' } },
    {
      style: 'reasoning_effort',
      request: { enable_thinking: true, reasoning_effort: 'low' },
      want: { reasoning_effort: 'low' },
    },
    {
      style: 'reasoning_effort',
      request: { reasoning_effort: 'minimal' },
      want: { reasoning_effort: 'low' },
    },
    {
      style: 'chat_template_kwargs.thinking',
      request: { reasoning_effort: 'none' },
      want: { reasoning_effort: 'none' },
    },
    {
      style: 'chat_template_kwargs.thinking',
      request: { reasoning_effort: 'off' },
      want: { chat_template_kwargs: { thinking: false } },
    },
    {
      style: 'reasoning_effort with none',
      request: { reasoning_effort: 'minimal' },
      want: { reasoning_effort: 'low' },
    },
    {
      style: 'reasoning_effort with none',
      request: { reasoning_effort: 'none' },
      want: { reasoning_effort: 'none' },
    },
    {
      style: 'reasoning_effort, always on',
      request: { reasoning_effort: 'none' },
      want: {},
      dropped: ['reasoning_effort'],
    },
    {
      style: 'reasoning_effort, always on',
      request: { enable_thinking: false },
      want: {},
      dropped: ['enable_thinking'],
    },
    {
      style: 'reasoning',
      request: { thinking: { type: 'enabled', budget_tokens: 9 } },
      want: { reasoning: { max_tokens: 9 } },
    },
    { style: 'reasoning', request: { enable_thinking: true }, want: { reasoning: { enabled: true } } },
    {
      style: 'reasoning',
      request: { thinking: { type: 'disabled' }, reasoning_effort: 'high' },
      want: { reasoning: { enabled: false } },
    },
    {
      style: 'none',
      request: { enable_thinking: true, reasoning_effort: 'low' },
      want: {},
      dropped: ['enable_thinking', 'reasoning_effort'],
    },
    // What could not be said is listed: other template arguments, a budget, a form that is not known.
    {
      style: 'thinking',
      request: { chat_template_kwargs: { custom: 1 } },
      want: {},
      dropped: ['chat_template_kwargs'],
    },
    {
      style: 'thinking',
      request: { chat_template_kwargs: { enable_thinking: true, custom: 1 } },
      want: { thinking: { type: 'enabled' } },
      dropped: ['chat_template_kwargs'],
    },
    {
      style: 'thinking',
      request: { enable_thinking: true, thinking_budget: 100 },
      want: { thinking: { type: 'enabled' } },
      dropped: ['thinking_budget'],
    },
    { style: 'enable_thinking', request: { reasoning_effort: 0.5 }, want: {}, dropped: ['reasoning_effort'] },
  ]
  test.each(cases)('$style: $request', ({ style, request, want, dropped = [] }) => {
    const translated = translate(request, STYLES[style])
    expect(translated.fields).toEqual(want)
    expect(translated.dropped.toSorted()).toEqual(dropped.toSorted())
  })
})

describe.each(Object.entries(STYLES))('whatever was sent, for %s', (style, quirks) => {
  const word = fc.constantFrom(
    'none',
    'minimal',
    'low',
    'medium',
    'high',
    'xhigh',
    'constructor',
    '__proto__',
    '',
  )
  const request = fc.record(
    {
      thinking: fc.record({ type: fc.constantFrom('enabled', 'disabled') }),
      enable_thinking: fc.boolean(),
      thinking_budget: fc.nat(100_000),
      reasoning: fc.oneof(fc.record({ effort: word }), fc.record({ enabled: fc.boolean() })),
      chat_template_kwargs: fc.record({ enable_thinking: fc.boolean() }),
      reasoning_effort: word,
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Json>

  test('the upstream reads the same switch', () => {
    fc.assert(
      fc.property(request, (sent) => {
        const meant = readThinking(sent)
        const { fields, dropped } = translate(sent, quirks)
        if (meant.enabled === null || dropped.includes('reasoning_effort') || style === 'none') return
        // It thinks whatever it is told, and where nothing is told too.
        if (style === 'reasoning_effort, always on') return
        // A budget alone says nothing of the switch.
        if (Object.keys(sent).every((field) => field === 'thinking_budget')) return
        const read = readThinking(fields)
        expect(read.enabled ?? read.budgetTokens !== null).toBe(meant.enabled)
      }),
      { seed: 31, numRuns: 300 },
    )
  })

  test('a translated request needs no further translation', () => {
    fc.assert(
      fc.property(request, (sent) => {
        const { fields } = translate(sent, quirks)
        const again = translate(fields, quirks)
        expect(again.fields).toEqual(fields)
        if (style === 'none') expect(THINKING_FIELDS.filter((field) => field in fields)).toEqual([])
      }),
      { seed: 32, numRuns: 300 },
    )
  })

  test('every edit is JSON', () => {
    fc.assert(
      fc.property(request, (sent) => {
        const { set } = writeThinking(sent, readThinking(sent), quirks)
        for (const value of set.values()) expect(JSON.stringify(value)).toEqual(expect.any(String))
      }),
      { seed: 33, numRuns: 200 },
    )
  })
})
