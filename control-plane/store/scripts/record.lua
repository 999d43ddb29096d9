-- Compares and sets the record of one circuit. A repeat of what is there only gives it its whole time anew; what has run
-- out, or is not of our form, counts as nothing.
-- KEYS: 1 circuits
-- ARGV: 1 circuit, 2 expected seq (0: nothing), 3 seq, 4 body, 5 time in ms, 6 the longest time in ms, 7 entries at most
-- Output: nothing if it is written; else what is there instead, {seq, body} ({'0', ''}: nothing); CORRUPT
local circuits, circuit = KEYS[1], ARGV[1]
local fault = wrong_type(KEYS, { 'hash' })
if fault then return fault end

local now = now_ms()
local stored = redis.call('HGET', circuits, circuit)
local seq, body = 0, ''
if stored then
  local number, deadline, text = string.match(stored, '^(%d+) (%d+) (.*)$')
  local ends = tonumber(deadline)
  if ends and ends > now and ends <= now + ARGV[6] and tonumber(number) <= MAX then
    seq, body = tonumber(number), text
  end
elseif redis.call('HLEN', circuits) >= tonumber(ARGV[7]) then
  return corrupt(circuits, 'has ' .. ARGV[7] .. ' entries, and takes no more')
end
local repeated = seq == tonumber(ARGV[3]) and body == ARGV[4]
if not repeated and seq ~= tonumber(ARGV[2]) then return { whole(seq), body } end
redis.call('HSET', circuits, circuit, ARGV[3] .. ' ' .. whole(now + ARGV[5]) .. ' ' .. ARGV[4])
outlive(circuits, tonumber(ARGV[5]))
