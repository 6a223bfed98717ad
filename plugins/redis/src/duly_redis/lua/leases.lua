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
  if redis.call('EXISTS', series, successors, declared) > 0 then
    for _, member in ipairs(members) do
      if recurs(member) then
        forget_series(member)
      end
    end
  end
end
