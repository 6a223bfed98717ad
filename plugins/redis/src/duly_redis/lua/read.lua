-- Looks messages up. args: now, ids, whether with payloads. For each, in turn: what is kept or
-- false, the state, the time in the index, changes or false, why it is dead or false, its death or
-- false.

local ids, payloads, answer = args[2], args[3], {}

-- One at a time where they may be large, so that they are not all in memory at once.
local function lookup()
  if payloads then
    return read('HMGET', messages, ids)
  end
  local found = {}
  for each, id in ipairs(ids) do
    local value = redis.call('HGET', messages, id)
    found[each] = value and without_payload(value)
  end
  return found
end

for each, value in ipairs(lookup()) do
  local id, at = ids[each], #answer
  answer[at + 1] = value
  for field = 2, 6 do
    answer[at + field] = false
  end
  if value then
    local member = member_of(id, value)
    local event = parts(member)
    local state = state_of(id, member)
    answer[at + 2] = state
    answer[at + 3] = ask_index('ZSCORE', event, id)
    answer[at + 4] = redis.call('HGET', changes, member)
    if state == DEAD then
      answer[at + 5] = redis.call('HGET', reasons, id)
      answer[at + 6] = redis.call('HGET', deaths, member)
    end
  end
end
return answer
