#!lua flags=allow-oom
-- Takes the life of a ledger that was begun with less than an archive has, so that it is written anew from that.
-- Guarantee: only the life that was looked at is taken.
-- KEYS[1] meta: hash life
-- ARGV[1] the life
-- Returns 1, or 0 when there is another one.

if redis.call('HGET', KEYS[1], 'life') ~= ARGV[1] then return 0 end
return redis.call('HDEL', KEYS[1], 'life')
