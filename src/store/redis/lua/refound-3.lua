#!lua
-- Writes a part of a snapshot into a ledger that has lost its life, or gives it the new one at the end.
-- Guarantee: only who has the lock writes, and only while there is no life; a part that is written again is the same.
-- KEYS[1] lock: string, who writes
-- KEYS[2] meta: hash life, founding
-- KEYS[3] what is written: a hash, or a sorted set whose scores are all those given
-- ARGV[1] who writes
-- ARGV[2] hash | set | life
-- ARGV[3] '1': what is there goes first
-- ARGV[4] seconds that it is kept, 0 for ever
-- ARGV[5] onwards: field, value; of a set member, score; of a life its name
-- Returns 1, or 0 when it may not.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('HEXISTS', KEYS[2], 'life') == 1 then return 0 end
if ARGV[2] == 'life' then
  redis.call('HSET', KEYS[2], 'life', ARGV[5])
  redis.call('HDEL', KEYS[2], 'founding')
  redis.call('DEL', KEYS[1])
  return 1
end
redis.call('HSET', KEYS[2], 'founding', ARGV[1])
if ARGV[3] == '1' then redis.call('DEL', KEYS[3]) end
for at = 5, #ARGV, 2 do
  if ARGV[2] == 'hash' then redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
  else redis.call('ZADD', KEYS[3], ARGV[at + 1], ARGV[at]) end
end
if ARGV[4] ~= '0' then redis.call('EXPIRE', KEYS[3], ARGV[4]) end
return 1
