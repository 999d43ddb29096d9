-- Tells all readers of the registry something that is kept nowhere else.
-- KEYS: 1 registry, 2 meta
-- ARGV: 1 events to keep, 2 event (JSON)
-- Output: number of the event; CORRUPT
local registry, meta = unpack(KEYS)
local fault = wrong_type(KEYS, { 'stream', 'hash' })
if fault then return fault end
local events, events_fault = counter(meta, 'registry', registry)
if events_fault then return events_fault end
return whole(tell(registry, meta, ARGV[1], events, ARGV[2]))
