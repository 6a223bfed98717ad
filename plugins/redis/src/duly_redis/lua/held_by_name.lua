-- Counts what is in hand by event name. args: now. Names and numbers in turn.

local gone = {}
for _, member in ipairs(redis.call('SMEMBERS', withdrawn)) do
  local _, id = parts(member)
  gone[member] = not is_kept(id, member) or nil
end
local numbers_of = {}
each_lease(function(members)
  for _, member in ipairs(members) do
    if not gone[member] then
      local event = parts(member)
      numbers_of[event] = (numbers_of[event] or 0) + 1
    end
  end
end)
local answer = {}
for event, number in pairs(numbers_of) do
  answer[#answer + 1] = event
  answer[#answer + 1] = number
end
return answer
