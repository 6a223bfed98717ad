-- Looks through some of the messages for those that are in no place or in no index. args: now,
-- cursor, how many. What recurs is noted on the way. The next cursor, the highest number of a scheduling, and in turn ids, what is
-- kept, and changes or false.

local held = held_members()
local page = redis.call('HSCAN', messages, args[2], 'COUNT', args[3])
local last, odd = 0, {}
for at = 1, #page[2], 2 do
  local id, value = page[2][at], page[2][at + 1]
  local member = member_of(id, value)
  local event = parts(member)
  note_series(member)
  last = math.max(last, tonumber(string.sub(value, 1, 12), 16) or 0)
  if (state_of(id, member) == CLAIMED and not held[member])
    or not ask_index('ZSCORE', event, id)
    or redis.call('SISMEMBER', names, event) == 0
  then
    odd[#odd + 1] = id
    odd[#odd + 1] = value
    odd[#odd + 1] = redis.call('HGET', changes, member)
  end
end
return { page[1], last, odd }
