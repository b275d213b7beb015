import { describe, expect, test } from 'vitest'
import type { PriceEntry } from '#core/price.ts'
import type { Capability, ModelRule, Provider } from '#core/provider.ts'
import { compileLive, type TargetFacts } from '#pipeline/live.ts'
import { buildCatalogue } from '#pricing/catalogue.ts'
import { formatted, settingsOf, vendor } from '../settings/fixtures.ts'
import { factsWith, liveWith } from './support.ts'

const lacking = (facts: TargetFacts, ...asked: Capability[]): Capability[] => asked.filter(facts.lacks)

describe('what a target is known to lack', () => {
  const models: readonly ModelRule[] = [
    { match: /^small/, can: ['vision'], cannot: ['stop'] },
    { match: /^large/, cannot: ['tools'] },
  ]
  const folder: Partial<Provider> = { models, cannot: ['vision', 'n'] }

  test('a model’s own ability counts more than the provider’s lack', () => {
    expect(lacking(factsWith(folder, 'small'), 'vision', 'stop', 'n')).toEqual(['stop', 'n'])
    expect(lacking(factsWith(folder, 'large'), 'vision', 'tools', 'n')).toEqual(['vision', 'tools', 'n'])
  })

  test('what nobody knows is assumed to be there', () => {
    expect(lacking(factsWith({}), 'tools', 'vision', 'json_schema', 'stream', 'unstreamed')).toEqual([])
  })

  test('the configuration’s list is final for what it speaks of', () => {
    const facts = factsWith(folder, 'large', { capabilities: ['tools'] })
    expect(lacking(facts, 'tools', 'vision', 'audio_input', 'file_input')).toEqual([
      'vision',
      'audio_input',
      'file_input',
    ])
    expect(lacking(facts, 'stream', 'json_object', 'stop')).toEqual([])
    expect(lacking(facts, 'n')).toEqual(['n'])
  })
})

describe('what a price list says of a model', () => {
  const entry = (rest: Partial<PriceEntry>): PriceEntry => ({
    model: 'small',
    currency: 'CNY',
    unit: 'per_million_tokens',
    tiers: [{ input: '1', output: '2' }],
    ...rest,
  })
  function listed(
    rest: Partial<PriceEntry>,
    folder: Partial<Provider> = {},
    target: object = {},
  ): TargetFacts {
    const provider: Provider = { ...vendor, ...folder }
    const settings = settingsOf(
      {
        providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
        models: { assistant: { targets: [{ target: 'main/small', ...target }] } },
      },
      {},
      new Map([[provider.id, provider]]),
    )
    const live = compileLive(
      settings,
      buildCatalogue({ lists: [{ provider: provider.id, entries: [entry(rest)] }], overrides: [] }),
    )
    const [configured] = settings.models.get('assistant')?.targets ?? []
    if (configured === undefined) throw new Error('no target')
    return live.factsOf(configured)
  }

  test('its list tells what the model cannot do, of what such lists speak of', () => {
    expect(lacking(listed({ capabilities: ['tools'] }), 'tools', 'vision', 'stop', 'json_schema')).toEqual([
      'vision',
    ])
  })

  test('of files such lists say nothing', () => {
    expect(lacking(listed({ capabilities: ['tools'] }), 'file_input')).toEqual([])
  })

  test('an empty list tells nothing', () => {
    expect(lacking(listed({ capabilities: [] }), 'tools', 'vision')).toEqual([])
  })

  test('the folder’s word counts more', () => {
    const folder = { models: [{ match: /small/, can: ['vision'] }] } as const
    expect(lacking(listed({ capabilities: ['tools'] }, folder), 'vision')).toEqual([])
  })

  test('its window holds unless the folder or the configuration says otherwise', () => {
    const folder = { models: [{ match: /small/, contextWindow: 2_000 }] }
    expect(listed({ context_window: 1_000 }).contextWindow).toBe(1_000)
    expect(listed({ context_window: 1_000 }, folder).contextWindow).toBe(2_000)
    expect(listed({ context_window: 1_000 }, folder, { context_window: 3_000 }).contextWindow).toBe(3_000)
    expect(listed({}).contextWindow).toBeNull()
  })
})

describe('how a target is asked', () => {
  test('the first rule that matches a model holds, over the provider’s quirks', () => {
    const facts = factsWith({
      quirks: { streamUsage: 'option', thinking: { style: 'reasoning' }, maxTokens: 'max_tokens' },
      models: [
        { match: /nothing/, quirks: { streamUsage: 'always' } },
        { match: /^sm/, quirks: { thinking: { style: 'none' } }, thinksByDefault: true },
        { match: /small/, quirks: { maxTokens: 'both' } },
      ],
    })
    expect(facts.quirks).toMatchObject({
      streamUsage: 'option',
      thinking: { style: 'none' },
      maxTokens: 'max_tokens',
    })
    expect(facts.thinksByDefault).toBe(true)
  })

  test('a format of its own has its address and is chosen by model', () => {
    const live = liveWith([formatted], {
      providers: {
        main: { use: 'formatted', base_url: 'https://new.example/v1' },
        bare: { use: 'formatted' },
      },
      models: { assistant: { targets: ['main/old-1', 'main/new-1', 'bare/old-1'] } },
    })
    const targets = live.settings.models.get('assistant')?.targets ?? []
    expect(
      targets.map((target) => live.factsOf(target)).map(({ format, baseUrl }) => [format?.name, baseUrl]),
    ).toEqual([
      ['old', 'https://new.example/v1'],
      [undefined, 'https://new.example/v1'],
      ['old', 'https://old.example'],
    ])
  })
})

describe('the memory for names that clients invent', () => {
  const live = liveWith([vendor], {
    providers: { main: { use: 'vendor', api_key: 'secret-of-vendor' } },
    models: { assistant: { targets: ['main/small'] } },
  })

  test('gives one target for one name', () => {
    expect(live.directTarget('main/x')).toBe(live.directTarget('main/x'))
    expect(live.directTarget('nobody/x')).toBeNull()
  })

  test('facts of a direct name do not stand in for those of a configured target', () => {
    const [configured] = live.settings.models.get('assistant')?.targets ?? []
    const direct = live.directTarget('main/small')
    if (configured === undefined || direct === null) throw new Error('no target')
    const special = { ...configured, contextWindow: 5 }
    expect(live.factsOf(special).contextWindow).toBe(5)
    expect(live.factsOf(direct).contextWindow).toBeNull()
    expect(live.factsOf(special).contextWindow).toBe(5)
  })

  test('a policy that is not there is our fault', () => {
    expect(() => live.policy('nope')).toThrow('no policy nope')
  })

  test('the book currency needs no rate', () => {
    expect(live.rateOf('CNY', 0)).toBeNull()
  })
})
