-- Registers or renews instances on Redis' own clock. A newer boot replaces an older one, never the other way round.
-- KEYS: 1 instances, 2 leases, 3 registry, 4 meta
-- ARGV: 1 ttl in ms, 2 events to keep; then for each instance id, boot, instance (JSON)
-- Output: one 'held' or 'stale' for each; CORRUPT
local instances, leases, registry, meta = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'zset', 'stream', 'hash' })
if fault then return fault end
local events, events_fault = counter(meta, 'registry', registry)
if events_fault then return events_fault end

local now = now_ms()
-- From the first lease on it is known since when nobody has looked through them: see expire.lua.
redis.call('HSETNX', meta, 'expire', whole(now))
local deadline = now + tonumber(ARGV[1])
local answers = {}
for at = 3, #ARGV, 3 do
  local id, boot, instance = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2]
  local stored = redis.call('HGET', instances, id)
  local held = stored and stored ~= instance and decode(stored) or nil
  if held and type(held.boot) == 'number' and held.boot > boot then
    answers[#answers + 1] = 'stale'
  else
    redis.call('ZADD', leases, whole(deadline), id)
    if stored ~= instance then
      redis.call('HSET', instances, id, instance)
      events = tell(registry, meta, ARGV[2], events, '{"kind":"up","instance":' .. instance .. '}')
    end
    answers[#answers + 1] = 'held'
  end
end
return answers
