// Loose tool calls of vendors → tool calls as OpenAI has them: an array, each call with an index of its own, its id
// and name only where it begins. Which call a fragment belongs to is remembered for the length of a stream.

import { isObject } from '../json-object.ts'

type MutableJson = Record<string, unknown>

/** The calls of one choice so far; a call's place is the index that clients see. */
interface CallPlaces {
  readonly byId: Map<string, number>
  /** By the upstream's index, which some vendors use again for the next call. */
  readonly byIndex: Map<number, number>
  /** Calls whose name is known; it is not said again, because some SDKs join what they get. */
  readonly named: Set<number>
  count: number
  last: number | null
}

/** Memory of one stream. */
export class CallMemory {
  /** Most answers call nothing. */
  #choices: Map<unknown, CallPlaces> | null = null

  of(choice: unknown): CallPlaces {
    this.#choices ??= new Map()
    let places = this.#choices.get(choice)
    if (places === undefined) {
      places = { byId: new Map(), byIndex: new Map(), named: new Set(), count: 0, last: null }
      this.#choices.set(choice, places)
    }
    return places
  }
}

/** Length of what a call holds; 0: nothing. */
export function callLength(call: unknown): number {
  if (!isObject(call)) return 0
  const fn = isObject(call['function']) ? call['function'] : isObject(call['custom']) ? call['custom'] : null
  const name = typeof fn?.['name'] === 'string' ? fn['name'].length : 0
  const given = fn?.['arguments'] ?? fn?.['input']
  const id = typeof call['id'] === 'string' ? call['id'].length : 0
  return name + id + (typeof given === 'string' ? given.length : 0)
}

/**
 * Repairs the `tool_calls` of a delta, or of a whole message when there are no places to keep.
 * @returns whether anything was written.
 */
export function repairCalls(delta: MutableJson, places: CallPlaces | null): boolean {
  const sent = delta['tool_calls']
  if (sent === undefined || sent === null) return false
  const calls = (Array.isArray(sent) ? sent : [sent]).filter((call) => callLength(call) > 0) as MutableJson[]
  if (calls.length === 0) {
    delete delta['tool_calls']
    return true
  }
  delta['tool_calls'] = calls.map((call, position) =>
    places === null ? repairWhole(call, position) : repairFragment(call, places),
  )
  return true
}

function repairWhole(call: MutableJson, position: number): MutableJson {
  const { id, index: _index, type, function: _function, ...rest } = call
  return { ...rest, id: word(id) ?? `call_${position}`, type: word(type) ?? 'function', ...bodyOf(call) }
}

function repairFragment(call: MutableJson, places: CallPlaces): MutableJson {
  const { id, index: _index, type, function: _function, ...rest } = call
  const known = knownPlace(call, places)
  if (known !== null) {
    const body = bodyOf(call, places.named.has(known))
    if (nameOf(call) !== null) places.named.add(known)
    places.last = known
    return { ...rest, index: known, ...body }
  }
  const place = begin(call, places)
  const names = { id: word(id) ?? `call_${place}`, type: word(type) ?? 'function' }
  return { ...rest, index: place, ...names, ...bodyOf(call) }
}

/** An id says most, then an index; a fragment with neither goes on with the last call unless it has a name. */
function knownPlace(call: MutableJson, places: CallPlaces): number | null {
  const id = word(call['id'])
  if (id !== null) return places.byId.get(id) ?? null
  const { index } = call
  if (isIndex(index)) return places.byIndex.get(index) ?? null
  return nameOf(call) === null ? places.last : null
}

function begin(call: MutableJson, places: CallPlaces): number {
  const place = places.count++
  const id = word(call['id'])
  const { index } = call
  if (id !== null) places.byId.set(id, place)
  if (isIndex(index)) places.byIndex.set(index, place)
  if (nameOf(call) !== null) places.named.add(place)
  places.last = place
  return place
}

/** Empty where the call is of another type and says so elsewhere (`custom`). */
function bodyOf(call: MutableJson, isNamed = false): object {
  if (call['function'] === undefined && isObject(call['custom'])) return {}
  const name = isNamed ? null : nameOf(call)
  const own = isObject(call['function']) ? call['function'] : {}
  const text = typeof own['arguments'] === 'string' ? own['arguments'] : ''
  return { function: { ...(name === null ? {} : { name }), arguments: text } }
}

function nameOf(call: MutableJson): string | null {
  return isObject(call['function']) ? word(call['function']['name']) : null
}

function word(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

/** GLM streams negative ones. */
function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}
