#!lua
-- Applies rows of one instance, in order, to counters, listing and stream.
-- Guarantee: each (instance, epoch, sequence) counts once, however often it is sent; all of a call or nothing.
-- The first write takes memory, so a full server (noeviction) refuses the call before anything changed.
-- KEYS[1] applied: hash epoch -> last applied sequence
-- KEYS[2] rows: stream
-- KEYS[3] requests: sorted set of positions
-- KEYS[4] entries: hash request id -> stream entries
-- KEYS[5] hours: sorted set of hours with counters
-- KEYS[6] hour: counters of the hour in ARGV[5]
-- KEYS[7] day: counters of the day of that hour
-- KEYS[8] balances: hash hour and balance -> thousandths used
-- KEYS[9] adjustments: hash id -> adjustment as JSON
-- KEYS[10] adjustment index: sorted set, `t:` and its position, `r:` and its request and position
-- KEYS[11] meta: hash life, closes, calls
-- KEYS[12] touched: sorted set of hours by the call that last counted in them
-- ARGV[1] instance
-- ARGV[2] epoch
-- ARGV[3] sequence of the first row
-- ARGV[4] seconds that counters are kept
-- ARGV[5] start of the hour (epoch ms) that the attempts of this call count in, '' without attempts
-- ARGV[6] hours before this (epoch ms) leave the index
-- ARGV[7] the row of this epoch before the first one, 0 when there is none
-- ARGV[8] the closed months that the sender knows of, by the name of all of them
-- ARGV[9] onwards, 19 a row: kind (attempt | request | adjustment), its id, position ('' for an attempt; for an
--   adjustment, request id, tab and position), row as JSON, series, then thirteen counts as decimal integers in the
--   order of MEASURES, and when an attempt counts whose month was closed before (epoch ms), else ''
-- Returns {'applied', life}, {'gap', life, mark} when rows before these are missing, {'closed', life} when
--   others are closed, {'unfounded'}.

-- One letter before the series makes the field of a counter. Must equal MEASURES in counters.ts.
local MEASURES = {'q', 'a', 'i', 'h', 'o', 'r', 'c', 'e', 'u', 'd', 'f', 'p', 'j'}
local FIRST_ROW = 9
local ROW_PARTS = 19
-- Newest ones that are listed; what they count stays.
local ADJUSTMENTS_MAX = 100000

-- False: another instance made one with this id, which is in the books already.
local function adjust(id, place, row)
  if redis.call('HSETNX', KEYS[9], id, row) == 0 then return false end
  local request, position = string.match(place, '^(.-)\t(.*)$')
  redis.call('ZADD', KEYS[10], 0, 't:' .. position)
  if request ~= '' then redis.call('ZADD', KEYS[10], 0, 'r:' .. request .. '\t' .. position) end
  if redis.call('HLEN', KEYS[9]) > ADJUSTMENTS_MAX then
    local oldest = redis.call('ZRANGEBYLEX', KEYS[10], '[t:', '+', 'LIMIT', 0, 1)[1]
    local old = string.match(oldest, '^t:%d+:(.*)$')
    local known = cjson.decode(redis.call('HGET', KEYS[9], old) or '{}').requestId
    redis.call('ZREM', KEYS[10], oldest)
    if type(known) == 'string' then redis.call('ZREM', KEYS[10], 'r:' .. known .. '\t' .. string.sub(oldest, 3)) end
    redis.call('HDEL', KEYS[9], old)
  end
  return true
end

local life, closes = unpack(redis.call('HMGET', KEYS[11], 'life', 'closes'))
if not life then return {'unfounded'} end
local last = tonumber(redis.call('HGET', KEYS[1], ARGV[2]) or '0')
local after = tonumber(ARGV[7])
if last < after then return {'gap', life, last} end
local sequence = tonumber(ARGV[3]) - 1
local newest = sequence + (#ARGV + 1 - FIRST_ROW) / ROW_PARTS
if newest > last and (closes or '') ~= ARGV[8] then return {'closed', life} end
local fresh = 0
local counted = false

for at = FIRST_ROW, #ARGV, ROW_PARTS do
  sequence = sequence + 1
  if sequence > last then
    local kind, id, position, row, series = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    local fields = {'instance', ARGV[1], 'epoch', ARGV[2],
      'sequence', string.format('%.0f', sequence), 'kind', kind, 'id', id,
      'position', kind == 'request' and position or '', 'row', row, 'after', string.format('%.0f', after)}
    local late = ARGV[at + 18]
    if late ~= '' then
      fields[17] = 'late'
      fields[18] = late
    end
    local entry = redis.call('XADD', KEYS[2], '*', unpack(fields))
    if kind ~= 'adjustment' then
      local entries = redis.call('HGET', KEYS[4], id)
      redis.call('HSET', KEYS[4], id, entries and (entries .. ' ' .. entry) or entry)
    end
    if kind == 'request' then
      redis.call('ZADD', KEYS[3], 0, position)
    elseif kind == 'attempt' or adjust(id, position, row) then
      counted = true
      for index, measure in ipairs(MEASURES) do
        -- Money is an int64 kept as text: a Lua number would lose its last digits.
        local count = ARGV[at + 4 + index]
        if count ~= '0' then
          redis.call('HINCRBY', KEYS[6], measure .. series, count)
          redis.call('HINCRBY', KEYS[7], measure .. series, count)
        end
      end
      -- Few rows have a line that a balance paid; only those are read.
      if string.find(row, '"balance":', 1, true) then
        local cost = cjson.decode(row).cost
        for _, line in ipairs(type(cost) == 'table' and cost.lines or {}) do
          if line.balance then
            redis.call('HINCRBY', KEYS[8], ARGV[5] .. ' ' .. line.balance, string.format('%.0f', line.quantity * 1000))
          end
        end
      end
    end
    fresh = fresh + 1
  end
  after = sequence
end

if fresh == 0 then return {'applied', life} end

redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f', sequence))
redis.call('EXPIRE', KEYS[1], ARGV[4])
local call = redis.call('HINCRBY', KEYS[11], 'calls', 1)
if counted then
  redis.call('EXPIRE', KEYS[6], ARGV[4])
  redis.call('EXPIRE', KEYS[7], ARGV[4])
  redis.call('ZADD', KEYS[5], ARGV[5], ARGV[5])
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', '(' .. ARGV[6])
  redis.call('ZADD', KEYS[12], call, ARGV[5])
end

return {'applied', life}
