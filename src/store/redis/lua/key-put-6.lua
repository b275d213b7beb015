#!lua
-- Writes one key, where nobody else has written it meanwhile.
-- Guarantee: a name belongs to one key that is not deleted; versions follow each other; all of a call or nothing.
-- The first write takes memory, so a full server (noeviction) refuses the call before anything changed.
-- KEYS[1] keys: hash id -> key as JSON
-- KEYS[2] names: hash name -> id, without deleted keys
-- KEYS[3] ids: sorted set, all scores 0, without deleted keys
-- KEYS[4] changes: sorted set of ids by the revision of their last write
-- KEYS[5] ended: sorted set of ids by the moment they were revoked or deleted (epoch ms)
-- KEYS[6] meta: hash life, revision
-- ARGV[1] id
-- ARGV[2] name
-- ARGV[3] version of the key; the one in the store is one below it, or there is none and it is 1
-- ARGV[4] key as JSON
-- ARGV[5] '1': it is deleted
-- ARGV[6] when it was revoked or deleted (epoch ms), ''
-- ARGV[7] a name for this life of the store, used when it has none yet
-- Returns 'written', 'stale' or 'name_taken'.

local id, name, deleted = ARGV[1], ARGV[2], ARGV[5] == '1'
local old = redis.call('HGET', KEYS[1], id)
local version = 0
if old then version = cjson.decode(old)['version'] end
if version ~= tonumber(ARGV[3]) - 1 then return 'stale' end

local holder = redis.call('HGET', KEYS[2], name)
if not deleted and holder and holder ~= id then return 'name_taken' end

redis.call('HSET', KEYS[1], id, ARGV[4])
if deleted then
  if holder == id then redis.call('HDEL', KEYS[2], name) end
  redis.call('ZREM', KEYS[3], id)
else
  redis.call('HSET', KEYS[2], name, id)
  redis.call('ZADD', KEYS[3], 0, id)
end
if ARGV[6] ~= '' then redis.call('ZADD', KEYS[5], ARGV[6], id)
else redis.call('ZREM', KEYS[5], id) end
redis.call('HSETNX', KEYS[6], 'life', ARGV[7])
local revision = redis.call('HINCRBY', KEYS[6], 'revision', 1)
redis.call('ZADD', KEYS[4], revision, id)
return 'written'
