-- Everything of the registry at one moment.
-- KEYS: 1 instances, 2 leases, 3 interests, 4 registry, 5 meta
-- ARGV: none
-- Output: {number of the last event, now in ms, {id, instance...}, {id, deadline...}, {service, callees...}}; CORRUPT
local fault = wrong_type(KEYS, { 'hash', 'zset', 'hash', 'stream', 'hash' })
if fault then return fault end
local events, events_fault = counter(KEYS[5], 'registry', KEYS[4])
if events_fault then return events_fault end
return {
  whole(events),
  whole(now_ms()),
  redis.call('HGETALL', KEYS[1]),
  redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[3]),
}
