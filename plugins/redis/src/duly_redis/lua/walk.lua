-- What comes next in some indexes. args: now, and for each a list: the name of an event, or true for
-- the dead; the first time; the id to start behind at that time, or false; how many. For each index
-- ids and times in turn.

local answer = {}
for at = 2, #args do
  local where, first, from_id, count = unpack(args[at])
  local key = dead
  if where ~= true then
    key = index(where)
  end
  answer[at - 1] = next_in(key, as_text(first), from_id, '+inf', count)
end
return answer
