#!lua
-- Applies whole requests of one instance, in order, to counters, listing and stream.
-- Guarantee: each (instance, epoch, sequence) counts once, however often it is sent; all of a call or nothing.
-- KEYS[1] applied: hash epoch -> last applied sequence
-- KEYS[2] meta: hash life, closes, calls
-- KEYS[3] rows: stream
-- KEYS[4] requests: sorted set of positions
-- KEYS[5] entries: hash request id -> stream entries
-- KEYS[6] hours: sorted set of hours with counters
-- KEYS[7] touched: sorted set of hours by the call that last counted in them
-- KEYS[8] balances: hash hour and balance -> thousandths used
-- KEYS[9] hour: counters of the first hour
-- KEYS[10] day: counters of its day
-- KEYS[11] hour: counters of the second hour
-- KEYS[12] day: counters of its day
-- ARGV[1] instance
-- ARGV[2] epoch
-- ARGV[3] the row of this epoch before the first one, 0 when there is none
-- ARGV[4] sequence of the first row
-- ARGV[5] sequence of the last row
-- ARGV[6] seconds that counters are kept
-- ARGV[7] hours before this (epoch ms) leave the index
-- ARGV[8] the first hour (epoch ms), '' when nothing is counted
-- ARGV[9] the second hour, '' when there is none
-- ARGV[10] number of sums: which hour (1 | 2), series, thirteen counts as decimal integers in the order of MEASURES
-- ARGV[11] number of uses of balances: hour and balance, thousandths
-- ARGV[12] the closed months that the sender knows of, by the name of all of them
-- ARGV[13] onwards: the sums, the uses, then three a request: rows that it takes, its position, its text
-- Returns {'applied', life, entries in the stream}, {'gap', life, mark} when the mark is another one,
--   {'closed', life} when others are closed, {'unfounded'}.

-- One letter before the series makes the field of a counter. Must equal MEASURES in counters.ts.
local MEASURES = {'q', 'a', 'i', 'h', 'o', 'r', 'c', 'e', 'u', 'd', 'f', 'p', 'j'}
local SUM_PARTS = 15
-- Hours of a year and more.
local TOUCHED_MAX = 10000
-- A position is the time in so many digits, a colon and the id.
local ID_AT = 17

local life, closes = unpack(redis.call('HMGET', KEYS[2], 'life', 'closes'))
if not life then return {'unfounded'} end
local mark = tonumber(redis.call('HGET', KEYS[1], ARGV[2]) or '0')
if mark >= tonumber(ARGV[5]) then return {'applied', life, 0} end
if mark ~= tonumber(ARGV[3]) then return {'gap', life, mark} end
if (closes or '') ~= ARGV[12] then return {'closed', life} end

local at = 13
for _ = 1, tonumber(ARGV[10]) do
  local series = ARGV[at + 1]
  for index, measure in ipairs(MEASURES) do
    -- Money is an int64 kept as text: a Lua number would lose its last digits.
    local count = ARGV[at + 1 + index]
    if count ~= '0' then
      if ARGV[at] == '1' then
        redis.call('HINCRBY', KEYS[9], measure .. series, count)
        redis.call('HINCRBY', KEYS[10], measure .. series, count)
      else
        redis.call('HINCRBY', KEYS[11], measure .. series, count)
        redis.call('HINCRBY', KEYS[12], measure .. series, count)
      end
    end
  end
  at = at + SUM_PARTS
end
for _ = 1, tonumber(ARGV[11]) do
  redis.call('HINCRBY', KEYS[8], ARGV[at], ARGV[at + 1])
  at = at + 2
end

local after = ARGV[3]
local sequence = tonumber(ARGV[4])
while at < #ARGV do
  local position = ARGV[at + 1]
  local id = string.sub(position, ID_AT)
  local entry = redis.call('XADD', KEYS[3], '*', 'instance', ARGV[1], 'epoch', ARGV[2],
    'sequence', string.format('%.0f', sequence), 'kind', 'entry', 'id', id,
    'position', position, 'row', ARGV[at + 2], 'after', after)
  redis.call('HSET', KEYS[5], id, entry)
  redis.call('ZADD', KEYS[4], 0, position)
  sequence = sequence + tonumber(ARGV[at])
  after = string.format('%.0f', sequence - 1)
  at = at + 3
end

redis.call('HSET', KEYS[1], ARGV[2], ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[6])
local call = redis.call('HINCRBY', KEYS[2], 'calls', 1)
if ARGV[8] ~= '' then
  redis.call('EXPIRE', KEYS[9], ARGV[6])
  redis.call('EXPIRE', KEYS[10], ARGV[6])
  redis.call('ZADD', KEYS[6], ARGV[8], ARGV[8])
  redis.call('ZADD', KEYS[7], call, ARGV[8])
end
if ARGV[9] ~= '' then
  redis.call('EXPIRE', KEYS[11], ARGV[6])
  redis.call('EXPIRE', KEYS[12], ARGV[6])
  redis.call('ZADD', KEYS[6], ARGV[9], ARGV[9])
  redis.call('ZADD', KEYS[7], call, ARGV[9])
end
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', '(' .. ARGV[7])
redis.call('ZREMRANGEBYRANK', KEYS[7], 0, -TOUCHED_MAX)

return {'applied', life, redis.call('XLEN', KEYS[3])}
