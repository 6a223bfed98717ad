-- Stands in front of the scripts that settle: how what follows a series takes its place. It is kept
-- by the member of the series, as a line of JSON and the record that the series becomes, in which
-- the count of its fires is left out.

local FORMAT = 2 -- the newest that this version reads

local function unhex(text)
  return (string.gsub(text, '..', function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local function is_read(follows, record)
  return type(follows) == 'table' and type(follows.cut) == 'number'
    and type(follows.count) == 'number' and type(follows.event) == 'string'
    and type(follows.split) == 'number' and follows.split >= 0 and follows.split <= #record
    and (not follows.due or type(follows.due) == 'number' and type(follows.listed) == 'number')
    and (not follows.once or type(follows.once) == 'table' and #follows.once == 5)
end

-- What follows a series; nil where nothing does, and where that or the series cannot be read.
local function follower(member)
  local kept = redis.call('HGET', successors, member)
  local _, id = parts(member)
  local value = kept and redis.call('HGET', messages, id)
  local format = value and member_of(id, value) == member and format_place(value)
  local feed = kept and string.find(kept, '\n', 1, true)
  if not format or string.byte(value, format) > FORMAT or not feed then
    return nil
  end
  local done, follows = pcall(cjson.decode, string.sub(kept, 1, feed - 1))
  local record = string.sub(kept, feed + 1)
  if not done or not is_read(follows, record) then
    return nil
  end
  follows.id, follows.value, follows.record = id, value, record
  return follows
end

-- How many fires of a series were taken up before the one in hand.
local function count_of(member, follows)
  local changed = redis.call('HGET', changes, member)
  return changed and cmsgpack.unpack(changed)[4] or follows.count
end

-- Lets what follows a claimed series take its place; whether the series is to be removed instead,
-- as nothing follows. It is another scheduling from then on: the one that is in hand is gone.
local function give_way(member, follows, count)
  if not follows.due then
    return true
  end
  local id, record = follows.id, follows.record
  local _, _, creation_line = string.find(follows.value, '\n([^\n]*)\n', 13)
  record = string.sub(record, 1, follows.split) .. cmsgpack.pack(count)
    .. string.sub(record, follows.split + 1)
  list_under(follows.event, id, follows.listed)
  move(id, member, CLAIMED, line_of(take_numbers(1) + 1, '*' .. follows.event), follows.due,
    '\n' .. creation_line .. '\n' .. record, { of = redis.call('HGET', declared, member) })
  return false
end
