#!lua
-- Closes a month of the ledger: from now on who ships must know of it, and says of each row whether it is late.
-- Guarantee: a month is closed once, by the first; every row is applied either before that or by one who knows of it.
-- KEYS[1] meta: hash life, closes
-- KEYS[2] months: hash `m MONTH` -> its close as JSON, `t MONTH` -> its total as JSON
-- ARGV[1] month
-- ARGV[2] its close as JSON
-- ARGV[3] a name for all that is closed then
-- ARGV[4] fields of months at most
-- Returns 'done', 'closed' when it was, 'full', 'unfounded'.

if redis.call('HEXISTS', KEYS[1], 'life') == 0 then return 'unfounded' end
if redis.call('HEXISTS', KEYS[2], 'm ' .. ARGV[1]) == 1 then return 'closed' end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('HSET', KEYS[2], 'm ' .. ARGV[1], ARGV[2])
redis.call('HSET', KEYS[1], 'closes', ARGV[3])
return 'done'
