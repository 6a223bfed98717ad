-- Looks along a line for retries that do not recur. args: now, whether among suspects, the rank to
-- start at, how many, the last due time. How many were looked at, and the due times of the retries.
-- What somebody stored as it was elsewhere is a retry once it was tried here.

local key, first, count, last = args[2] and suspects or due, args[3], args[4], args[5]
local found = redis.call('ZRANGE', key, first, first + count - 1, 'WITHSCORES')
local members, scores = {}, {}
for at = 1, #found, 2 do
  if tonumber(found[at + 1]) > last then
    break
  end
  members[#members + 1] = found[at]
  scores[#scores + 1] = found[at + 1]
end
local answer = { #members }
if exists(changes) then
  for each, changed in ipairs(read('HMGET', changes, members)) do
    if changed and not recurs(members[each]) and (cmsgpack.unpack(changed)[3] or 0) > 0 then
      answer[#answer + 1] = scores[each]
    end
  end
end
return answer
