#!lua flags=allow-oom
-- Forgets keys that were revoked or deleted long ago, oldest first.
-- Guarantee: all traces of a key go together; a name that another key has by now stays that one's.
-- KEYS[1] keys: hash id -> key as JSON
-- KEYS[2] names: hash name -> id
-- KEYS[3] ids: sorted set
-- KEYS[4] changes: sorted set of ids by revision
-- KEYS[5] ended: sorted set of ids by the moment they were revoked or deleted
-- ARGV[1] before this (epoch ms)
-- ARGV[2] keys forgotten at most
-- Returns how many were.

local ids = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do
  local text = redis.call('HGET', KEYS[1], id)
  if text then
    local name = cjson.decode(text)['name']
    if redis.call('HGET', KEYS[2], name) == id then redis.call('HDEL', KEYS[2], name) end
  end
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  redis.call('ZREM', KEYS[5], id)
end
return #ids
