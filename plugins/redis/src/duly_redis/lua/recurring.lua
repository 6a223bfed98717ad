-- Looks series up. args: now, members. For each that is kept, in turn: the id, what is kept, without
-- its payload, the state, the due time or false, 1 if it stands aside, else 0, changes or false, what
-- follows it or false.

local answer = {}
for _, member in ipairs(args[2]) do
  local _, id = parts(member)
  local value = redis.call('HGET', messages, id)
  if value and member_of(id, value) == member then
    local at, state = #answer, state_of(id, member)
    answer[at + 1] = id
    answer[at + 2] = without_payload(value)
    answer[at + 3] = state
    answer[at + 4] = state == SCHEDULED and time_of(member)
    answer[at + 5] = state == SCHEDULED and time_aside(member) and 1 or 0
    answer[at + 6] = redis.call('HGET', changes, member)
    answer[at + 7] = redis.call('HGET', successors, member)
  end
end
return answer
