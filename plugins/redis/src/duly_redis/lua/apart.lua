-- Counts what stands aside of some names. args: now, the rank of the name to start at, how many
-- names. How many names there were, and how much stands aside of them.

local events = redis.call('ZRANGE', aside, args[2], args[2] + args[3] - 1)
local number = 0
for _, event in ipairs(events) do
  number = number + (ask('ZCARD', siding(event)) or 0)
end
return { #events, number }
