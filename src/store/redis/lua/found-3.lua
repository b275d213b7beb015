#!lua
-- Writes what a ledger says was spent into the purses of a tag: at first, after a loss, for a new budget, where both differ.
-- Guarantee: spent and marks are of one instant, so senders go back to the marks and everything counts once; what is
-- lent stays. Of several that found a tag at the same time, the first does.
-- KEYS[1] purse: hash of the tag (see lease-7.lua)
-- KEYS[2] windows: hash of rings
-- KEYS[3] marks: hash session -> last sequence applied
-- ARGV[1] the life that the tag is expected to have; '' for none
-- ARGV[2] its life from now on
-- ARGV[3] milliseconds in which nothing is lent, so that all can say what they hold
-- ARGV[4] purses as JSON: [scope, period, start, nano] or, of a rolling period, [scope, period, '', '0', parts], where
--   parts are [number, nano] in order
-- ARGV[5] marks as JSON: [session, sequence]
-- Returns 'founded' or 'other'.

local life = redis.call('HGET', KEYS[1], 'life') or ''
if life ~= ARGV[1] then return 'other' end
for _, purse in ipairs(cjson.decode(ARGV[4])) do
  local scope, period, start, nano, parts = unpack(purse)
  local ring = 'b ' .. scope
  local oldest = tonumber(redis.call('HGET', KEYS[2], 'o ' .. ring) or '0')
  local newest = tonumber(redis.call('HGET', KEYS[2], 'm ' .. ring) or '-1')
  for number = oldest, newest do redis.call('HDEL', KEYS[2], string.format('%.0f', number) .. ' ' .. ring) end
  redis.call('HDEL', KEYS[2], 't ' .. ring, 'o ' .. ring, 'm ' .. ring)
  local before = redis.call('HGET', KEYS[1], 'k ' .. scope)
  if before then redis.call('HDEL', KEYS[1], 's ' .. before .. ' ' .. scope, 'k ' .. scope) end
  redis.call('HSET', KEYS[1], 'p ' .. scope, period)
  if parts then
    for _, part in ipairs(parts) do
      redis.call('HINCRBY', KEYS[2], part[1] .. ' ' .. ring, part[2])
      redis.call('HINCRBY', KEYS[2], 't ' .. ring, part[2])
    end
    if #parts > 0 then redis.call('HSET', KEYS[2], 'o ' .. ring, parts[1][1], 'm ' .. ring, parts[#parts][1]) end
  else
    redis.call('HSET', KEYS[1], 'k ' .. scope, start, 's ' .. start .. ' ' .. scope, nano)
  end
end

-- A session that the ledger does not know has nothing in it yet.
for _, session in ipairs(redis.call('HKEYS', KEYS[3])) do redis.call('HSET', KEYS[3], session, '0') end
for _, mark in ipairs(cjson.decode(ARGV[5])) do redis.call('HSET', KEYS[3], mark[1], mark[2]) end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', KEYS[1], 'life', ARGV[2])
if tonumber(ARGV[3]) > 0 then redis.call('HSET', KEYS[1], 'quiet', string.format('%.0f', now + tonumber(ARGV[3]))) end
return 'founded'
