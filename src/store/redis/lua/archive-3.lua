#!lua flags=allow-oom
-- Makes one instance the archive of the fleet for a while, or goes on so.
-- Guarantee: by the clock of Redis one instance is it at most.
-- KEYS[1] archive: hash instance, mode, rows_from_ms
-- KEYS[2] wanted: string, an instance that is told to archive wants it
-- KEYS[3] meta: hash archived, archived_at_ms
-- ARGV[1] instance
-- ARGV[2] mode (auto | on)
-- ARGV[3] for how long (ms)
-- ARGV[4] it has the rows of the stream up to this entry
-- ARGV[5] it has all rows since (epoch ms), 0 for all
-- Returns {'held'} or {'taken', instance that has it}.

local holder = redis.call('HGET', KEYS[1], 'instance')
if holder and holder ~= ARGV[1] then
  if ARGV[2] == 'on' and redis.call('HGET', KEYS[1], 'mode') == 'auto' then
    redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
  end
  return {'taken', holder}
end
local wanted = redis.call('GET', KEYS[2])
if ARGV[2] == 'auto' and wanted and wanted ~= ARGV[1] then
  redis.call('DEL', KEYS[1])
  return {'taken', wanted}
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'instance', ARGV[1], 'mode', ARGV[2], 'rows_from_ms', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[3], 'archived', ARGV[4],
  'archived_at_ms', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
return {'held'}
