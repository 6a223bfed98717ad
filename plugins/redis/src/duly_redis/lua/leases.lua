-- Stands in front of the scripts that end leases. A lease is its owner, its members, and apart
-- from them, because few need them, their due times.

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

-- Those of some members that were cancelled or replaced while they were claimed, as a set.
local function gone_among(members)
  local gone = {}
  if exists(withdrawn) then
    for each, marked in ipairs(read('SMISMEMBER', withdrawn, members)) do
      gone[members[each]] = marked == 1 or nil
    end
  end
  return gone
end

local function forget_marks(gone)
  for member in pairs(gone) do
    redis.call('SREM', withdrawn, member)
  end
end

local function line_up(member, at, count)
  redis.call('ZADD', count >= SUSPECT_LAPSES and suspects or due, at, member)
  stands(at)
end

-- Puts what is left in a lease back at its place, with so many lapses more.
local function give_back(token, more)
  local lease = lease_of(token)
  if not lease then -- somebody else deleted it
    end_lease(token)
    return 0
  end
  local members, scores = lease[2], cmsgpack.unpack(lease[3])
  local gone = gone_among(members)
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
  if more > 0 then
    write('HSET', lapses, counted)
  end
  for key, line in pairs(lines) do
    write('ZADD', key, line)
  end
  forget_marks(gone)
  end_lease(token)
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

local function bury(event, id, reason)
  redis.call('ZADD', dead, redis.call('ZSCORE', index(event), id) or 0, id)
  redis.call('HSET', reasons, id, reason)
end

local function put_back(member, event, id, at, listed, changed)
  redis.call('HSET', changes, member, changed)
  redis.call('HDEL', lapses, member)
  enter({ [event] = { listed, id } })
  line_up(member, at, 0)
end

-- Makes a dead letter of an occurrence, under an id that is free.
local function bury_occurrence(event, id, listed, creation_line, record, reason)
  while redis.call('HEXISTS', messages, id) == 1 do
    id = id .. '+'
  end
  local line = line_of(take_numbers(1) + 1, '-' .. event)
  redis.call('HSET', messages, id, line .. '\n' .. creation_line .. '\n' .. record)
  enter({ [event] = { listed, id } })
  bury(event, id, reason)
end

-- Does with a member what its holder says; whether it is to be removed as delivered.
local function carry_out(member, what)
  local event, id = parts(member)
  local kind = what[1]
  if kind == 'release' then
    line_up(member, what[2], tonumber(redis.call('HGET', lapses, member) or 0))
  elseif kind == 'put back' then
    put_back(member, event, id, what[2], what[3], what[4])
  elseif kind == 'bury' then
    bury(event, id, what[2])
    redis.call('HDEL', lapses, member)
  else
    bury_occurrence(event, what[2], what[3], what[4], what[5], what[6])
    if not what[7] then
      return true
    end
    put_back(member, event, id, what[7][1], what[7][2], what[7][3])
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
  local settled = lease[2]
  if only then
    local wanted, kept, kept_scores, scores = {}, {}, {}, cmsgpack.unpack(lease[3])
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
    keep_lease(token, lease[1], kept, kept_scores)
  else
    end_lease(token)
  end
  local gone = gone_among(settled)
  if #exceptions == 0 and not next(gone) then
    deliver(settled)
    return 1
  end
  local outcomes, delivered = {}, {}
  for each = 1, #exceptions, 2 do
    outcomes[exceptions[each]] = exceptions[each + 1]
  end
  for _, member in ipairs(settled) do
    if not gone[member] and (not outcomes[member] or carry_out(member, outcomes[member])) then
      delivered[#delivered + 1] = member
    end
  end
  deliver(delivered)
  forget_marks(gone)
  return 1
end

local function settle_all(settles)
  local outcomes = {}
  for each, one in ipairs(settles) do
    outcomes[each] = settle(one[1], one[2], one[3])
  end
  return outcomes
end
