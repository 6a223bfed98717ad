-- Stands in front of every script: the keys of a shard, its time, and what several scripts do.
--
-- A member names one scheduling: twelve hexadecimal digits that count up, "-" or "*" (the latter
-- for what recurs), the event name, a line feed, the id. A message is kept under its id as the
-- same line, the line of its creation, and its record, of which scripts know the first two fields.
--
-- A command that fails ends a script, and what it wrote before stays. So nothing goes out of one
-- place before it is in the next, and the record decides: a member of which another line is kept,
-- or none, is one that a failed script has left, and whoever claims it clears it away.

local due, suspects, messages, changes, lapses = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local dead, reasons, leases, ends, withdrawn = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local names, numbers, deaths = KEYS[11], KEYS[12], KEYS[13]
local successors, declared, floors, aside = KEYS[14], KEYS[15], KEYS[16], KEYS[17]
local base = string.sub(due, 1, -4)
local args, channel = cmsgpack.unpack(ARGV[1]), ARGV[2]

local SCHEDULED, CLAIMED, DEAD = 0, 1, 2
local SUSPECT_LAPSES = 2
local RECURS = 42 -- the byte "*"
local SLICE = 4000 -- arguments that a command may have here; Lua gives up at 8,000

local now = args[1]
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local function write(command, key, list)
  for first = 1, #list, SLICE do
    redis.call(command, key, unpack(list, first, math.min(first + SLICE - 1, #list)))
  end
end

local function read(command, key, list)
  if #list <= SLICE then
    return #list > 0 and redis.call(command, key, unpack(list)) or {}
  end
  local found = {}
  for first = 1, #list, SLICE do
    local last = math.min(first + SLICE - 1, #list)
    for _, each in ipairs(redis.call(command, key, unpack(list, first, last))) do
      found[#found + 1] = each
    end
  end
  return found
end

-- To be called first by what makes room, or takes little: Redis refuses what needs memory when
-- that is full, but looks only at the first write of a script. This one changes nothing.
local function although_memory_is_full()
  redis.call('HDEL', messages, '')
end

local function exists(key)
  return redis.call('EXISTS', key) == 1
end

-- The score of the first of a sorted set, false when it is empty.
local function head(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

local function index(event)
  return base .. 'name:' .. event
end

-- Adds what lists of scores and ids by event name hold to the indexes. Their names first: by them
-- an index is found.
local function enter(by_name)
  for event, list in pairs(by_name) do
    redis.call('SADD', names, event)
    write('ZADD', index(event), list)
  end
end

-- Asks a key that has an event name in its own. One that somebody else put in its place holds
-- nothing of ours: no reason to stop what is delivered.
local function ask(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if type(answer) == 'table' and answer.err then
    if not string.find(answer.err, 'WRONGTYPE', 1, true) then
      error(answer.err)
    end
    return false
  end
  return answer
end

local function ask_index(command, event, ...)
  return ask(command, index(event), ...)
end

-- The same of one that is there already, and goes on whatever has become of its index.
local function list_under(event, id, listed)
  redis.call('SADD', names, event)
  ask_index('ZADD', event, listed, id)
end

-- Takes what lists of ids by event name hold out of the indexes.
local function leave(by_name)
  for event, ids in pairs(by_name) do
    for first = 1, #ids, SLICE do
      ask_index('ZREM', event, unpack(ids, first, math.min(first + SLICE - 1, #ids)))
    end
    if not exists(index(event)) then
      redis.call('SREM', names, event)
    end
  end
end

-- The list of an event name among others, made if need be.
local function list_of(by_name, event)
  local list = by_name[event]
  if not list then
    list = {}
    by_name[event] = list
  end
  return list
end
