-- Counts by event name. args: now, names. How many are dead in all; and for each name, in
-- turn, how many messages it has, how many of them stand aside, and the due time of the first of these
-- if it is due, or false.

local answer = { redis.call('ZCARD', dead) }
local any_aside = exists(aside)
for _, event in ipairs(args[2]) do
  local at = #answer
  answer[at + 1] = ask_index('ZCARD', event) or 0
  answer[at + 2], answer[at + 3] = 0, false
  local first = any_aside and ask('ZRANGE', siding(event), 0, 0, 'WITHSCORES')
  if first and first[2] then
    answer[at + 2] = ask('ZCARD', siding(event))
    answer[at + 3] = tonumber(first[2]) <= now and first[2]
  end
end
return answer
