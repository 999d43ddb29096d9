-- The summaries that still hold.
-- KEYS: 1 summaries, 2 freshness
-- ARGV: none
-- Output: {replica, body, replica, body...}; CORRUPT
local summaries, freshness = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'zset' })
if fault then return fault end
local answer = {}
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', freshness, '(' .. whole(now_ms()), '+inf')) do
  local body = redis.call('HGET', summaries, replica)
  if body then
    answer[#answer + 1] = replica
    answer[#answer + 1] = body
  end
end
return answer
