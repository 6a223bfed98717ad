-- Moves a message that was looked at before. args: now, id, the line it had then, the state it
-- must be in, due time, time for the index, changes, the line of its creation or "" to keep it.
-- 1, or 0 when it is not as it was.

although_memory_is_full()

local id, line, of_state, at, listed, changed = args[2], args[3], args[4], args[5], args[6], args[7]
local creation_line = args[8]
local value = redis.call('HGET', messages, id)
local member = line .. '\n' .. id
if not value or member_of(id, value) ~= member or state_of(id, member) ~= of_state then
  return 0
end
local event = string.sub(line, 13)
local moved = line_of(take_numbers(1) + 1, event)
local rest = string.sub(value, #line + 1)
if creation_line ~= '' then
  local feed = string.find(rest, '\n', 2, true)
  rest = '\n' .. creation_line .. string.sub(rest, feed)
end
enter({ [string.sub(event, 2)] = { listed, id } })
redis.call('HSET', changes, moved .. '\n' .. id, changed)
redis.call('ZADD', due, at, moved .. '\n' .. id)
announce(member, of_state)
redis.call('HSET', messages, id, moved .. rest)
clear(id, member, of_state)
stands(at)
wake('')
return 1
