// What a `store:` URL says: whose process it names, and for Redis which servers, by which way they are run.

export interface RedisHost {
  readonly host: string
  readonly port: number
}

export interface RedisAddress {
  /** `sentinel`: the hosts are sentinels, and they name the master. `cluster`: any of its nodes. */
  readonly topology: 'standalone' | 'sentinel' | 'cluster'
  readonly hosts: readonly [RedisHost, ...RedisHost[]]
  readonly tls: boolean
  readonly username: string | null
  readonly password: string | null
  /** 0 in a cluster. */
  readonly database: number
  /** What sentinels call the master; null elsewhere. */
  readonly masterName: string | null
  /** Of the sentinels themselves. */
  readonly sentinelUsername: string | null
  readonly sentinelPassword: string | null
}

/** Each scheme, with what is right after it. */
export const STORE_FORMS: Readonly<Record<string, string>> = {
  'sqlite:': 'sqlite:PATH',
  'memory:': 'memory:',
  'redis:': 'redis://USER:PASSWORD@HOST:PORT/DATABASE',
  'rediss:': 'rediss://USER:PASSWORD@HOST:PORT/DATABASE',
  'redis-sentinel:': 'redis-sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME?db=DATABASE',
  'rediss-sentinel:': 'rediss-sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME?db=DATABASE',
  'redis-cluster:': 'redis-cluster://USER:PASSWORD@HOST:PORT,HOST:PORT',
  'rediss-cluster:': 'rediss-cluster://USER:PASSWORD@HOST:PORT,HOST:PORT',
}

const PORT = 6379
const SENTINEL_PORT = 26_379
const PORT_MAX = 65_535
const DATABASE_MAX = 65_535
const HOSTS_MAX = 64

/** Why a URL of Redis cannot be used; it repeats no part that may belong to a password. */
export class StoreUrlError extends Error {}

export function isRedisUrl(url: string): boolean {
  return /^rediss?(-sentinel|-cluster)?:/.test(url)
}

/** @throws StoreUrlError */
export function parseRedisUrl(url: string): RedisAddress {
  const found = /^redis(s?)(?:-(sentinel|cluster))?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url)
  if (found === null) throw new StoreUrlError('is not whole')
  const [, secure = '', kind = 'standalone', authority = '', path = '', query = ''] = found
  const topology = kind as RedisAddress['topology']
  const at = authority.lastIndexOf('@')
  const user = at === -1 ? '' : authority.slice(0, at)
  const colon = user.indexOf(':')
  const options = readOptions(topology, query)
  return {
    topology,
    hosts: readHosts(topology, authority.slice(at + 1)),
    tls: secure === 's',
    username: textOrNull(decode(colon === -1 ? user : user.slice(0, colon))),
    password: textOrNull(colon === -1 ? '' : decode(user.slice(colon + 1))),
    ...readPath(topology, decode(path), options.get('db')),
    sentinelUsername: textOrNull(options.get('sentinel_user') ?? ''),
    sentinelPassword: textOrNull(options.get('sentinel_password') ?? ''),
  }
}

function readHosts(topology: RedisAddress['topology'], list: string): RedisAddress['hosts'] {
  const texts = list.split(',')
  if (texts.length > HOSTS_MAX) throw new StoreUrlError(`names more than ${HOSTS_MAX} hosts`)
  if (texts.length > 1 && topology === 'standalone') {
    throw new StoreUrlError('names several hosts, which only redis-sentinel: and redis-cluster: have')
  }
  const [first, ...others] = texts.map((text, index) => readHost(topology, text, index + 1))
  if (first === undefined) throw new StoreUrlError('is not whole: names no host')
  return [first, ...others]
}

function readHost(topology: RedisAddress['topology'], text: string, number: number): RedisHost {
  if (text === '') throw new StoreUrlError(`is not whole: host ${number} is empty`)
  const [, address, name, port] = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d*))?$/i.exec(text) ?? []
  const host = address ?? name
  if (host === undefined) {
    throw new StoreUrlError(
      `is not whole: host ${number} is no HOST:PORT (in a password @ is written %40, / %2F, # %23 and ? %3F)`,
    )
  }
  if (port === undefined || port === '') {
    return { host, port: topology === 'sentinel' ? SENTINEL_PORT : PORT }
  }
  if (port.length > 5 || Number(port) < 1 || Number(port) > PORT_MAX) {
    throw new StoreUrlError(`has a port of host ${number} that is not between 1 and ${PORT_MAX}`)
  }
  return { host, port: Number(port) }
}

function readPath(
  topology: RedisAddress['topology'],
  path: string,
  option: string | undefined,
): Pick<RedisAddress, 'database' | 'masterName'> {
  if (topology === 'sentinel') {
    if (!/^[\w.-]+$/.test(path)) {
      throw new StoreUrlError('names no master: after the hosts comes /NAME, as the sentinels call it')
    }
    return { masterName: path, database: readDatabase(option ?? '0') }
  }
  if (path !== '' && option !== undefined) throw new StoreUrlError('names a database twice')
  const database = readDatabase(path === '' ? (option ?? '0') : path)
  if (topology === 'cluster' && database !== 0) {
    throw new StoreUrlError('names a database other than 0, the only one of a cluster')
  }
  return { masterName: null, database }
}

function readDatabase(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > DATABASE_MAX) {
    throw new StoreUrlError('names a database that is no number')
  }
  return Number(text)
}

function readOptions(topology: RedisAddress['topology'], query: string): ReadonlyMap<string, string> {
  const known = topology === 'sentinel' ? ['db', 'sentinel_user', 'sentinel_password'] : ['db']
  const options = new Map<string, string>()
  for (const part of query.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = equals === -1 ? part : part.slice(0, equals)
    if (!known.includes(name)) {
      throw new StoreUrlError(`has an option that is not known; options are ${known.join(', ')}`)
    }
    if (options.has(name)) throw new StoreUrlError(`has the option ${name} twice`)
    options.set(name, equals === -1 ? '' : decode(part.slice(equals + 1)))
  }
  return options
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new StoreUrlError('has a % that begins no escape: write it as %25')
  }
}

function textOrNull(text: string): string | null {
  return text === '' ? null : text
}
