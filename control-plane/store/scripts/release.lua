-- Ends the lease of an instance, unless a newer boot of it holds it.
-- KEYS: 1 instances, 2 leases, 3 registry, 4 meta
-- ARGV: 1 id, 2 boot, 3 events to keep
-- Output: 1 if it ended, 0 if there was nothing to end; CORRUPT
local instances, leases, registry, meta = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'zset', 'stream', 'hash' })
if fault then return fault end
local events, events_fault = counter(meta, 'registry', registry)
if events_fault then return events_fault end

local stored = redis.call('HGET', instances, ARGV[1])
local held = stored and decode(stored)
if not held or type(held.boot) ~= 'number' or held.boot > tonumber(ARGV[2]) then return 0 end
redis.call('HDEL', instances, ARGV[1])
redis.call('ZREM', leases, ARGV[1])
tell(registry, meta, ARGV[3], events,
  cjson.encode({ kind = 'down', id = ARGV[1], service = tostring(held.service), reason = 'released' }))
return 1
