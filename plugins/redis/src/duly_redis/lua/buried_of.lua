-- Counts dead letters among messages of event names. args: now, and in turn a name, the rank of the
-- first message to look at, how many of them. For each how many are dead.

local asked, answer = args[2], {}
for at = 1, #asked, 3 do
  local event, first, count = asked[at], asked[at + 1], asked[at + 2]
  local ids = ask_index('ZRANGE', event, first, first + count - 1) or {}
  local number = 0
  for _, moment in ipairs(read('ZMSCORE', dead, ids)) do
    number = number + (moment and 1 or 0)
  end
  answer[#answer + 1] = number
end
return answer
