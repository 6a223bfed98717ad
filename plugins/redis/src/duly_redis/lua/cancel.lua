-- Removes messages. args: now, the state they must be in or -1, ids. For each the state it was
-- found in, -1 when there is none.

although_memory_is_full()

local of_state, ids = args[2], args[3]
local states = {}
for each, value in ipairs(read('HMGET', messages, ids)) do
  if not value then
    states[each] = -1
  else
    local id = ids[each]
    local state = state_of(id, member_of(id, value))
    if of_state == -1 or of_state == state then
      remove(id, value)
    end
    states[each] = state
  end
end
return states
