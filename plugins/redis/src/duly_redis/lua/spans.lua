-- Counts what waits in line by when it is due. args: now, the bounds of the spans, the first of
-- which is a bound that nothing is counted up to, or false. How many are behind each bound, up to the
-- next.

local bounds, answer = args[2], {}

local function between(key, low, high)
  return redis.call('ZCOUNT', key, low and '(' .. string.format('%.0f', low) or '-inf',
    string.format('%.0f', high))
end

for each = 2, #bounds do
  local low, high = bounds[each - 1], bounds[each]
  answer[each - 1] = between(due, low, high) + between(suspects, low, high)
end
return answer
