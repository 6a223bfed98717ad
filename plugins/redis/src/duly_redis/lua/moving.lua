-- Stands in front of the scripts that make another scheduling of a message that is kept.

-- Notes who declares a series. First the set, so that nothing is declared that it does not hold.
local function declare(member, of)
  local before = redis.call('HGET', declared, member)
  if before == of then
    return
  end
  redis.call('SADD', set_of(of), member)
  redis.call('HSET', declared, member, of)
  if before and set_of(before) ~= set_of(of) then
    redis.call('SREM', set_of(before), member)
  end
end

-- Keeps a message under another line. All that belongs to that has its place first, then the record
-- decides, and what was before is cleared away. More may tell its changes, its lapses, what follows
-- it and who has declared it.
local function move(id, member, state, line, at, rest, more)
  local moved = line .. '\n' .. id
  if more.changed then
    redis.call('HSET', changes, moved, more.changed)
  end
  if more.follows then
    redis.call('HSET', successors, moved, more.follows)
  end
  if more.of then
    declare(moved, more.of)
  end
  note_series(moved)
  local line_of_it = due
  if more.lapsed then
    redis.call('HSET', lapses, moved, more.lapsed)
    line_of_it = tonumber(more.lapsed) >= SUSPECT_LAPSES and suspects or due
  end
  redis.call('ZADD', line_of_it, at, moved)
  announce(member, state)
  redis.call('HSET', messages, id, line .. rest)
  clear(id, member, state)
  local before, event = parts(member), parts(moved)
  if before ~= event then
    leave({ [before] = { id } })
  end
  stands(tonumber(at))
end

-- Tells one state of a series, and of what follows it, from any other.
local function mark_of(id, value, member)
  local changed = redis.call('HGET', changes, member) or ''
  local follows = redis.call('HGET', successors, member) or ''
  local head = string.format('%d %d %d ', state_of(id, member), #changed, #follows)
  return redis.sha1hex(head .. changed .. follows .. value)
end
