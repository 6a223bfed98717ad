-- Counts what is in no place: messages less places; below zero when places have no message.
-- args: now.

local held = 0
each_lease(function(members)
  held = held + #members
end)
local stand_aside = 0
for _, event in ipairs(redis.call('ZRANGE', aside, 0, -1)) do
  stand_aside = stand_aside + (ask('ZCARD', siding(event)) or 0)
end
return redis.call('HLEN', messages) - redis.call('ZCARD', due) - redis.call('ZCARD', suspects)
  - stand_aside - redis.call('ZCARD', dead) - held + redis.call('SCARD', withdrawn)
