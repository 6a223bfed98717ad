-- The first places of some event names. args: now, cursor, how many names, the first time, the id to
-- start behind at that time, or false; the last time that matters, or false. The next cursor, and
-- in turn names, and id and time of the first place of each that has one.

local first, from_id = as_text(args[4]), args[5]
local last = args[6] and as_text(args[6]) or '+inf'
local page = redis.call('SSCAN', names, args[2], 'COUNT', args[3])
local answer = { page[1] }
for _, event in ipairs(page[2]) do
  local place = next_in(index(event), first, from_id, last, '1')
  if place[1] then
    answer[#answer + 1] = event
    answer[#answer + 1] = place[1]
    answer[#answer + 1] = place[2]
  end
end
return answer
