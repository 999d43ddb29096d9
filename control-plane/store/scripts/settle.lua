-- Gives the dataset a new name if the log is behind what a replica has seen of it, or is another one at that revision. An
-- event in the registry wakes the readers, who find the new name.
-- KEYS: 1 meta, 2 log, 3 registry
-- ARGV: 1 new name, 2 dataset and 3 revision seen, 4 request id seen at that revision ('' unknown), 5 events to keep
-- Output: the dataset's present name; CORRUPT
local meta, log, registry = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash', 'stream', 'stream' })
if fault then return fault end
local head, head_fault = counter(meta, 'head', log)
local events, events_fault = counter(meta, 'registry', registry)
if head_fault or events_fault then return head_fault or events_fault end

local dataset = redis.call('HGET', meta, 'dataset')
if dataset and dataset ~= ARGV[2] then return dataset end
local lost = not dataset or head < tonumber(ARGV[3])
if not lost and ARGV[4] ~= '' then
  local entry = redis.call('XRANGE', log, ARGV[3] .. '-0', ARGV[3] .. '-0')[1]
  lost = entry ~= nil and field_of(entry, 'request') ~= ARGV[4]
end
if not lost then return dataset end
redis.call('HSET', meta, 'dataset', ARGV[1])
tell(registry, meta, ARGV[5], events, cjson.encode({ kind = 'dataset' }))
return ARGV[1]
