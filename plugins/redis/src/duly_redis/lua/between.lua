-- Looks messages up that are due in line. args: now, whether among suspects, the first and the last
-- due time, how many to pass over, how many. How many were looked at; then, for each that is kept,
-- the due time, the id, what is kept, without its payload, the time in the index, and changes or
-- false.

local key = args[2] and suspects or due
local found = redis.call('ZRANGEBYSCORE', key, args[3], args[4], 'WITHSCORES', 'LIMIT', args[5],
  args[6])
local answer = { #found / 2 }
for each = 1, #found, 2 do
  local member, at = found[each], #answer
  local event, id = parts(member)
  local value = redis.call('HGET', messages, id)
  if value and member_of(id, value) == member then
    answer[at + 1] = found[each + 1]
    answer[at + 2] = id
    answer[at + 3] = without_payload(value)
    answer[at + 4] = ask_index('ZSCORE', event, id)
    answer[at + 5] = redis.call('HGET', changes, member)
  end
end
return answer
