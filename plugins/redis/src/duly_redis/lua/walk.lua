-- Walks along indexes. args: now, where: the name of an event, false for all events, or true for
-- the dead; the first time; the id to start behind at that time, or false; how many of each index.
-- For each index ids and times in turn.

local where, first, from_id, count = args[2], args[3], args[4], args[5]

-- The rank of the first that comes behind the start.
local function start_in(key)
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. string.format('%.0f', first))
  if from_id then
    local high = low + redis.call('ZCOUNT', key, first, first)
    while low < high do
      local middle = math.floor((low + high) / 2)
      if comes_before(from_id, redis.call('ZRANGE', key, middle, middle)[1]) then
        high = middle
      else
        low = middle + 1
      end
    end
  end
  return low
end

-- Whether what stands in the place of an index is one, and not somebody else's.
local function is_index(event)
  return redis.call('TYPE', index(event)).ok == 'zset'
end

local keys = {}
if where == true then
  keys[1] = dead
elseif where then
  keys[1] = is_index(where) and index(where) or nil
else
  for _, event in ipairs(redis.call('SMEMBERS', names)) do
    if is_index(event) then
      keys[#keys + 1] = index(event)
    end
  end
end
local answer = {}
for each, key in ipairs(keys) do
  local start = start_in(key)
  answer[each] = redis.call('ZRANGE', key, start, start + count - 1, 'WITHSCORES')
end
return answer
