#!lua
-- Keeps the report of a closed month.
-- Guarantee: total and table are of one report, the first that was kept, and never change.
-- KEYS[1] months: hash `m MONTH` -> its close as JSON, `t MONTH` -> its total as JSON
-- KEYS[2] tables: hash month -> table
-- ARGV[1] month
-- ARGV[2] total as JSON
-- ARGV[3] table
-- Returns 1, or 0 when there is one.

if redis.call('HEXISTS', KEYS[1], 't ' .. ARGV[1]) == 1 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[1], 't ' .. ARGV[1], ARGV[2])
return 1
