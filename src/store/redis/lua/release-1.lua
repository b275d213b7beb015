#!lua flags=allow-oom
-- Gives the name of an instance back.
-- Guarantee: only who has it can.
-- KEYS[1] instance: hash owner, epoch, label
-- ARGV[1] owner
-- Returns 1 when it was its own, else 0.

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
