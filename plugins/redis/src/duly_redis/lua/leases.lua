-- Stands in front of the scripts that end leases. A lease is its owner, its members, and apart
-- from them, because few need them, their due times. It ends when all that was in it has its place:
-- what failed before that is done again by who holds it, or it lapses.

although_memory_is_full()

local function lease_of(token)
  local kept = redis.call('HGET', leases, token)
  return kept and cmsgpack.unpack(kept)
end

local function keep_lease(token, owner, members, scores)
  redis.call('HSET', leases, token, cmsgpack.pack({ owner, members, cmsgpack.pack(scores) }))
end

local function end_lease(token)
  redis.call('HDEL', leases, token)
  redis.call('ZREM', ends, token)
end

local function is_valid(token)
  local moment = redis.call('ZSCORE', ends, token)
  return moment and tonumber(moment) > now and redis.call('HEXISTS', leases, token) == 1
end

-- Of some members those that were cancelled or replaced while they were claimed, as a set; and all
-- that have a mark, be it that of a step that failed.
local function gone_among(members)
  local gone, marked = {}, {}
  if exists(withdrawn) then
    for each, mark in ipairs(read('SMISMEMBER', withdrawn, members)) do
      if mark == 1 then
        local member = members[each]
        local _, id = parts(member)
        marked[#marked + 1] = member
        gone[member] = not is_kept(id, member) or nil
      end
    end
  end
  return gone, marked
end

local function forget(marked, gone)
  for _, member in ipairs(marked) do
    if gone[member] then
      redis.call('HDEL', changes, member)
      redis.call('HDEL', lapses, member)
    end
    redis.call('SREM', withdrawn, member)
  end
end

local function line_up(member, at, count)
  redis.call('ZADD', count >= SUSPECT_LAPSES and suspects or due, at, member)
  stands(at)
end

-- What a settlement that failed has lined up before stays there.
local function put_in_line(key, list)
  for first = 1, #list, SLICE do
    redis.call('ZADD', key, 'NX', unpack(list, first, math.min(first + SLICE - 1, #list)))
  end
end

-- Puts what is left in a lease back at its place, with so many lapses more.
local function give_back(token, more)
  local lease = lease_of(token)
  if not lease then -- somebody else deleted it
    end_lease(token)
    return 0
  end
  local members, scores = lease[2], cmsgpack.unpack(lease[3])
  local gone, marked = gone_among(members)
  local counts = exists(lapses) and read('HMGET', lapses, members) or {}
  local counted, lines = {}, { [due] = {}, [suspects] = {} }
  for each, member in ipairs(members) do
    if not gone[member] then
      local count = tonumber(counts[each] or 0) + more
      counted[#counted + 1] = member
      counted[#counted + 1] = count
      local line = lines[count >= SUSPECT_LAPSES and suspects or due]
      line[#line + 1] = scores[each]
      line[#line + 1] = member
      stands(tonumber(scores[each]))
    end
  end
  for key, line in pairs(lines) do
    put_in_line(key, line)
  end
  end_lease(token)
  if more > 0 then -- now, lest it is counted twice: that might bury who did no harm
    write('HSET', lapses, counted)
  end
  forget(marked, gone)
  return #members
end

-- Removes what was delivered.
local function deliver(members)
  local ids, by_name = {}, {}
  for each, member in ipairs(members) do
    local event, id = parts(member)
    ids[each] = id
    local list = list_of(by_name, event)
    list[#list + 1] = id
  end
  write('HDEL', messages, ids)
  leave(by_name)
  if exists(lapses) then
    write('HDEL', lapses, members)
  end
  if exists(changes) then
    write('HDEL', changes, members)
  end
end

-- Raises the format of a record, so that an older reader leaves alone what it would misread.
local function raise_format(member, id, format)
  local value = redis.call('HGET', messages, id)
  if value and member_of(id, value) == member then
    local at = format_place(value)
    if at and string.byte(value, at) < format then
      redis.call('HSET', messages, id,
        string.sub(value, 1, at - 1) .. string.char(format) .. string.sub(value, at + 1))
    end
  end
end

-- In line first: until its changes are there it is the fire, or the attempt, that it was.
local function put_back(member, event, id, at, listed, changed, format)
  line_up(member, at, 0)
  list_under(event, id, listed)
  redis.call('HDEL', lapses, member)
  if format > 1 then
    raise_format(member, id, format)
  end
  redis.call('HSET', changes, member, changed)
end

-- Clears away what is claimed and has no record: somebody deleted that, or a step has failed.
local function drop(member, event, id)
  redis.call('HDEL', changes, member)
  redis.call('HDEL', lapses, member)
  redis.call('HDEL', deaths, member)
  local value = redis.call('HGET', messages, id)
  if not value then
    redis.call('ZREM', dead, id)
    redis.call('HDEL', reasons, id)
  end
  if not value or parts(member_of(id, value)) ~= event then
    leave({ [event] = { id } })
  end
end

-- Does with a member what its holder says; whether it is to be removed as delivered.
local function carry_out(member, what)
  local event, id = parts(member)
  local kind = what[1]
  if kind == 'release' then
    line_up(member, what[2], tonumber(redis.call('HGET', lapses, member) or 0))
  elseif kind == 'put back' then
    put_back(member, event, id, what[2], what[3], what[4], what[5])
  elseif kind == 'bury' then
    if redis.call('HEXISTS', messages, id) == 0 then -- a settlement that failed had come as far as that
      return true
    end
    bury(member, event, id, what[2], what[3])
    redis.call('HDEL', lapses, member)
  elseif kind == 'drop' then
    drop(member, event, id)
  else
    local further = what[7]
    if further and redis.call('HGET', changes, member) == further[3] then
      return false -- all this was done by a settlement that failed, and the series is at the next
    end
    bury_occurrence(event, what[2], what[3], what[4], what[5], what[6], what[8])
    if not further then
      return true
    end
    put_back(member, event, id, further[1], further[2], further[3], further[4])
  end
  return false
end

-- Settles all that is left in a lease, or only some of it. Exceptions are a list of members and
-- what becomes of each, in turn. 0 and nothing done when the token is not valid.
local function settle(token, only, exceptions)
  if not is_valid(token) then
    return 0
  end
  local lease = lease_of(token)
  local settled, kept, kept_scores = lease[2], {}, {}
  if only then
    local wanted, scores = {}, cmsgpack.unpack(lease[3])
    for _, member in ipairs(only) do
      wanted[member] = true
    end
    settled = {}
    for each, member in ipairs(lease[2]) do
      if wanted[member] then
        settled[#settled + 1] = member
      else
        kept[#kept + 1] = member
        kept_scores[#kept_scores + 1] = scores[each]
      end
    end
  end
  local gone, marked = gone_among(settled)
  local delivered = settled
  if #exceptions > 0 or next(gone) then
    local outcomes = {}
    delivered = {}
    for each = 1, #exceptions, 2 do
      outcomes[exceptions[each]] = exceptions[each + 1]
    end
    for _, member in ipairs(settled) do
      if not gone[member] and (not outcomes[member] or carry_out(member, outcomes[member])) then
        delivered[#delivered + 1] = member
      end
    end
  end
  deliver(delivered)
  if only then
    keep_lease(token, lease[1], kept, kept_scores)
  else
    end_lease(token)
  end
  forget(marked, gone)
  return 1
end

local function settle_all(settles)
  local outcomes = {}
  for each, one in ipairs(settles) do
    outcomes[each] = settle(one[1], one[2], one[3])
  end
  return outcomes
end
