-- Replaces a replica's summary and drops those that ran out.
-- KEYS: 1 summaries, 2 freshness
-- ARGV: 1 replica, 2 body, 3 ttl in ms
-- Output: nothing; CORRUPT
local summaries, freshness = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'zset' })
if fault then return fault end
local now = now_ms()
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', freshness, '-inf', whole(now))) do
  redis.call('ZREM', freshness, replica)
  redis.call('HDEL', summaries, replica)
end
redis.call('HSET', summaries, ARGV[1], ARGV[2])
redis.call('ZADD', freshness, whole(now + tonumber(ARGV[3])), ARGV[1])
