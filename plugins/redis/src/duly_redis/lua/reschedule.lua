-- Moves a message that was looked at before. args: now, id, the line it had then, the state it
-- must be in, due time, time for the index, changes or "", the line of its creation or "" to keep
-- it, and for a series that something follows what told its state from any other then, and the kind
-- and event name and the record that it becomes, or false and false. 1, or 0 when it is not as it was.

although_memory_is_full()

local id, line, of_state, at, listed, changed = args[2], args[3], args[4], args[5], args[6], args[7]
local creation_line, followed, becomes, record = args[8], args[9], args[10], args[11]
local value = redis.call('HGET', messages, id)
local member = line .. '\n' .. id
if not value or member_of(id, value) ~= member or state_of(id, member) ~= of_state then
  return 0
end
local declared_by = false
if recurs(member) then
  declared_by = redis.call('HGET', declared, member)
  local follows = redis.call('HEXISTS', successors, member) == 1
  if followed ~= (follows and mark_of(id, value, member)) then
    return 0
  end
end
local event = becomes or string.sub(line, 13)
local rest = string.sub(value, #line + 1)
if creation_line ~= '' then
  local feed = string.find(rest, '\n', 2, true)
  rest = '\n' .. creation_line .. string.sub(rest, feed)
end
if record then
  rest = string.sub(rest, 1, string.find(rest, '\n', 2, true)) .. record
end
enter({ [string.sub(event, 2)] = { listed, id } })
move(id, member, of_state, line_of(take_numbers(1) + 1, event), at, rest,
  { changed = changed ~= '' and changed, of = declared_by })
wake('')
return 1
