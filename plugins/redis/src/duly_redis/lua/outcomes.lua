-- Stands in front of the scripts that settle: what becomes of each member, and of all together.

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
  note_series(member) -- one that an older version has stored
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
  if recurs(member) then
    forget_series(member)
  end
  local value = redis.call('HGET', messages, id)
  if not value then
    redis.call('ZREM', dead, id)
    redis.call('HDEL', reasons, id)
  end
  if not value or parts(member_of(id, value)) ~= event then
    leave({ [event] = { id } })
  end
end

-- Puts a series back as it is told, unless that is beyond the cut of what follows, which takes its
-- place then; but before that comes the latest fire up to the cut, if it was missed and is wanted.
-- Whether it is to be removed, as nothing follows.
local function go_on(member, event, id, follows, at, listed, changed, format)
  if follows and listed > follows.cut then
    local count = cmsgpack.unpack(changed)[4]
    local once = follows.once
    if not once or count ~= count_of(member, follows) then
      return give_way(member, follows, count)
    end
    at, listed, format = once[1], once[2], once[5]
    changed = unhex(once[3]) .. cmsgpack.pack(count) .. unhex(once[4])
  end
  put_back(member, event, id, at, listed, changed, format)
  return false
end

-- Makes a dead letter of an occurrence; the series goes on, gives way or ends.
local function bury_one(member, event, id, what, follows)
  local further = what[7]
  if further and redis.call('HGET', changes, member) == further[3] then
    return false -- all this was done by a settlement that failed, and the series is at the next
  end
  bury_occurrence(event, what[2], what[3], what[4], what[5], what[6], what[8])
  local count = what[9]
  if follows and further and further[2] > follows.cut then
    count = cmsgpack.unpack(further[3])[4]
  end
  if follows and count then
    return give_way(member, follows, count)
  elseif further then
    put_back(member, event, id, further[1], further[2], further[3], further[4])
  end
  return not further
end

-- Does with a member what its holder says; whether it is to be removed as delivered.
local function carry_out(member, what, follows)
  local event, id = parts(member)
  local kind = what[1]
  if kind == 'release' then
    line_up(member, what[2], tonumber(redis.call('HGET', lapses, member) or 0))
  elseif kind == 'pause' then
    line_up(member, now + what[2], tonumber(redis.call('HGET', lapses, member) or 0))
  elseif kind == 'put back' then
    return go_on(member, event, id, follows, what[2], what[3], what[4], what[5])
  elseif kind == 'end' then
    return not follows or give_way(member, follows, what[2])
  elseif kind == 'bury' then
    if redis.call('HEXISTS', messages, id) == 0 then -- a settlement that failed had come as far as that
      return true
    end
    bury(member, event, id, what[2], what[3])
    redis.call('HDEL', lapses, member)
  elseif kind == 'drop' then
    drop(member, event, id)
  else
    return bury_one(member, event, id, what, follows)
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
    local outcomes, any_follows = {}, exists(successors)
    delivered = {}
    for each = 1, #exceptions, 2 do
      outcomes[exceptions[each]] = exceptions[each + 1]
    end
    for _, member in ipairs(settled) do
      local outcome = not gone[member] and outcomes[member]
      local follows = any_follows and outcome and recurs(member) and follower(member)
      if not gone[member] and (not outcome or carry_out(member, outcome, follows)) then
        delivered[#delivered + 1] = member
      elseif follows and not is_kept(follows.id, member) then -- it is another scheduling by now
        marked[#marked + 1] = member
        gone[member] = true
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
