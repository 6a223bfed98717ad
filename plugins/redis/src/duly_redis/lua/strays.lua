-- Counts what is in no place: messages less places; below zero when places have no message.
-- args: now.

local held = 0
each_lease(function(members)
  held = held + #members
end)
return redis.call('HLEN', messages) - redis.call('ZCARD', due) - redis.call('ZCARD', suspects)
  - redis.call('ZCARD', dead) - held + redis.call('SCARD', withdrawn)
