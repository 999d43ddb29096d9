-- One write: compare all, then document, history, audit and log of each operation, or nothing.
-- KEYS: 1 meta, 2 documents, 3 log, 4 audit, 5 deleted, 6 the request's memory, 7... the history of each operation's name
-- ARGV: 1 fingerprint, 2 dataset and 3 revision that the writer has seen, 4 request id at that revision ('' unknown),
--   5 author, 6 action, 7 at, 8 request id, 9 its memory in ms, 10 log, 11 history, 12 audit and 13 deleted names to keep,
--   14 prefix of the history's keys; then for each operation 'put' or 'delete', name, expected ('any', 'none' or a
--   revision), document ('' for a deletion)
-- Output: {'done', '<fingerprint> <head> <revision>:<changed>...'}, also for a request id that is remembered;
--   {'conflict', '<number of the operation>:<revision, none or damaged>'...}; {'behind', dataset, head}; CORRUPT
local meta, documents, log, audit, deleted, request = unpack(KEYS, 1, 6)

local fault = wrong_type(KEYS, { 'hash', 'hash', 'stream', 'stream', 'zset', 'string', 'stream' })
if fault then return fault end

local remembered = redis.call('GET', request)
if remembered then return { 'done', remembered } end

local head, head_fault = counter(meta, 'head', log)
local audits, audits_fault = counter(meta, 'audit', audit)
if head_fault or audits_fault then return head_fault or audits_fault end

local dataset = redis.call('HGET', meta, 'dataset') or ''
local seen = tonumber(ARGV[3])
if dataset ~= ARGV[2] or head < seen then return { 'behind', dataset, whole(head) } end
if ARGV[4] ~= '' then
  local entry = redis.call('XRANGE', log, ARGV[3] .. '-0', ARGV[3] .. '-0')[1]
  if entry and field_of(entry, 'request') ~= ARGV[4] then return { 'behind', dataset, whole(head) } end
end

local count = #KEYS - 6
local conflicts = { 'conflict' }
local operations = {}
for i = 1, count do
  local at = 14 + (i - 1) * 4
  local kind, name, expected, document = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local stored = redis.call('HGET', documents, name)
  local present = 'none'
  if stored then present = string.match(stored, '^(%d+) ') or 'damaged' end
  if expected ~= 'any' and expected ~= present then
    conflicts[#conflicts + 1] = i .. ':' .. present
  end
  if last_of(KEYS[6 + i]) > head then return corrupt(KEYS[6 + i], 'has an entry beyond the last revision') end
  operations[i] = { kind = kind, name = name, document = document, stored = stored, present = present }
end
if #conflicts > 1 then return conflicts end

local author, action, at = ARGV[5], ARGV[6], ARGV[7]
local changes = {}
local outcome = {}
for i, operation in ipairs(operations) do
  local name, present = operation.name, operation.present
  local put = operation.kind == 'put'
  local same = present == 'none'
  if put then same = present ~= 'damaged' and operation.stored == present .. ' ' .. operation.document end
  if same then
    local revision = put and present or whole(redis.call('ZSCORE', deleted, name) or 0)
    outcome[i] = revision .. ':0'
  else
    head = head + 1
    local revision = whole(head)
    local id = revision .. '-0'
    local history = KEYS[6 + i]
    local rest = { 'author', author, 'action', action, 'at', at }
    if put then
      redis.call('HSET', documents, name, revision .. ' ' .. operation.document)
      redis.call('ZREM', deleted, name)
      redis.call('XADD', log, 'MAXLEN', '~', ARGV[10], id, 'name', name, 'document', operation.document, 'request', ARGV[8])
      redis.call('XADD', history, 'MAXLEN', ARGV[11], id, 'document', operation.document, unpack(rest))
    else
      redis.call('HDEL', documents, name)
      redis.call('ZADD', deleted, revision, name)
      redis.call('XADD', log, 'MAXLEN', '~', ARGV[10], id, 'name', name, 'request', ARGV[8])
      redis.call('XADD', history, 'MAXLEN', ARGV[11], id, unpack(rest))
    end
    changes[#changes + 1] = { name, revision, string.match(present, '^%d+$') or '' }
    outcome[i] = revision .. ':1'
  end
end

if #changes > 0 then
  audits = audits + 1
  redis.call('HSET', meta, 'head', whole(head), 'audit', whole(audits))
  redis.call('XADD', audit, 'MAXLEN', '~', ARGV[12], whole(audits) .. '-0',
    'author', author, 'action', action, 'at', at, 'changes', cjson.encode(changes))
  -- Those histories have names that only the set knows; the prefix keeps them in our slot.
  local excess = redis.call('ZCARD', deleted) - tonumber(ARGV[13])
  if excess > 0 then
    local gone = redis.call('ZPOPMIN', deleted, excess)
    for i = 1, #gone, 2 do redis.call('DEL', ARGV[14] .. gone[i]) end
  end
end

local answer = ARGV[1] .. ' ' .. whole(head) .. ' ' .. table.concat(outcome, ' ')
redis.call('SET', request, answer, 'PX', ARGV[9])
return { 'done', answer }
