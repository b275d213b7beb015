// Those who know. A clairvoyant oracle sees what each attempt would come to; a state oracle knows all but the noise, and
// is the ceiling that a policy without hedges could reach.

import { factorShare, speedShare } from '../physics.ts'
import type { Answer, Line, Policy, RequestLine } from '../protocol.ts'
import { STORM_SHARE } from '../shifts.ts'
import type { SimulatedTarget } from '../targets.ts'
import { emptyOutcome, TTFT_TIMEOUT_MS, type World } from '../world.ts'
import type { Contender, Run } from './contender.ts'

/** The state oracle's bar, where no value is declared. */
const GOOD_ENOUGH_SHARE = 0.9
/** Of an attempt that is not answered, in met SLOs: a request must not fail for want of hope. */
const NO_ANSWER_LOSS = 2

interface Prospect {
  readonly target: number
  readonly cost: number
  /** Of meeting the SLO. */
  readonly share: number
  /** Of being answered at all. */
  readonly answerShare: number
  readonly ttftMs: number
}

type Look = (request: number, target: number, ordinal: number, at: number) => Prospect
type Choose = (prospects: readonly Prospect[]) => Prospect | undefined

/** Targets whose limits refuse are no prospects; with none left the oracle waits for the first to let it through. */
function oracle(world: World, look: Look, choose: Choose): Policy {
  const decide = (line: RequestLine): Answer => {
    const request = Number(line.id.slice(1))
    const { at, id } = line
    const fresh: Prospect[] = []
    const tried: Prospect[] = []
    let waitMs = Number.POSITIVE_INFINITY
    for (const [target, { id: name, contextWindow }] of world.targets.entries()) {
      if (line.input_tokens > contextWindow) continue
      const targetWaitMs = world.waitMs(target, line.input_tokens, at)
      waitMs = Math.min(waitMs, targetWaitMs)
      const ordinal = line.tried?.filter((tried) => tried === name).length ?? 0
      if (targetWaitMs === 0) (ordinal === 0 ? fresh : tried).push(look(request, target, ordinal, at))
    }
    const chosen = choose(fresh) ?? choose(tried)
    if (chosen === undefined)
      return waitMs < Number.POSITIVE_INFINITY
        ? { id, order: [], wait_ms: Math.ceil(waitMs) }
        : { id, order: [] }
    return {
      id,
      order: [world.targets[chosen.target]?.id ?? ''],
      explore: false,
      propensity: 1,
      hedge_after_ms: null,
      expected_cost: chosen.cost,
      p_slo: chosen.share,
    }
  }
  return {
    handle: (line: Line) => {
      if (line.type === 'request') return decide(line)
      return line.type === 'hedge?' ? { id: line.id, target: null } : null
    },
  }
}

function clairvoyant(world: World): Look {
  const outcome = emptyOutcome()
  const { slo } = world.setup
  return (request, target, ordinal, at) => {
    world.preview(request, target, ordinal, at, outcome)
    const inputTokens = world.inputTokens(request)
    const outputTokens = world.outputTokens(request)
    const isAnswered = outcome.error === null
    const waitedMs = at - world.arrivalAt(request)
    const isMet =
      isAnswered &&
      waitedMs + outcome.afterMs <= slo.ttftMs &&
      (outputTokens === 1 || outcome.msPerToken <= slo.msPerOutputToken)
    return {
      target,
      cost: world.cost(target, inputTokens, outcome.cachedTokens, outputTokens, at),
      share: isMet ? 1 : 0,
      answerShare: isAnswered ? 1 : 0,
      ttftMs: isAnswered ? outcome.afterMs : Number.POSITIVE_INFINITY,
    }
  }
}

function informed(world: World): Look {
  const expectedOutput = outputByInput(world)
  return (request, target, _ordinal, at) => {
    const facts = world.targets[target] as SimulatedTarget
    const inputTokens = world.inputTokens(request)
    const outputTokens = expectedOutput(inputTokens)
    const held = world.heldTokens(target, request, at)
    const hit = held > 0 ? facts.cacheHitShare : 0
    const waitedMs = at - world.arrivalAt(request)
    const missedMs = world.medianMs(target, inputTokens, at)
    const hitMs = hit > 0 ? world.medianMs(target, inputTokens - held, at) : missedMs
    const answerShare =
      answers(world, target, at) * inTime(world, facts, TTFT_TIMEOUT_MS, [hit, hitMs, missedMs])
    const inTimeShare = inTime(world, facts, world.setup.slo.ttftMs - waitedMs, [hit, hitMs, missedMs])
    return {
      target,
      cost:
        hit * world.cost(target, inputTokens, held, outputTokens, at) +
        (1 - hit) * world.cost(target, inputTokens, 0, outputTokens, at),
      share: answers(world, target, at) * inTimeShare * speedShare(facts, world.setup.slo.msPerOutputToken),
      answerShare,
      ttftMs: hit * hitMs + (1 - hit) * missedMs,
    }
  }
}

/** The share of attempts that are answered at all. */
function answers(world: World, target: number, at: number): number {
  if (world.isOn('outage', target, at) || world.isOn('hang', target, at)) return 0
  const storm = world.isOn('storm', target, at) ? 1 - STORM_SHARE : 1
  return storm * (1 - (world.targets[target]?.failureShare ?? 0))
}

function inTime(
  world: World,
  facts: SimulatedTarget,
  barMs: number,
  [hit, hitMs, missedMs]: readonly [number, number, number],
): number {
  if (barMs <= 0) return 0
  const missed = (1 - hit) * factorShare(world.physics, facts, barMs / missedMs)
  return hit > 0 ? missed + hit * factorShare(world.physics, facts, barMs / hitMs) : missed
}

/** Mean output by powers of two of the input: the length of an answer is not known when it is asked for. */
function outputByInput(world: World): (inputTokens: number) => number {
  const sums = new Float64Array(40)
  const counts = new Float64Array(40)
  const bucketOf = (inputTokens: number): number => Math.floor(Math.log2(Math.max(1, inputTokens)))
  for (let request = 0; request < world.trace.count; request += 1) {
    const bucket = bucketOf(world.inputTokens(request))
    sums[bucket] = (sums[bucket] ?? 0) + world.outputTokens(request)
    counts[bucket] = (counts[bucket] ?? 0) + 1
  }
  return (inputTokens) => {
    const bucket = bucketOf(inputTokens)
    return (sums[bucket] ?? 0) / Math.max(1, counts[bucket] ?? 0)
  }
}

function least(prospects: readonly Prospect[], read: (prospect: Prospect) => number): Prospect | undefined {
  let best: Prospect | undefined
  for (const prospect of prospects) if (best === undefined || read(prospect) < read(best)) best = prospect
  return best
}

/** The cheapest that will do, else the fastest. */
function cheapestGoodEnough(share: number): Choose {
  return (prospects) =>
    least(
      prospects.filter((prospect) => prospect.share >= share),
      (prospect) => prospect.cost,
    ) ??
    least(prospects, (prospect) => (prospect.answerShare > 0 ? prospect.ttftMs : Number.POSITIVE_INFINITY))
}

function mostValue(valueCny: number): Choose {
  return (prospects) =>
    least(
      prospects,
      ({ cost, share, answerShare }) =>
        cost - valueCny * share + NO_ANSWER_LOSS * valueCny * (1 - answerShare),
    )
}

export const ORACLES: readonly Contender[] = [
  {
    name: 'oracle',
    hasValue: false,
    kind: 'oracle',
    make: ({ world }: Run) => oracle(world, clairvoyant(world), cheapestGoodEnough(1)),
  },
  {
    name: 'oracle-λ',
    hasValue: true,
    kind: 'oracle',
    make: ({ world, valueCny }: Run) => oracle(world, clairvoyant(world), mostValue(valueCny)),
  },
  {
    name: 'state-oracle',
    hasValue: false,
    kind: 'oracle',
    make: ({ world }: Run) => oracle(world, informed(world), cheapestGoodEnough(GOOD_ENOUGH_SHARE)),
  },
  {
    name: 'state-oracle-λ',
    hasValue: true,
    kind: 'oracle',
    make: ({ world, valueCny }: Run) => oracle(world, informed(world), mostValue(valueCny)),
  },
]
