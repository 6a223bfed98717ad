-- Looks up series that are to be changed. args: now, ids. Now, and for each, in turn: what is kept
-- or false, the state, changes or false, what follows or false, who has declared it or false, and
-- what tells this from any other state.

local FIELDS = 6
local answer = { now }
for each, id in ipairs(args[2]) do
  local value, at = redis.call('HGET', messages, id), 1 + (each - 1) * FIELDS
  answer[at + 1] = value
  for field = 2, FIELDS do
    answer[at + field] = false
  end
  if value then
    local member = member_of(id, value)
    answer[at + 2] = state_of(id, member)
    answer[at + 3] = redis.call('HGET', changes, member)
    answer[at + 4] = redis.call('HGET', successors, member)
    answer[at + 5] = redis.call('HGET', declared, member)
    answer[at + 6] = mark_of(id, value, member)
  end
end
return answer
