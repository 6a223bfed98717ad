-- Stands behind shard.lua in front of every script: where a message is, and how it leaves its place.

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

-- What stands aside of an event name, by due time.
local function siding(event)
  return base .. 'aside:' .. event
end

-- The due time of what stands aside, else false.
local function time_aside(member)
  return exists(aside) and ask('ZSCORE', siding((parts(member))), member)
end

-- Takes some of an event name out of its siding.
local function leave_siding(event, members)
  for first = 1, #members, SLICE do
    ask('ZREM', siding(event), unpack(members, first, math.min(first + SLICE - 1, #members)))
  end
  if not exists(siding(event)) then
    redis.call('ZREM', aside, event)
  end
end

-- The due time of what waits, wherever it does, else false.
local function time_of(member)
  return redis.call('ZSCORE', due, member) or redis.call('ZSCORE', suspects, member)
    or time_aside(member)
end

local function state_of(id, member)
  if time_of(member) then
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

-- All schedulings that recur, wherever they are, those of failed scripts among them.
local series = base .. 'series'

-- Notes one that recurs. To be called before it is kept.
local function note_series(member)
  if recurs(member) then
    redis.call('SADD', series, member)
  end
end

-- Forgets a series, what follows it, and who has declared it.
local function forget_series(member)
  redis.call('SREM', series, member)
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
    if exists(aside) then
      leave_siding(parts(member), { member })
    end
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
