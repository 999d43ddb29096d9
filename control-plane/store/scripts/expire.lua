-- Ends leases that ran out on Redis' own clock, so that each is told once, whoever asks and however often. After a gap in
-- which nobody asked, Redis was out of reach and nobody could renew: then leases are only given time to be renewed in.
-- KEYS: 1 instances, 2 leases, 3 registry, 4 meta
-- ARGV: 1 leases to end at most, 2 events to keep, 3 the gap in ms, 4 the time given in ms
-- Output: how many ended; CORRUPT
local instances, leases, registry, meta = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'zset', 'stream', 'hash' })
if fault then return fault end
local events, events_fault = counter(meta, 'registry', registry)
if events_fault then return events_fault end

local now = now_ms()
local asked = tonumber(redis.call('HGET', meta, 'expire') or now) or now
redis.call('HSET', meta, 'expire', whole(now))
if now - asked > tonumber(ARGV[3]) then
  local grace = now + tonumber(ARGV[4])
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', whole(grace))) do
    redis.call('ZADD', leases, whole(grace), id)
  end
  return 0
end

local ended = redis.call('ZRANGEBYSCORE', leases, '-inf', whole(now), 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ended) do
  local stored = redis.call('HGET', instances, id)
  local held = stored and decode(stored)
  redis.call('ZREM', leases, id)
  redis.call('HDEL', instances, id)
  local service = held and type(held.service) == 'string' and held.service or string.match(id, '^[^/]*')
  events = tell(registry, meta, ARGV[2], events,
    cjson.encode({ kind = 'down', id = id, service = service, reason = 'expired' }))
end
return #ended
