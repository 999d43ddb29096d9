-- The summaries that still hold: of these replicas, or of all.
-- KEYS: 1 summaries, 2 freshness
-- ARGV: replicas; none: all
-- Output: {replica, body, replica, body...}; CORRUPT
local summaries, freshness = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'zset' })
if fault then return fault end
local fresh = redis.call('ZRANGEBYSCORE', freshness, '(' .. whole(now_ms()), '+inf')
local named = fresh
if #ARGV > 0 then
  local holds = {}
  for _, replica in ipairs(fresh) do holds[replica] = true end
  named = {}
  for _, replica in ipairs(ARGV) do
    if holds[replica] then named[#named + 1] = replica end
  end
end
local answer = {}
for from = 1, #named, 100 do
  local some = { unpack(named, from, math.min(from + 99, #named)) }
  for at, body in ipairs(redis.call('HMGET', summaries, unpack(some))) do
    if body then
      answer[#answer + 1] = some[at]
      answer[#answer + 1] = body
    end
  end
end
return answer
