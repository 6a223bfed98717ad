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
local successors, declared, floors = KEYS[14], KEYS[15], KEYS[16]
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

-- Asks an index of what is ours by now. One that somebody else put in its place holds nothing of
-- ours: no reason to stop what is delivered.
local function ask_index(command, event, ...)
  local answer = redis.pcall(command, index(event), ...)
  if type(answer) == 'table' and answer.err then
    if not string.find(answer.err, 'WRONGTYPE', 1, true) then
      error(answer.err)
    end
    return false
  end
  return answer
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

-- The event name and the id in a member; of what is none, nothing that anything is called.
local function parts(member)
  local feed = string.find(member, '\n', 14, true)
  if not feed then
    return '', ''
  end
  return string.sub(member, 14, feed - 1), string.sub(member, feed + 1)
end

-- The member of what is kept under an id.
local function member_of(id, value)
  local feed = string.find(value, '\n', 14, true)
  return (feed and string.sub(value, 1, feed) or value .. '\n') .. id
end

-- Where the format of a record stands, a number below 128 behind the header of its array; nil when
-- what is kept is no record.
local function format_place(value)
  local line = string.find(value, '\n', 14, true)
  local creation = line and string.find(value, '\n', line + 1, true)
  local head, format = string.byte(value, (creation or #value) + 1, (creation or #value) + 2)
  return format and format < 128 and math.floor(head / 16) == 9 and creation + 2 or nil
end

local function state_of(id, member)
  if redis.call('ZSCORE', due, member) or redis.call('ZSCORE', suspects, member) then
    return SCHEDULED
  end
  return redis.call('ZSCORE', dead, id) and DEAD or CLAIMED
end

-- Whether what is kept under an id is still that scheduling.
local function is_kept(id, member)
  local value = redis.call('HGET', messages, id)
  return value and member_of(id, value) == member
end

-- Marks what is claimed for its holder. To be called before the record goes: as long as that is
-- there the mark counts for nothing.
local function announce(member, state)
  if state == CLAIMED then
    redis.call('SADD', withdrawn, member)
  end
end

local function recurs(member)
  return string.byte(member, 13) == RECURS
end

-- The members that somebody has declared. Who declares is told as a generation of 19 digits, and
-- behind a space the name.
local function set_of(of)
  return base .. 'by:' .. string.sub(of, 21)
end

-- Forgets what follows a series, and who has declared it.
local function forget_series(member)
  redis.call('HDEL', successors, member)
  local of = redis.call('HGET', declared, member)
  if of then
    redis.call('SREM', set_of(of), member)
    redis.call('HDEL', declared, member)
  end
end

-- Takes a scheduling out of its place when its record has gone, or is that of the next, which may
-- be dead as well.
local function clear(id, member, state, next_is_dead)
  if state == SCHEDULED then
    redis.call('ZREM', due, member)
    redis.call('ZREM', suspects, member)
  elseif state == DEAD then
    if not next_is_dead then
      redis.call('ZREM', dead, id)
    end
    redis.call('HDEL', reasons, id)
    redis.call('HDEL', deaths, member)
  end
  redis.call('HDEL', changes, member)
  redis.call('HDEL', lapses, member)
  if recurs(member) then
    forget_series(member)
  end
end

-- Removes a message; the state it was in.
local function remove(id, value)
  local member = member_of(id, value)
  local state = state_of(id, member)
  announce(member, state)
  redis.call('HDEL', messages, id)
  clear(id, member, state)
  leave({ [parts(member)] = { id } })
  return state
end

-- Numbers for so many schedulings: the last that was given away before.
local function take_numbers(count)
  return redis.call('INCRBY', numbers, count) - count
end

local function line_of(number, event)
  return string.format('%012x', number) .. event
end

local earliest = false
local before = head(due)

-- To be told of everything that was put in line.
local function stands(moment)
  if not earliest or moment < earliest then
    earliest = moment
  end
end

-- Wakes who sleeps until the head of the line that was, if there is an earlier one by now. All is
-- done by then: a word that cannot be said does not make an error of it.
local function wake(by)
  if earliest and (not before or earliest < before) then
    redis.pcall('PUBLISH', channel, by)
  end
end
