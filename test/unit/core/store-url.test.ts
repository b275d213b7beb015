import { describe, expect, test } from 'vitest'
import { isRedisUrl, parseRedisUrl, StoreUrlError } from '#core/store-url.ts'

const NOTHING = {
  tls: false,
  username: null,
  password: null,
  database: 0,
  masterName: null,
  sentinelUsername: null,
  sentinelPassword: null,
}

describe('a store URL of Redis is read', () => {
  test.each([
    ['redis://cache', { topology: 'standalone', hosts: [{ host: 'cache', port: 6379 }] }],
    ['redis://cache:7000/3', { topology: 'standalone', hosts: [{ host: 'cache', port: 7000 }], database: 3 }],
    ['redis://cache/?db=3', { topology: 'standalone', hosts: [{ host: 'cache', port: 6379 }], database: 3 }],
    [
      'rediss://:p%40ss@[::1]:6380',
      { topology: 'standalone', hosts: [{ host: '::1', port: 6380 }], tls: true, password: 'p@ss' },
    ],
    [
      'redis://sluice@cache',
      { topology: 'standalone', hosts: [{ host: 'cache', port: 6379 }], username: 'sluice' },
    ],
    [
      'redis-sentinel://sluice:pa:ss@a:1,b,c:3/main?db=2&sentinel_user=s&sentinel_password=%2F',
      {
        topology: 'sentinel',
        hosts: [
          { host: 'a', port: 1 },
          { host: 'b', port: 26_379 },
          { host: 'c', port: 3 },
        ],
        username: 'sluice',
        password: 'pa:ss',
        database: 2,
        masterName: 'main',
        sentinelUsername: 's',
        sentinelPassword: '/',
      },
    ],
    [
      'rediss-cluster://a:1,[2001:db8::1]:2',
      {
        topology: 'cluster',
        hosts: [
          { host: 'a', port: 1 },
          { host: '2001:db8::1', port: 2 },
        ],
        tls: true,
      },
    ],
  ])('%s', (url, expected) => {
    expect(isRedisUrl(url)).toBe(true)
    expect(parseRedisUrl(url)).toEqual({ ...NOTHING, ...expected })
  })
})

describe('a store URL of Redis that cannot be used is refused with its reason', () => {
  test.each([
    ['redis://', 'is not whole'],
    ['redis:cache', 'is not whole'],
    ['redis://cache#1', 'is not whole'],
    ['redis://a,b', 'several hosts'],
    ['redis://cache/one', 'database that is no number'],
    ['redis://cache/1?db=1', 'database twice'],
    ['redis://cache?family=6', 'option that is not known; options are db'],
    ['redis://cache:0', 'port of host 1'],
    ['redis://cache:123456', 'port of host 1'],
    ['redis://cache:port', 'host 1 is no HOST:PORT'],
    ['redis://:pass%word@cache', 'write it as %25'],
    ['redis-sentinel://a:1', 'names no master'],
    ['redis-sentinel://a:1,/main', 'host 2 is empty'],
    ['redis-sentinel://a:1/main?db=1&db=2', 'db twice'],
    ['redis-cluster://a:1/1', 'the only one of a cluster'],
    ['redis-cluster://a:1,b:99999', 'port of host 2'],
  ])('%s', (url, reason) => {
    expect(() => parseRedisUrl(url)).toThrow(StoreUrlError)
    expect(() => parseRedisUrl(url)).toThrow(reason)
  })

  test('and nothing of a password is repeated, wherever it was cut', () => {
    for (const url of [
      'redis://u:hunter2/x@cache',
      'redis://u:hunter2?x@cache',
      'redis://u:hunter2#x@cache',
      'redis-sentinel://u:hunter2/x@a:1/main',
      'redis-cluster://u:hunter2,x@a:1',
    ]) {
      let message = ''
      try {
        parseRedisUrl(url)
      } catch (error) {
        message = String(error)
      }
      expect(message).not.toContain('hunter2')
    }
  })
})
