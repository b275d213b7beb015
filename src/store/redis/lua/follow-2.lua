#!lua flags=no-writes
-- Reads the stream of rows for an archive, without the rows that it wrote itself.
-- Guarantee: in the order of the stream; what it says of its end holds for all rows up to there.
-- KEYS[1] meta: hash life
-- KEYS[2] rows: stream
-- ARGV[1] after this entry
-- ARGV[2] instance whose rows are left out
-- ARGV[3] entries read at most
-- Returns {life or '', last entry read or '', entries read, then each entry as {id, fields}}.

local life = redis.call('HGET', KEYS[1], 'life') or ''
local found = redis.call('XRANGE', KEYS[2], '(' .. ARGV[1], '+', 'COUNT', ARGV[3])
local reply = {life, #found > 0 and found[#found][1] or '', #found}
for _, entry in ipairs(found) do
  -- Field order is that of XADD in apply and ship: value 2 is the instance.
  if entry[2][2] ~= ARGV[2] then reply[#reply + 1] = entry end
end
return reply
