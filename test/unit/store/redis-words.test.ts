// What errors of Redis, of its driver and of its sentinels mean, and what is said of them.

import { expect, test } from 'vitest'
import { StoreUnavailableError } from '#store/errors.ts'
import { isLasting, unavailable, withRefusedCommand } from '#store/redis/faults.ts'

test.each([
  ['Command timed out', 'unanswered', 'did not answer in time'],
  ['Connection is closed.', 'disconnected', 'the connection broke'],
  ['Reached the max retries per request limit (which is 0).', 'disconnected', 'the connection broke'],
  ['LOADING Redis is loading the dataset in memory', 'loading', 'still loading'],
  ['CLUSTERDOWN Hash slot not served', 'cluster_down', 'cluster is down'],
  [
    'Too many Cluster redirections. Last error: ReplyError: TRYAGAIN Multiple keys request',
    'cluster_down',
    'on its way',
  ],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'full', 'maxmemory'],
  ["READONLY You can't write against a read only replica.", 'refusing_writes', 'replica'],
  ['MISCONF Redis is configured to save RDB snapshots', 'refusing_writes', 'disk'],
  ['NOREPLICAS Not enough good replicas to write.', 'refusing_writes', 'replicas'],
  ['BUSY Redis is busy running a script.', 'busy', 'script'],
  ['NOAUTH Authentication required.', 'forbidden', 'asks for a password'],
  ['WRONGPASS invalid username-password pair', 'forbidden', 'user and password of the store URL'],
  [
    "NOPERM this user has no permissions to run the 'eval' command",
    'forbidden',
    "'eval' command; allow its user",
  ],
  ["ERR unknown command 'EVALSHA', with args beginning with:", 'forbidden', '+@scripting'],
  [
    "ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'",
    'unsupported',
    'older than Redis 7',
  ],
  [
    'All sentinels are unreachable. Retrying from scratch after 50ms. Last error: ERR No such master with that name',
    'misconfigured',
    'know no master of the name',
  ],
  [
    'All sentinels are unreachable. Retrying from scratch after 50ms. Last error: WRONGPASS invalid username',
    'forbidden',
    'sentinel_password',
  ],
  ['All sentinels are unreachable. Last error: connect ECONNREFUSED', 'disconnected', 'unreachable'],
  ['MOVED 866 10.0.0.1:6379', 'misconfigured', 'redis-cluster:'],
  ['ERR This instance has cluster support disabled', 'misconfigured', 'no node of a cluster'],
  ['ERR something new', 'failed', 'ERR something new'],
] as const)('%s', (message, trouble, words) => {
  const error = unavailable(new Error(message))
  expect(error).toMatchObject({ trouble })
  expect(error.message).toMatch(/^Redis is unavailable: /)
  expect(error.message).toContain(words)
  expect(isLasting(error)).toBe(['forbidden', 'unsupported', 'misconfigured'].includes(trouble))
  expect(unavailable(error)).toBe(error)
})

test('a command that a script may not run is named by its line', () => {
  const script = "#!lua\nlocal a = 1\nredis.call('XADD', KEYS[1], '*', 'a', a)\n"
  const refused = new Error(
    "ERR The user executing the script can't run this command or subcommand script: ab, on @user_script:3.",
  )
  expect(unavailable(withRefusedCommand(refused, script)).message).toContain("run the 'xadd' command")
  const other = new Error('ERR value is not an integer script: ab, on @user_script:3.')
  expect(withRefusedCommand(other, script)).toBe(other)
  expect(unavailable('no error')).toBeInstanceOf(StoreUnavailableError)
})
