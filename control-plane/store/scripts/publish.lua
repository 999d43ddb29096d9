-- Replaces summaries and drops those that ran out.
-- KEYS: 1 summaries, 2 freshness
-- ARGV: 1 ttl in ms, then replica, body, replica, body...
-- Output: nothing; CORRUPT
local summaries, freshness = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'zset' })
if fault then return fault end
local now = now_ms()
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', freshness, '-inf', whole(now))) do
  redis.call('ZREM', freshness, replica)
  redis.call('HDEL', summaries, replica)
end
local deadline = whole(now + tonumber(ARGV[1]))
for at = 2, #ARGV, 2 do
  redis.call('HSET', summaries, ARGV[at], ARGV[at + 1])
  redis.call('ZADD', freshness, deadline, ARGV[at])
end
