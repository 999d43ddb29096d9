-- Which shards hold accounts or records at present; notes those that are about to be written. Reads only the fields that
-- we have, whatever else lies there. What is unreadable counts as active: it costs a look.
-- KEYS: 1 shards
-- ARGV: 1 how many shards there are, 2 the longest time in ms; then for each shard to be noted its number, its time in ms
-- Output: {{number of each active shard...}, {number of each with something unreadable...}}; CORRUPT
local shards = KEYS[1]
local fault = wrong_type(KEYS, { 'hash' })
if fault then return fault end

local now = now_ms()
local fields = {}
for n = 0, ARGV[1] - 1 do fields[n + 1] = n end
local stored = redis.call('HMGET', shards, unpack(fields))

local deadlines, damaged, changes = {}, {}, {}
for i, text in ipairs(stored) do
  if text then
    local deadline = tonumber(string.match(text, '^%d+$'))
    if not deadline or deadline > now + ARGV[2] then
      damaged[#damaged + 1] = i - 1
      deadline = now + 1
    end
    deadlines[i] = deadline
  end
end
local longest = 0
for at = 3, #ARGV, 2 do
  local i, ttl = ARGV[at] + 1, tonumber(ARGV[at + 1])
  if (deadlines[i] or 0) < now + ttl then
    deadlines[i] = now + ttl
    changes[#changes + 1] = ARGV[at]
    changes[#changes + 1] = whole(now + ttl)
    longest = math.max(longest, ttl)
  end
end
if #changes > 0 then
  redis.call('HSET', shards, unpack(changes))
  outlive(shards, longest)
end

local active, gone = {}, {}
for i = 1, #fields do
  if deadlines[i] then
    local list = deadlines[i] > now and active or gone
    list[#list + 1] = i - 1
  end
end
if #gone > 0 then redis.call('HDEL', shards, unpack(gone)) end
return { active, damaged }
