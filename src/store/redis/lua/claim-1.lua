#!lua flags=allow-oom
-- Gives the name of an instance to one process for a while, or goes on giving it.
-- Guarantee: by the clock of Redis one owner has it at most, and nobody else gets it before it has run out.
-- KEYS[1] instance: hash owner, epoch, label
-- ARGV[1] owner
-- ARGV[2] epoch in which it writes
-- ARGV[3] label: where it runs, for people
-- ARGV[4] for how long (ms)
-- Returns {'held'}, or {'taken', label of the one that has it, ms until it runs out}.

local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then
  return {'taken', redis.call('HGET', KEYS[1], 'label') or '', redis.call('PTTL', KEYS[1])}
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', ARGV[2], 'label', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'held'}
