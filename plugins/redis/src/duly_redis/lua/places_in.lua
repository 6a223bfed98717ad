-- Stands in front of the scripts that walk along indexes. Times come as texts: to make one of a
-- number takes Redis longer than to look it up.

local function as_text(time)
  return string.format('%.0f', time)
end

-- The rank of the first that comes behind a place, found by halves: many may be of one time.
local function rank_behind(key, first, from_id)
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. first)
  local high = low + redis.call('ZCOUNT', key, first, first)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if comes_before(from_id, redis.call('ZRANGE', key, middle, middle)[1]) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

-- So many ids and times in turn from a time on, behind an id of that time if one is given, and up to
-- a last time. What somebody else put in the place of an index holds none.
local function next_in(key, first, from_id, last, count)
  local found = ask('ZRANGEBYSCORE', key, first, last, 'WITHSCORES', 'LIMIT', '0', count)
  if not found then
    return {}
  end
  local at_first = from_id and found[1] and tonumber(found[2]) == tonumber(first)
  if at_first and not comes_before(from_id, found[1]) then
    local passed = rank_behind(key, first, from_id) - redis.call('ZCOUNT', key, '-inf', '(' .. first)
    found = redis.call('ZRANGEBYSCORE', key, first, last, 'WITHSCORES', 'LIMIT', passed, count)
  end
  return found
end
