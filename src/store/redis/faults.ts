// What an error of Redis or of its driver means, in words that say what to do.

import { type StoreTrouble, StoreUnavailableError } from '../errors.ts'

/** What the commands of a connection may be refused: for the operator, who knows the user's name. */
const ALLOW =
  'allow its user the keys ~{sluice}* ~{org:* ~{provider:* ~{target:* and the commands +@read +@write -@dangerous +@scripting +@connection +time +info +config|get, and in a cluster +cluster|slots'

/** By the first word of an error reply. */
const CODES: Readonly<Record<string, readonly [trouble: StoreTrouble, words: string | null]>> = {
  LOADING: ['loading', 'it is still loading its data'],
  CLUSTERDOWN: ['cluster_down', 'its cluster is down, or nobody serves a slot'],
  MASTERDOWN: ['cluster_down', 'the replica has lost its master'],
  TRYAGAIN: ['cluster_down', 'the slot is on its way to another node'],
  OOM: ['full', 'it has no memory left (maxmemory)'],
  READONLY: ['refusing_writes', 'this is a replica, which takes no writes'],
  MISCONF: ['refusing_writes', 'it takes no writes because it cannot save to its disk'],
  NOREPLICAS: ['refusing_writes', 'it takes no writes because too few replicas follow it'],
  BUSY: ['busy', 'a script keeps it from answering'],
  NOAUTH: ['forbidden', 'it asks for a password, and the store URL has none'],
  WRONGPASS: ['forbidden', 'it does not accept the user and password of the store URL'],
  NOPERM: ['forbidden', null],
  CROSSSLOT: ['failed', null],
  MOVED: [
    'misconfigured',
    'this is a node of a cluster, and the store URL does not begin with redis-cluster:',
  ],
}

const BROKE = 'the connection broke'

/** Of the driver's own messages. Without words they speak for themselves. */
const PARTS: readonly (readonly [part: string, trouble: StoreTrouble, words?: string])[] = [
  ['Command timed out', 'unanswered', 'it did not answer in time'],
  ['Socket timeout', 'unanswered', 'it did not answer in time'],
  ['Connection is closed', 'disconnected', BROKE],
  ["isn't writeable", 'disconnected', BROKE],
  ['max retries per request', 'disconnected', BROKE],
  ["Cluster isn't ready", 'disconnected', BROKE],
  ['Cluster is ended', 'disconnected', BROKE],
  ['None of startup nodes', 'disconnected'],
  ['Failed to refresh slots cache', 'disconnected'],
  ['Too many Cluster redirections', 'cluster_down', 'the slot is on its way to another node'],
  ['All sentinels are unreachable', 'disconnected'],
]

export function unavailable(cause: unknown): StoreUnavailableError {
  if (cause instanceof StoreUnavailableError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  const code = /^[A-Z]+(?= )/.exec(message)?.[0] ?? ''
  const [trouble, words] = (Object.hasOwn(CODES, code) ? CODES[code] : undefined) ?? [
    troubleOf(message),
    null,
  ]
  return new StoreUnavailableError(`Redis is unavailable: ${words ?? wordsOf(trouble, message)}`, {
    cause,
    trouble,
  })
}

/** Nothing but a change by somebody makes it go away. */
export function isLasting(error: unknown): boolean {
  return (
    error instanceof StoreUnavailableError &&
    (error.trouble === 'forbidden' || error.trouble === 'unsupported' || error.trouble === 'misconfigured')
  )
}

function troubleOf(message: string): StoreTrouble {
  if (/^ERR unknown command/i.test(message)) return 'forbidden'
  if (/can't run this command|can't run @/i.test(message)) return 'forbidden'
  if (/cluster support disabled/.test(message)) return 'misconfigured'
  if (/Last error: ERR No such master/.test(message)) return 'misconfigured'
  if (/Last error: (NOAUTH|WRONGPASS|NOPERM)/.test(message)) return 'forbidden'
  // Redis 6 takes the first line of a script for Lua.
  if (/unexpected symbol near '#'/.test(message)) return 'unsupported'
  return PARTS.find(([part]) => message.includes(part))?.[1] ?? 'failed'
}

/** Which command of a script its user may not run: Redis names the line only. */
export function withRefusedCommand(error: unknown, script: string): unknown {
  if (!(error instanceof Error)) return error
  const [, line = ''] = /can't run this command.*@user_script:(\d+)/.exec(error.message) ?? []
  const [, command] = /redis\.p?call\('(\w+)'/.exec(script.split('\n')[Number(line) - 1] ?? '') ?? []
  if (command === undefined) return error
  return new Error(`NOPERM this user has no permissions to run the '${command.toLowerCase()}' command`, {
    cause: error,
  })
}

function wordsOf(trouble: StoreTrouble, message: string): string {
  if (trouble === 'misconfigured') {
    return message.startsWith('All sentinels')
      ? 'the sentinels know no master of the name in the store URL'
      : 'this is no node of a cluster, and the store URL begins with redis-cluster:'
  }
  if (trouble === 'unsupported') return 'it is older than Redis 7, which is the oldest that can be used'
  if (message.startsWith('All sentinels') && trouble === 'forbidden')
    return 'its sentinels do not accept sentinel_user and sentinel_password of the store URL'
  if (trouble === 'forbidden') return `${message.replace(/^[A-Z]+ /, '').replace(/\.$/, '')}; ${ALLOW}`
  return PARTS.find(([part]) => message.includes(part))?.[2] ?? message
}
