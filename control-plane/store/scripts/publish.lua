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
local bodies, deadlines = {}, {}
for at = 2, #ARGV, 2 do
  bodies[at - 1], bodies[at] = ARGV[at], ARGV[at + 1]
  deadlines[at - 1], deadlines[at] = deadline, ARGV[at]
end
in_parts(bodies, 100, 'HSET', summaries)
in_parts(deadlines, 100, 'ZADD', freshness)
