-- Looks messages up. args: now, ids. For each, in turn: what is kept or false, the state, the time
-- in the index, changes or false, why it is dead or false.

local ids, answer = args[2], {}
for each, value in ipairs(read('HMGET', messages, ids)) do
  local id, at = ids[each], #answer
  answer[at + 1] = value
  for field = 2, 5 do
    answer[at + field] = false
  end
  if value then
    local member = member_of(id, value)
    local event = parts(member)
    answer[at + 2] = state_of(id, member)
    answer[at + 3] = redis.call('ZSCORE', index(event), id)
    answer[at + 4] = redis.call('HGET', changes, member)
    answer[at + 5] = redis.call('HGET', reasons, id)
  end
end
return answer
