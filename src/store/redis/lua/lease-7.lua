#!lua
-- Lends room of the purses, rates and places of one tag to an instance, and takes back what it does not need.
-- Guarantee: all of a call or nothing; a call that is sent again gets the answer of the first time; money spent and
-- lent never exceeds the amount, rates lent stay charged until 60 s after their lease, whatever clocks instances have.
-- KEYS[1] purse: hash life, quiet (nothing is lent until then); by scope: 'p' period, 'k' its start, 's START' spent,
--   what is lent of 'b' money, 'i' idle money, 'c' places, 'j' idle places; 'g KIND' until when somebody lacks it, and who
-- KEYS[2] lent: hash session, kind (b | i | c | j) and scope -> lent
-- KEYS[3] index: sorted set of the fields of KEYS[2], all scores 0
-- KEYS[4] seen: sorted set of sessions by their last word (ms)
-- KEYS[5] answers: hash session -> sequence and answer
-- KEYS[6] windows: hash of rings, by kind (r | t | b) and scope: 't' total, 'o' oldest and 'm' newest number, 'N' amount
-- KEYS[7] marks: hash session -> last sequence applied
-- ARGV[1] the call as JSON (LeaseAsk in purses.ts); amounts of money are text
-- Returns the answer as JSON (LeaseReply in purses.ts).

local BASE, BUCKET, KEPT, HUNGRY, PLACES = 1000000000, 250, 61250, 500, 30000
local ask = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local session = ask.session

-- Integers beyond 2^53 as a high and a low part.
local function big(text)
  local sign, digits = string.match(text or '0', '^(-?)(%d+)$')
  local high, low = tonumber(string.sub(digits, 1, -10)) or 0, tonumber(string.sub(digits, -9))
  if sign == '' then return {high, low} end
  if low == 0 then return {0 - high, 0} end
  return {-high - 1, BASE - low}
end
local function negate(a)
  if a[2] == 0 then return {0 - a[1], 0} end
  return {-a[1] - 1, BASE - a[2]}
end
local function plus(a, b)
  local low = a[2] + b[2]
  if low >= BASE then return {a[1] + b[1] + 1, low - BASE} end
  return {a[1] + b[1], low}
end
local function minus(a, b) return plus(a, negate(b)) end
local function isLess(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end
local function least(a, b) return isLess(a, b) and a or b end
local function positive(a) return a[1] < 0 and {0, 0} or a end
local function share(a, parts)
  local high = math.floor(a[1] / parts)
  return {high, math.floor(((a[1] - high * parts) * BASE + a[2]) / parts)}
end
local function whole(number) return string.format('%.0f', number) end
local function text(a)
  if a[1] < 0 then return '-' .. text(negate(a)) end
  return a[1] == 0 and whole(a[2]) or string.format('%.0f%09.0f', a[1], a[2])
end

local function put(of, kind, scope, value)
  local field = of .. ' ' .. kind .. ' ' .. scope
  local before = positive(big(redis.call('HGET', KEYS[2], field)))
  if value[1] == 0 and value[2] == 0 then
    redis.call('HDEL', KEYS[2], field)
    redis.call('ZREM', KEYS[3], field)
  else
    redis.call('HSET', KEYS[2], field, text(value))
    redis.call('ZADD', KEYS[3], 0, field)
  end
  redis.call('HINCRBY', KEYS[1], kind .. ' ' .. scope, text(minus(positive(value), before)))
end
local function sum(kind, scope) return big(redis.call('HGET', KEYS[1], kind .. ' ' .. scope)) end

-- What an instance was lent comes free: its places, or all of it.
local function free(of, onlyPlaces)
  for _, field in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], '[' .. of .. ' ', '(' .. of .. '!')) do
    local kind = string.sub(field, #of + 2, #of + 2)
    if kind == 'c' or kind == 'j' or not onlyPlaces then put(of, kind, string.sub(field, #of + 4), {0, 0}) end
  end
end

local function leave(of)
  free(of, false)
  redis.call('ZREM', KEYS[4], of)
  redis.call('HDEL', KEYS[5], of)
end

-- Forgets what lies before a number of a ring. Returns total, oldest and newest number.
local function trim(ring, first)
  local oldest = tonumber(redis.call('HGET', KEYS[6], 'o ' .. ring))
  if not oldest then return '0', nil, nil end
  local newest = tonumber(redis.call('HGET', KEYS[6], 'm ' .. ring))
  for number = oldest, math.min(first - 1, newest) do
    local field = whole(number) .. ' ' .. ring
    local amount = redis.call('HGET', KEYS[6], field)
    if amount then
      redis.call('HINCRBY', KEYS[6], 't ' .. ring, text(negate(big(amount))))
      redis.call('HDEL', KEYS[6], field)
    end
  end
  if newest < first then
    redis.call('HDEL', KEYS[6], 't ' .. ring, 'o ' .. ring, 'm ' .. ring)
    return '0', nil, nil
  end
  oldest = math.max(oldest, first)
  redis.call('HSET', KEYS[6], 'o ' .. ring, whole(oldest))
  return redis.call('HGET', KEYS[6], 't ' .. ring), oldest, newest
end

local function add(ring, number, amount)
  redis.call('HINCRBY', KEYS[6], whole(number) .. ' ' .. ring, amount)
  redis.call('HINCRBY', KEYS[6], 't ' .. ring, amount)
  redis.call('HSETNX', KEYS[6], 'o ' .. ring, whole(number))
  local newest = tonumber(redis.call('HGET', KEYS[6], 'm ' .. ring) or '0')
  redis.call('HSET', KEYS[6], 'm ' .. ring, whole(math.max(newest, number)))
end

-- Whether another instance lacks what this one may have idle; says so of this one where others have some.
local function hungry(kind, id, says)
  local field = 'g ' .. kind .. ' ' .. id
  if says then redis.call('HSET', KEYS[1], field, whole(now + HUNGRY) .. ' ' .. session) end
  local untilMs, who = string.match(redis.call('HGET', KEYS[1], field) or '', '^(%d+) (.*)$')
  if not untilMs then return false end
  if tonumber(untilMs) > now then return who ~= session end
  redis.call('HDEL', KEYS[1], field)
  return false
end

local function spentOf(id, budget)
  if budget.width > 0 then
    local first = math.floor((now - budget.length) / budget.width)
    return (trim('b ' .. id, first))
  end
  local current = redis.call('HGET', KEYS[1], 'k ' .. id)
  if current ~= budget.from then
    -- A new period. Its own field may be there already, from an attempt of a clock that is ahead.
    if current then redis.call('HDEL', KEYS[1], 's ' .. current .. ' ' .. id) end
    redis.call('HSET', KEYS[1], 'k ' .. id, budget.from)
  end
  return redis.call('HGET', KEYS[1], 's ' .. budget.from .. ' ' .. id)
end

local function lendMoney(id, budget, isQuiet)
  local mine = big(budget.lent)
  put(session, 'b', id, mine)
  put(session, 'i', id, big(budget.idle))
  if redis.call('HGET', KEYS[1], 'p ' .. id) ~= budget.period then return {state = 'unseeded'} end
  if now < budget.startMs or now >= budget.endMs then return {state = 'period'} end
  local spent = big(spentOf(id, budget))
  local room = minus(minus(big(budget.amount), spent), sum('b', id))
  -- Who has spent what nobody lent is first lent that.
  local open = isQuiet and big('0') or positive(plus(room, positive(negate(mine))))
  local need = big(budget.need)
  local lacks = isLess(open, need)
  local granted = least(need, open)
  if isLess(open, big(budget.least)) then granted = big('0') end
  if not lacks then granted = plus(granted, least(big(budget.ahead), share(minus(open, granted), 8))) end
  mine = plus(mine, granted)
  put(session, 'b', id, mine)
  local lent = minus(sum('b', id), positive(mine))
  local idle = minus(sum('i', id), positive(big(budget.idle)))
  return {state = isQuiet and 'quiet' or 'lent', granted = text(granted), spent = text(spent), lent = text(lent),
    idle = text(idle), hungry = hungry('b', id, lacks and isLess(big('0'), lent))}
end

local function lendPlaces(id, places, isQuiet)
  local mine = places.lent
  put(session, 'c', id, big(whole(mine)))
  put(session, 'j', id, big(whole(places.idle)))
  local open = isQuiet and 0 or math.max(0, places.limit - tonumber(text(sum('c', id))))
  local granted = math.min(places.need, open)
  local lacks = granted < places.need
  granted = granted + math.min(places.ahead, math.floor((open - granted) / 8))
  put(session, 'c', id, big(whole(mine + granted)))
  local lent = tonumber(text(sum('c', id))) - mine - granted
  local idle = tonumber(text(sum('j', id))) - places.idle
  return {state = isQuiet and 'quiet' or 'lent', granted = granted, lent = lent, idle = idle,
    hungry = hungry('c', id, lacks and lent > 0)}
end

local function lendRate(ring, rate, isQuiet)
  local first, bucket = math.floor((now - KEPT) / BUCKET), math.floor(now / BUCKET)
  local total, oldest, newest = trim(ring, first)
  for _, fix in ipairs(rate.fixes) do
    if fix[1] == 0 then add(ring, bucket, whole(fix[2]))
    elseif oldest and fix[1] >= oldest then add(ring, fix[1], whole(fix[2])) end
  end
  total = tonumber((trim(ring, first)))
  local open = isQuiet and 0 or math.max(0, rate.limit - total)
  local lacks = open < rate.need
  local granted = open < rate.least and 0 or math.min(rate.need, open)
  if not lacks then granted = granted + math.min(rate.ahead, math.floor((open - granted) / 8)) end
  if granted > 0 then add(ring, bucket, whole(granted)) end
  total, oldest, newest = trim(ring, first)
  local waitMs, left, next = 0, tonumber(total), math.max(1, rate.least)
  if next <= rate.limit and oldest then
    for number = oldest, newest do
      if left + next <= rate.limit then break end
      left = left - tonumber(redis.call('HGET', KEYS[6], whole(number) .. ' ' .. ring) or '0')
      waitMs = (number + 1) * BUCKET + KEPT - now
    end
  end
  return {state = isQuiet and 'quiet' or 'lent', granted = granted, bucket = bucket, used = tonumber(total),
    waitMs = waitMs, resetMs = newest and (newest + 1) * BUCKET + KEPT - now or 0}
end

local life = redis.call('HGET', KEYS[1], 'life')
if not life then return cjson.encode({outcome = 'unfounded', now = now}) end
for _, of in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - PLACES)) do free(of, true) end
for _, of in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - ask.keptMs)) do leave(of) end
local isKnown = redis.call('ZSCORE', KEYS[4], session)
local known = redis.call('HGET', KEYS[5], session)
if isKnown and known then
  local sequence, answer = string.match(known, '^(%d+) (.*)$')
  if tonumber(sequence) == ask.sequence then return answer end
  if tonumber(sequence) > ask.sequence then return cjson.encode({outcome = 'old', now = now}) end
end
if not isKnown and not ask.declares then return cjson.encode({outcome = 'unknown', now = now}) end
if ask.succeeds then
  local instance = string.match(session, '^(.*:)')
  for _, of in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    if of ~= session and string.sub(of, 1, #instance) == instance then leave(of) end
  end
end
redis.call('ZADD', KEYS[4], now, session)
local mark = redis.call('HGET', KEYS[7], session)
-- Rows that concern nobody here move the mark too; who was never here has left nothing out.
local isGap = false
if ask.mark then
  if not mark and not ask.mark[3] then mark = '0' end
  isGap = mark and tonumber(mark) < ask.mark[1]
  if not isGap and tonumber(mark or '0') < ask.mark[2] then redis.call('HSET', KEYS[7], session, whole(ask.mark[2])) end
end

local isQuiet = now < tonumber(redis.call('HGET', KEYS[1], 'quiet') or '0')
local scopes = {}
for index, scope in ipairs(ask.scopes) do
  scopes[index] = {
    budget = scope.budget and lendMoney(scope.id, scope.budget, isQuiet),
    places = scope.places and lendPlaces(scope.id, scope.places, isQuiet),
    rpm = scope.rpm and lendRate('r ' .. scope.id, scope.rpm, isQuiet),
    tpm = scope.tpm and lendRate('t ' .. scope.id, scope.tpm, isQuiet),
  }
end
local instances = redis.call('ZCOUNT', KEYS[4], now - PLACES, '+inf')
local answer = cjson.encode({outcome = 'lent', now = now, life = life, instances = instances,
  gap = isGap and mark or nil, scopes = scopes})
redis.call('HSET', KEYS[5], session, whole(ask.sequence) .. ' ' .. answer)
if ask.leaves then leave(session) end
return answer
