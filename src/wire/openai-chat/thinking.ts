// One switch for thinking over all dialects. Clients say it in any vendor's words; the most specific one sent
// wins (`thinking`, then `enable_thinking`, `reasoning`, `chat_template_kwargs`, `reasoning_effort`).

import type { ThinkingRequest } from '#core/chat.ts'
import type { Quirks, ThinkingSwitch } from '#core/provider.ts'

type Json = Readonly<Record<string, unknown>>

/** Every field in which a client may have said it. */
export const THINKING_FIELDS = [
  'thinking',
  'enable_thinking',
  'thinking_budget',
  'reasoning',
  'chat_template_kwargs',
  'reasoning_effort',
] as const

const SILENT: ThinkingRequest = Object.freeze({ enabled: null, effort: null, budgetTokens: null })

/** What chat templates call the switch. */
const TEMPLATE_SWITCHES: readonly string[] = ['enable_thinking', 'thinking']

/** Words of effort that mean "do not think". */
const OFF_WORDS = new Set(['none', 'off', 'disabled'])

export function readThinking(request: Json): ThinkingRequest {
  if (!THINKING_FIELDS.some((field) => request[field] !== undefined && request[field] !== null)) return SILENT
  const effort = readEffort(request)
  const budgetTokens = readBudget(request)
  return {
    enabled: readSwitch(request) ?? impliedSwitch(effort, budgetTokens),
    effort: effort !== null && OFF_WORDS.has(effort) ? null : effort,
    budgetTokens,
  }
}

/** Who says how much to think wants thinking, unless it is none at all. */
function impliedSwitch(effort: string | null, budgetTokens: number | null): boolean | null {
  if (effort !== null) return !OFF_WORDS.has(effort)
  return budgetTokens === null ? null : budgetTokens > 0
}

function readSwitch(request: Json): boolean | 'auto' | null {
  const thinking = object(request['thinking'])?.['type']
  if (thinking === 'enabled' || thinking === 'adaptive') return true
  if (thinking === 'disabled') return false
  if (thinking === 'auto') return 'auto'
  if (typeof request['enable_thinking'] === 'boolean') return request['enable_thinking']
  const reasoning = object(request['reasoning'])
  if (typeof reasoning?.['enabled'] === 'boolean') return reasoning['enabled']
  if (typeof reasoning?.['effort'] === 'string') return !OFF_WORDS.has(reasoning['effort'])
  const template = object(request['chat_template_kwargs'])
  const said = TEMPLATE_SWITCHES.map((key) => template?.[key]).find((value) => typeof value === 'boolean')
  return typeof said === 'boolean' ? said : null
}

function readEffort(request: Json): string | null {
  const nested = object(request['reasoning'])?.['effort']
  if (typeof nested === 'string' && nested !== '') return nested
  const own = request['reasoning_effort']
  return typeof own === 'string' && own !== '' ? own : null
}

function readBudget(request: Json): number | null {
  const said =
    object(request['thinking'])?.['budget_tokens'] ??
    request['thinking_budget'] ??
    object(request['reasoning'])?.['max_tokens']
  return typeof said === 'number' && Number.isInteger(said) && said >= 0 ? said : null
}

export interface ThinkingEdit {
  /** JSON values to set. */
  readonly set: ReadonlyMap<string, unknown>
  /** Fields of other dialects to take out. */
  readonly remove: readonly string[]
  /** Fields whose meaning could not be said in this dialect. */
  readonly dropped: readonly string[]
}

/** Says the switch in a target's words. Fields that already are its own words stay as they came. */
export function writeThinking(request: Json, thinking: ThinkingRequest, quirks: Quirks): ThinkingEdit {
  const set = new Map<string, unknown>()
  const own = ownFields(quirks.thinking)
  const sent = THINKING_FIELDS.filter((field) => request[field] !== undefined && request[field] !== null)
  const empty = THINKING_FIELDS.filter((field) => request[field] === null)
  const foreign = sent.filter((field) => !own.includes(field))
  // A form that is not known cannot be translated.
  if (thinking.enabled === null && thinking.effort === null && thinking.budgetTokens === null)
    return { set, remove: [...foreign, ...empty], dropped: foreign }
  if (sent.length === 0) {
    // The gateway's own word.
    say(set, request, thinking, quirks)
    return { set, remove: empty.filter((field) => !set.has(field)), dropped: [] }
  }
  // Own words that were sent alone are already right; foreign ones, or a mixture, are translated whole.
  if (foreign.length === 0 && !hasForeignWord(request, quirks.thinking))
    return { set, remove: empty, dropped: [] }
  if (!say(set, request, thinking, quirks)) return { set, remove: [...sent, ...empty], dropped: sent }
  const gone = sent.filter((field) => !set.has(field))
  const unsaid = gone.filter((field) => isUnsaid(field, request, thinking, quirks))
  const dropped = isBudgetUnsaid(request, thinking, quirks) ? [...unsaid, 'thinking.budget_tokens'] : unsaid
  return { set, remove: [...gone, ...empty.filter((field) => !set.has(field))], dropped }
}

/** A word that the vendor does not know must be translated even in a field of its own. */
function hasForeignWord(request: Json, dialect: ThinkingSwitch): boolean {
  if (dialect.style === 'chat_template_kwargs') {
    const template = object(request['chat_template_kwargs'])
    const said = TEMPLATE_SWITCHES.some((key) => typeof template?.[key] === 'boolean')
    if (said && typeof template?.[dialect.key] !== 'boolean') return true
  }
  if (dialect.style === 'thinking') {
    const said = object(request['thinking'])
    const type = said?.['type']
    const isOwn = type === 'disabled' || type === wordFor(dialect, type === 'auto' ? 'auto' : true)
    if (typeof type === 'string' && !isOwn) return true
    if (said?.['budget_tokens'] !== undefined && dialect.budget !== true) return true
  }
  // A budget alone does not switch thinking on where it is off unless switched on (Qwen, ERNIE).
  if (dialect.style === 'enable_thinking' && isAbsent(request['enable_thinking'])) {
    if (dialect.budgetField !== undefined && !isAbsent(request[dialect.budgetField])) return true
  }
  const word = request['reasoning_effort']
  if (typeof word !== 'string' || !('efforts' in dialect) || dialect.efforts === undefined) return false
  // An effort beside a switch that says "off" is a 400 (DeepSeek-V3#1397, Roo-Code#11395).
  if (dialect.style !== 'reasoning_effort' && readSwitch(request) === false) return true
  // Where thinking is off unless switched on, an effort alone must switch it on (ERNIE, Qwen).
  if (dialect.style === 'enable_thinking' && isAbsent(request['enable_thinking'])) return true
  // vLLM, SGLang and llama.cpp, whose switch the template is, read this word by themselves.
  if (word === 'none' && dialect.style === 'chat_template_kwargs') return false
  return !dialect.efforts.includes(word) && !(dialect.style === 'reasoning_effort' && word === dialect.off)
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}

/** The type that says it in this dialect. */
function wordFor(dialect: ThinkingSwitch & { style: 'thinking' }, on: true | 'auto'): string {
  return dialect.on ?? (on === 'auto' && dialect.auto === true ? 'auto' : 'enabled')
}

/** `thinking` itself stays; what stood in it may not. */
function isBudgetUnsaid(request: Json, thinking: ThinkingRequest, quirks: Quirks): boolean {
  const asked = object(request['thinking'])?.['budget_tokens']
  const dialect = quirks.thinking
  return (
    !isAbsent(asked) && thinking.enabled !== false && dialect.style === 'thinking' && dialect.budget !== true
  )
}

/** Was there more in a field that goes than the switch that is said otherwise? */
function isUnsaid(field: string, request: Json, thinking: ThinkingRequest, quirks: Quirks): boolean {
  const dialect = quirks.thinking
  if (field === 'chat_template_kwargs') {
    const keys = Object.keys(object(request[field]) ?? {})
    return keys.some((key) => !TEMPLATE_SWITCHES.includes(key))
  }
  if (field !== 'thinking_budget' || thinking.enabled === false) return false
  if (dialect.style === 'thinking') return dialect.budget !== true
  if (dialect.style === 'enable_thinking') return dialect.budgetField === undefined
  return dialect.style !== 'reasoning'
}

function ownFields(dialect: ThinkingSwitch): readonly string[] {
  const effort = 'efforts' in dialect && dialect.efforts !== undefined ? ['reasoning_effort'] : []
  switch (dialect.style) {
    case 'thinking':
      return ['thinking', ...effort]
    case 'enable_thinking':
      return [
        'enable_thinking',
        ...(dialect.budgetField === undefined ? [] : [dialect.budgetField]),
        ...effort,
      ]
    case 'chat_template_kwargs':
      return ['chat_template_kwargs', ...effort]
    case 'reasoning_effort':
      return ['reasoning_effort']
    case 'reasoning':
      return ['reasoning', 'reasoning_effort']
    case 'none':
      return []
  }
}

/** @returns false when the dialect has no words for it. */
function say(set: Map<string, unknown>, request: Json, thinking: ThinkingRequest, quirks: Quirks): boolean {
  const dialect = quirks.thinking
  const on = thinking.enabled ?? true
  const budget = thinking.budgetTokens ?? budgetOfEffort(thinking.effort, quirks)
  switch (dialect.style) {
    case 'thinking': {
      const type = on === false ? 'disabled' : wordFor(dialect, on)
      const tokens =
        dialect.budget === true && type === 'enabled' && budget !== null ? { budget_tokens: budget } : {}
      set.set('thinking', { type, ...tokens })
      setEffort(set, thinking, dialect.efforts, on)
      return true
    }
    case 'enable_thinking':
      set.set('enable_thinking', on !== false)
      if (on !== false && budget !== null && dialect.budgetField !== undefined)
        set.set(dialect.budgetField, budget)
      setEffort(set, thinking, dialect.efforts, on)
      return true
    case 'chat_template_kwargs':
      set.set('chat_template_kwargs', templateWith(object(request['chat_template_kwargs']), dialect.key, on))
      setEffort(set, thinking, dialect.efforts, on)
      return true
    case 'reasoning_effort':
      if (on === false) {
        if (dialect.off === null) return false
        set.set('reasoning_effort', dialect.off)
      } else if (thinking.effort !== null) {
        set.set('reasoning_effort', nearestEffort(thinking.effort, dialect.efforts))
      } else if (dialect.off !== null || dialect.efforts.includes('medium')) {
        set.set('reasoning_effort', nearestEffort('medium', dialect.efforts))
      }
      // Else the model thinks anyway, and how much is best left to its own default (kimi-k3: max).
      return true
    case 'reasoning':
      if (on === false) set.set('reasoning', { enabled: false })
      else if (thinking.budgetTokens !== null && thinking.budgetTokens > 0)
        set.set('reasoning', { max_tokens: thinking.budgetTokens })
      else set.set('reasoning', thinking.effort === null ? { enabled: true } : { effort: thinking.effort })
      return true
    case 'none':
      return false
  }
}

/** A template may know the switch by either name; none may say otherwise. */
function templateWith(sent: Json | null, key: string, on: boolean | 'auto'): Json {
  const template: Record<string, unknown> = { ...sent }
  for (const name of [...TEMPLATE_SWITCHES, key]) {
    if (name === key || name in template) template[name] = on !== false
  }
  return template
}

function setEffort(
  set: Map<string, unknown>,
  thinking: ThinkingRequest,
  efforts: readonly string[] | undefined,
  on: boolean | 'auto',
): void {
  if (efforts === undefined || thinking.effort === null || on === false) return
  set.set('reasoning_effort', nearestEffort(thinking.effort, efforts))
}

function budgetOfEffort(effort: string | null, quirks: Quirks): number | null {
  const budgets = quirks.effortBudgets
  return effort !== null && budgets !== undefined && Object.hasOwn(budgets, effort)
    ? (budgets[effort] ?? null)
    : null
}

const EFFORT_ORDER = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max', 'ultra']

/** The vendor's word nearest to the one asked for, never "off"; on a tie the smaller effort, which costs less. */
function nearestEffort(effort: string, known: readonly string[]): string {
  if (known.includes(effort)) return effort
  const asked = EFFORT_ORDER.indexOf(effort)
  const words = known.filter((word) => !OFF_WORDS.has(word))
  let best = words[0] ?? effort
  let distance = Number.POSITIVE_INFINITY
  for (const word of words) {
    const gap = Math.abs(EFFORT_ORDER.indexOf(word) - asked)
    if (gap < distance) {
      best = word
      distance = gap
    }
  }
  return best
}

function object(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null
}
