-- What the policies are at one moment, where they are few; else what is needed to read them in pages and to know what changed
-- meanwhile. Gives the dataset its name at first use.
-- KEYS: 1 meta, 2 documents, 3 log
-- ARGV: 1 name for a new dataset, 2 most documents to answer at once
-- Output: {dataset, head, request id of the entry at the head ('' unknown), {name, stored, name, stored...}, or nil: there are more}; CORRUPT
local fault = wrong_type(KEYS, { 'hash', 'hash', 'stream' })
if fault then return fault end
local head, head_fault = counter(KEYS[1], 'head', KEYS[3])
if head_fault then return head_fault end
redis.call('HSETNX', KEYS[1], 'dataset', ARGV[1])
local entry = redis.call('XRANGE', KEYS[3], whole(head) .. '-0', whole(head) .. '-0')[1]
return {
  redis.call('HGET', KEYS[1], 'dataset'),
  whole(head),
  field_of(entry, 'request') or '',
  redis.call('HLEN', KEYS[2]) <= tonumber(ARGV[2]) and redis.call('HGETALL', KEYS[2]),
}
