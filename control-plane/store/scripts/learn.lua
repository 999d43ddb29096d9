-- Adds callees to what a service is known to use.
-- KEYS: 1 interests, 2 registry, 3 meta
-- ARGV: 1 service, 2 callees kept for one service, 3 services kept, 4 events to keep, 5... callees
-- Output: how many were new; CORRUPT
local interests, registry, meta = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'stream', 'hash' })
if fault then return fault end
local events, events_fault = counter(meta, 'registry', registry)
if events_fault then return events_fault end

local service = ARGV[1]
local stored = redis.call('HGET', interests, service)
if not stored and redis.call('HLEN', interests) >= tonumber(ARGV[3]) then return 0 end
local known = {}
if stored then
  known = decode(stored)
  if not known or (#known == 0 and next(known)) then
    return corrupt(interests, 'has something unreadable for ' .. service)
  end
end
local have = {}
for _, callee in ipairs(known) do have[callee] = true end
local fresh = {}
for i = 5, #ARGV do
  if not have[ARGV[i]] and #known < tonumber(ARGV[2]) then
    have[ARGV[i]] = true
    known[#known + 1] = ARGV[i]
    fresh[#fresh + 1] = ARGV[i]
  end
end
if #fresh == 0 then return 0 end
redis.call('HSET', interests, service, cjson.encode(known))
tell(registry, meta, ARGV[4], events, cjson.encode({ kind = 'interest', service = service, callees = fresh }))
return #fresh
