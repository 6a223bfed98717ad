-- Counts what is due in line by event name. args: now, whether among suspects, the rank to start at,
-- how many. How many were looked at, and in turn names, how much is due of each, when the first is.

local key, first, count = args[2] and suspects or due, args[3], args[4]
local found = redis.call('ZRANGE', key, first, first + count - 1, 'WITHSCORES')
local numbers_of, firsts, looked_at = {}, {}, 0
for at = 1, #found, 2 do
  if tonumber(found[at + 1]) > now then
    break
  end
  local event = parts(found[at])
  looked_at = looked_at + 1
  numbers_of[event] = (numbers_of[event] or 0) + 1
  firsts[event] = firsts[event] or found[at + 1]
end
local answer = { looked_at }
for event, number in pairs(numbers_of) do
  answer[#answer + 1] = event
  answer[#answer + 1] = number
  answer[#answer + 1] = firsts[event]
end
return answer
