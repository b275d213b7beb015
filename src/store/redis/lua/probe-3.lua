#!lua
-- Tries what the other scripts do, on keys that nobody reads.
-- Guarantee: leaves nothing behind.
-- KEYS[1] a hash
-- KEYS[2] a stream
-- KEYS[3] a sorted set
-- Returns the clock of Redis (epoch ms).

redis.call('HSET', KEYS[1], 'field', '1')
redis.call('HSETNX', KEYS[1], 'field', '1')
redis.call('HINCRBY', KEYS[1], 'field', '1')
redis.call('HGET', KEYS[1], 'field')
redis.call('HDEL', KEYS[1], 'other')
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('EXPIRE', KEYS[1], 1)
redis.call('XADD', KEYS[2], '*', 'field', '1')
redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
redis.call('XLEN', KEYS[2])
redis.call('XTRIM', KEYS[2], 'MAXLEN', 1)
redis.call('ZADD', KEYS[3], 1, 'member')
redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '+inf')
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(0')
redis.call('ZREM', KEYS[3], 'member')
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
