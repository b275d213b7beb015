#!lua
-- Charges what rows of one instance cost to the purses of a tag, and takes it off what that instance was lent.
-- Guarantee: rows up to the mark count once, whatever is sent again; a gap, or a tag that was not founded, changes
-- nothing. `spent + lent` stays as it was, so nobody is lent what is being charged.
-- KEYS[1] purse: hash of the tag (see lease-7.lua)
-- KEYS[2] lent: hash session, kind and scope -> lent
-- KEYS[3] index: sorted set of the fields of KEYS[2]
-- KEYS[4] seen: sorted set of sessions by their last word
-- KEYS[5] windows: hash of rings
-- KEYS[6] marks: hash session -> last sequence applied
-- ARGV[1] session: instance, ':' and epoch
-- ARGV[2] previous: the last sequence that the sender believes was applied here
-- ARGV[3] last: the sequence of the last row
-- ARGV[4] '1': the sender was never here before, so that no mark is no gap
-- ARGV[5] charges as JSON: [scope, period, from (start of the period, or number of the part), nano, width of a part or
--   0, length of the window]
-- ARGV[6] draws as JSON: [scope, nano, whose]: 0 its own, 1 what was lent to sessions of this instance before it
-- Returns the outcome (applied | duplicate | gap | unfounded) and the mark after it.

local session = ARGV[1]
if redis.call('HEXISTS', KEYS[1], 'life') == 0 then return {'unfounded', '0'} end
local mark = redis.call('HGET', KEYS[6], session)
if not mark and ARGV[4] ~= '1' then mark = '0' end
if mark then
  if tonumber(mark) >= tonumber(ARGV[3]) then return {'duplicate', mark} end
  if tonumber(mark) ~= tonumber(ARGV[2]) then return {'gap', mark} end
end
redis.call('HSET', KEYS[6], session, ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

for _, charge in ipairs(cjson.decode(ARGV[5])) do
  local scope, period, from, nano, width, length = unpack(charge)
  if redis.call('HGET', KEYS[1], 'p ' .. scope) == period then
    if width == 0 then
      local current = redis.call('HGET', KEYS[1], 'k ' .. scope) or '0'
      if tonumber(from) >= tonumber(current) then redis.call('HINCRBY', KEYS[1], 's ' .. from .. ' ' .. scope, nano) end
    elseif tonumber(from) >= math.floor((now - length) / width) then
      local ring = 'b ' .. scope
      local oldest = redis.call('HGET', KEYS[5], 'o ' .. ring)
      local newest = redis.call('HGET', KEYS[5], 'm ' .. ring)
      redis.call('HINCRBY', KEYS[5], from .. ' ' .. ring, nano)
      redis.call('HINCRBY', KEYS[5], 't ' .. ring, nano)
      if not oldest or tonumber(from) < tonumber(oldest) then redis.call('HSET', KEYS[5], 'o ' .. ring, from) end
      if not newest or tonumber(from) > tonumber(newest) then redis.call('HSET', KEYS[5], 'm ' .. ring, from) end
    end
  end
end

-- Takes an amount off what a session was lent. What it has never less than nothing of counts in the sum: who overran
-- has no credit.
local function draw(of, scope, nano, hasDebt)
  local field = of .. ' b ' .. scope
  local before = redis.call('HGET', KEYS[2], field) or '0'
  redis.call('HINCRBY', KEYS[2], field, '-' .. nano)
  redis.call('ZADD', KEYS[3], 0, field)
  local isBelow = string.sub(redis.call('HGET', KEYS[2], field), 1, 1) == '-'
  if string.sub(before, 1, 1) ~= '-' then
    redis.call('HINCRBY', KEYS[1], 'b ' .. scope, '-' .. (isBelow and before or nano))
  end
  if isBelow and not hasDebt then
    redis.call('HDEL', KEYS[2], field)
    redis.call('ZREM', KEYS[3], field)
  end
end

local instance, epoch = string.match(session, '^(.*:)(%d+)$')
for _, one in ipairs(cjson.decode(ARGV[6])) do
  -- Whom nobody has heard for long has nothing lent; it says anew what it holds.
  if one[3] == 0 and redis.call('ZSCORE', KEYS[4], session) then draw(session, one[1], one[2], true) end
  if one[3] == 1 then
    for _, of in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
      local before = string.sub(of, 1, #instance) == instance and tonumber(string.sub(of, #instance + 1))
      local isFormer = before and before < tonumber(epoch)
      if isFormer and redis.call('HEXISTS', KEYS[2], of .. ' b ' .. one[1]) == 1 then
        draw(of, one[1], one[2], false)
        break
      end
    end
  end
end
return {'applied', ARGV[3]}
