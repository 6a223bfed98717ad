-- Counts. args: now, the name behind which sidings are asked, how many of them. Now, messages, those
-- in line, dead letters; the first due times, and the first still to come, of messages and of
-- suspects; how many stand aside in these sidings, and the first due time of that; and the name of
-- the last siding asked, or "" when there are no more.

local function next_in(key)
  local next = redis.call('ZRANGEBYSCORE', key, '(' .. string.format('%.0f', now), '+inf',
    'WITHSCORES', 'LIMIT', 0, 1)
  return next[2] or ''
end

local function first_in(key)
  return redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or ''
end

local stand_aside, first_aside = 0, ''
local page = redis.call('ZRANGEBYLEX', aside, '(' .. args[2], '+', 'LIMIT', 0, args[3])
for _, event in ipairs(page) do
  local first = ask('ZRANGE', siding(event), 0, 0, 'WITHSCORES')
  if first and first[2] then
    stand_aside = stand_aside + ask('ZCARD', siding(event))
    if first_aside == '' or tonumber(first[2]) < tonumber(first_aside) then
      first_aside = first[2]
    end
  end
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
  stand_aside,
  first_aside,
  #page == args[3] and page[#page] or '',
}
