-- Counts. args: now. Now, messages, those in line, dead letters; the first due times, and the
-- first still to come, of messages and of suspects.

local function next_in(key)
  local next = redis.call('ZRANGEBYSCORE', key, '(' .. string.format('%.0f', now), '+inf',
    'WITHSCORES', 'LIMIT', 0, 1)
  return next[2] or ''
end

local function first_in(key)
  return redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or ''
end

return {
  now,
  redis.call('HLEN', messages),
  redis.call('ZCARD', due) + redis.call('ZCARD', suspects),
  redis.call('ZCARD', dead),
  first_in(due),
  first_in(suspects),
  next_in(due),
  next_in(suspects),
}
