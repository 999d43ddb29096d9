-- What all scripts share; put before each of them. A script checks every key it will touch before it changes any, since
-- Redis does not undo what a script did before an error.
-- KEYS, ARGV: those of the script behind it.
-- Output: none of its own. An error reply that begins with CORRUPT names a key that is not as we write it.

local MAX = 9007199254740991 -- 2^53 - 1: what both Lua and JavaScript count exactly

local function corrupt(key, what)
  return redis.error_reply('CORRUPT ' .. key .. ' ' .. what)
end

-- The first of these keys that exists with another type than wanted, as an error reply; nil: all are well.
local function wrong_type(keys, wanted)
  for i, key in ipairs(keys) do
    local kind = redis.call('TYPE', key).ok
    local want = wanted[math.min(i, #wanted)]
    if kind ~= 'none' and kind ~= want then
      return corrupt(key, 'is a ' .. kind .. ' where a ' .. want .. ' belongs')
    end
  end
end

local function whole(number)
  return string.format('%.0f', number)
end

-- The number in the id of a stream's last entry, also of one deleted since; 0 for none.
local function last_of(stream)
  if redis.call('EXISTS', stream) == 0 then return 0 end
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) end
  end
  return 0
end

-- The last number given out: the counter in meta, or the stream's last id where somebody else put something in. The second
-- answer is an error reply where neither can be counted on from.
local function counter(meta, field, stream)
  local text = redis.call('HGET', meta, field) or '0'
  if not string.match(text, '^%d+$') then return 0, corrupt(meta, 'has a ' .. field .. ' that is no number') end
  local number = math.max(tonumber(text), last_of(stream))
  if number >= MAX then return 0, corrupt(stream, 'has an entry beyond every number we count to') end
  return number
end

local function field_of(entry, field)
  if not entry then return nil end
  for i = 1, #entry[2], 2 do
    if entry[2][i] == field then return entry[2][i + 1] end
  end
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function decode(text)
  local ok, value = pcall(cjson.decode, text)
  if ok and type(value) == 'table' then return value end
end

-- Adds an event to the registry's stream; `number` is its counter so far, the answer the new one.
local function tell(registry, meta, max, number, event)
  number = number + 1
  redis.call('HSET', meta, 'registry', whole(number))
  redis.call('XADD', registry, 'MAXLEN', '~', max, whole(number) .. '-0', 'event', event)
  return number
end

-- Lets a key live for at least so long from now on, so that what nobody looks after any more goes by itself.
local function outlive(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, whole(ttl)) end
end

-- A command with any number of arguments behind the key, `each` in one call: Lua's stack holds only some thousands.
local function in_parts(list, each, command, key)
  for from = 1, #list, each do
    redis.call(command, key, unpack(list, from, math.min(from + each - 1, #list)))
  end
end
