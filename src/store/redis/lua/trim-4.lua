#!lua flags=allow-oom
-- Takes the oldest rows out of the stream: those above its bound, and those that are old and archived.
-- Guarantee: what points at a row goes with it; where somebody archives, only the bound takes what is not archived yet.
-- KEYS[1] meta: hash archived (a stream id), archived_at_ms, rows_from_ms, rows_unarchived
-- KEYS[2] rows: stream
-- KEYS[3] requests: sorted set of positions
-- KEYS[4] entries: hash request id -> stream entries
-- ARGV[1] entries kept at most
-- ARGV[2] entries older than this (ms) go
-- ARGV[3] entries of one call
-- ARGV[4] an archive that has said nothing for so long (ms) is waited for no more
-- Returns {entries that went, those of them that no archive has}.

local function parts(id)
  local ms, number = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms or '0'), tonumber(number or '0')
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = now - tonumber(ARGV[2])
local archived = redis.call('HGET', KEYS[1], 'archived')
local said = tonumber(redis.call('HGET', KEYS[1], 'archived_at_ms') or '0')
local waits = archived and now - said < tonumber(ARGV[4])
local archivedMs, archivedNumber = parts(archived or '0-0')

local excess = redis.call('XLEN', KEYS[2]) - tonumber(ARGV[1])
local trimmed, unarchived, newest = 0, 0, 0
for index, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[3])) do
  local ms, number = parts(entry[1])
  local has = ms < archivedMs or (ms == archivedMs and number <= archivedNumber)
  if index > excess and (ms >= before or (waits and not has)) then break end
  local fields = entry[2]
  -- Field order is that of XADD in apply and ship: value 10 is the id, value 12 the position.
  redis.call('HDEL', KEYS[4], fields[10])
  if fields[12] ~= '' then redis.call('ZREM', KEYS[3], fields[12]) end
  trimmed = trimmed + 1
  if archived and not has then unarchived = unarchived + 1 end
  newest = ms
end
if trimmed == 0 then return {0, 0} end
redis.call('XTRIM', KEYS[2], 'MAXLEN', redis.call('XLEN', KEYS[2]) - trimmed)
local from = tonumber(redis.call('HGET', KEYS[1], 'rows_from_ms') or '0')
if newest + 1 > from then redis.call('HSET', KEYS[1], 'rows_from_ms', string.format('%.0f', newest + 1)) end
if unarchived > 0 then redis.call('HINCRBY', KEYS[1], 'rows_unarchived', unarchived) end
return {trimmed, unarchived}
