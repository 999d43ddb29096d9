-- The summaries that still hold: of these replicas, or of all.
-- KEYS: 1 summaries, 2 freshness
-- ARGV: replicas; none: all
-- Output: {replica, body, replica, body...}; CORRUPT
local summaries, freshness = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'zset' })
if fault then return fault end
local now = now_ms()
local named = ARGV
if #named == 0 then named = redis.call('ZRANGEBYSCORE', freshness, '(' .. whole(now), '+inf') end
local answer = {}
for _, replica in ipairs(named) do
  local deadline = redis.call('ZSCORE', freshness, replica)
  local body = deadline and tonumber(deadline) > now and redis.call('HGET', summaries, replica)
  if body then
    answer[#answer + 1] = replica
    answer[#answer + 1] = body
  end
end
return answer
