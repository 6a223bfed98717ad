-- Lets leases last from now. args: now, length, tokens. For each 0 when it is lost, else the
-- members that were cancelled or replaced meanwhile.

local answers = {}
for each, token in ipairs(args[3]) do
  if is_valid(token) then
    redis.call('ZADD', ends, now + args[2], token)
    local gone = {}
    if exists(withdrawn) then
      for member in pairs(gone_among(lease_of(token)[2])) do
        gone[#gone + 1] = member
      end
    end
    answers[each] = gone
  else
    answers[each] = 0
  end
end
return answers
