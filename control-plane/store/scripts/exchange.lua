-- A replica's accounts of one shard go in, everything of the shard that has not run out comes back; what ran out goes. What
-- is not of our form is named and left alone. All calls are for many fields at once: their number does not grow with circuits.
-- KEYS: 1 health, 2 circuits
-- ARGV: 1 replica, 2 time in ms, 3 the longest time in ms, 4 entries of one key at most; then for each account circuit, body
-- Output: {{field, body... of the accounts}, {circuit, seq, body... of the records}, {key, field... of at most 20 that are
--   not of our form}}; CORRUPT
local health, circuits = unpack(KEYS)
local fault = wrong_type(KEYS, { 'hash' })
if fault then return fault end
for _, key in ipairs(KEYS) do
  if redis.call('HLEN', key) > tonumber(ARGV[4]) then return corrupt(key, 'has more than ' .. ARGV[4] .. ' entries') end
end

local now = now_ms()
local ttl = tonumber(ARGV[2])
local deadline = whole(now + ttl)
local written = {}
for at = 5, #ARGV, 2 do
  written[#written + 1] = ARGV[1] .. '\n' .. ARGV[at]
  written[#written + 1] = deadline .. ' ' .. ARGV[at + 1]
end
if #written > 0 then
  in_parts(written, 2000, 'HSET', health)
  outlive(health, ttl)
end

local damaged = {}

-- What stands behind the deadline of each field, split by `form`.
local function living(key, form)
  local all = redis.call('HGETALL', key)
  local answer, gone = {}, {}
  for i = 1, #all, 2 do
    local first, second, third = string.match(all[i + 1], form)
    local ends = tonumber(third and second or first)
    if not ends or ends > now + ARGV[3] then
      if #damaged < 40 then
        damaged[#damaged + 1] = key
        damaged[#damaged + 1] = all[i]
      end
    elseif ends <= now then
      gone[#gone + 1] = all[i]
    else
      answer[#answer + 1] = all[i]
      if third then answer[#answer + 1] = first end
      answer[#answer + 1] = third or second
    end
  end
  in_parts(gone, 2000, 'HDEL', key)
  return answer
end

return { living(health, '^(%d+) (.*)$'), living(circuits, '^(%d+) (%d+) (.*)$'), damaged }
