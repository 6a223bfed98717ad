-- Clears away what belongs to no message, and names of notes that are not there. args: now, what:
-- "leases", a key of the shard by its name, true for an index, "siding", or "by" for the set of
-- somebody who declares; the event name or the name of that; cursor, how many. The next cursor.

although_memory_is_full()

local what, event, cursor, count = args[2], args[3], args[4], args[5]
local set = base .. 'by:' .. (event or '')

local function is_scheduling(member)
  local _, id = parts(member)
  return is_kept(id, member)
end

local function is_message(id)
  return redis.call('HEXISTS', messages, id) == 1
end

local function is_dead(id)
  return redis.call('ZSCORE', dead, id)
end

local function is_dead_scheduling(member)
  local _, id = parts(member)
  return is_dead(id) and is_kept(id, member)
end

local function is_listed(id)
  local value = redis.call('HGET', messages, id)
  return value and parts(member_of(id, value)) == event
end

-- What is declared stands in the set as well.
local function is_declared_scheduling(member)
  local is_one = is_scheduling(member)
  if is_one then
    redis.call('SADD', set_of(redis.call('HGET', declared, member)), member)
  end
  return is_one
end

local function is_declared(member)
  local of = redis.call('HGET', declared, member)
  return of and set_of(of) == set
end

local notes, noted = base .. 'notes', base .. 'noted'
local function is_note(name)
  return redis.call('HEXISTS', notes, name) == 1
end

-- What is a note has its name among those.
local function is_noted(name)
  redis.call('ZADD', noted, 0, name)
  return true
end

local held = what == 'withdrawn' and held_members()
local function is_held(member)
  return held[member]
end

local function has_end(token)
  return redis.call('ZSCORE', ends, token)
end

-- By what: the key, how to walk along it, what to take out by, and whether something stays.
local WAYS = {
  due = { due, 'ZSCAN', 'ZREM', is_scheduling },
  suspects = { suspects, 'ZSCAN', 'ZREM', is_scheduling },
  changes = { changes, 'HSCAN', 'HDEL', is_scheduling },
  lapses = { lapses, 'HSCAN', 'HDEL', is_scheduling },
  dead = { dead, 'ZSCAN', 'ZREM', is_message },
  reasons = { reasons, 'HSCAN', 'HDEL', is_dead },
  deaths = { deaths, 'HSCAN', 'HDEL', is_dead_scheduling },
  leases = { leases, 'HSCAN', 'HDEL', has_end },
  series = { series, 'SSCAN', 'SREM', is_scheduling },
  withdrawn = { withdrawn, 'SSCAN', 'SREM', is_held },
  successors = { successors, 'HSCAN', 'HDEL', is_scheduling },
  declared = { declared, 'HSCAN', 'HDEL', is_declared_scheduling },
  notes = { notes, 'HSCAN', 'HDEL', is_noted },
  noted = { noted, 'ZSCAN', 'ZREM', is_note },
  by = { set, 'SSCAN', 'SREM', is_declared },
  siding = { siding(event or ''), 'ZSCAN', 'ZREM', is_scheduling },
  [true] = { event and index(event), 'ZSCAN', 'ZREM', is_listed },
}
local key, scan, take_out, stays = unpack(WAYS[what])
if what == 'siding' and redis.call('TYPE', key).ok ~= 'zset' then -- none, or somebody else's
  redis.call('ZREM', aside, event)
  return '0'
end
if what == true and redis.call('TYPE', key).ok ~= 'zset' then -- none, or somebody else's
  redis.call('SREM', names, event)
  return '0'
end
local page = redis.call(scan, key, cursor, 'COUNT', count)
for at = 1, #page[2], scan == 'SSCAN' and 1 or 2 do
  if not stays(page[2][at]) then
    redis.call(take_out, key, page[2][at])
  end
end
if what == 'siding' and not exists(key) then
  redis.call('ZREM', aside, event)
elseif what == true and not exists(key) then
  redis.call('SREM', names, event)
end
return page[1]
