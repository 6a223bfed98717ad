-- Puts back what was found in no place or in no index. args: now, the highest number of a
-- scheduling, and in turn ids, the lines they had, due times, times for the index. The ids of what
-- is back in its place, the dead among the dead.

although_memory_is_full()

local last, given = args[2], args[3]
local held = held_members()
local back = {}

local behind = last - tonumber(redis.call('GET', numbers) or 0)
if behind > 0 then
  take_numbers(behind)
end
for at = 1, #given, 4 do
  local id, member = given[at], given[at + 1] .. '\n' .. given[at]
  if is_kept(id, member) then
    if state_of(id, member) == CLAIMED and not held[member] then
      if redis.call('HEXISTS', reasons, id) == 1 or redis.call('HEXISTS', deaths, member) == 1 then
        redis.call('ZADD', dead, given[at + 3], id)
      else
        redis.call('ZADD', due, given[at + 2], member)
        ask('ZREM', siding((parts(member))), member) -- where nobody finds it, if it is there
        stands(given[at + 2])
      end
      back[#back + 1] = id
    end
    local event = parts(member)
    list_under(event, id, given[at + 3])
  end
end
wake('')
return back
